//! The security headers of the pages.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};

/// Returns the content security policy of a page that only `ancestors` may embed: nothing is loaded from another host, no script or style is
/// inline, and forms are sent to this server only.
pub(crate) fn content(ancestors: &[String]) -> String {
    let ancestors = if ancestors.is_empty() {
        "'none'".to_owned()
    } else {
        ancestors.join(" ")
    };
    format!(
        "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors {ancestors}"
    )
}

/// Adds the headers of a page. Its address may hold the token of a session, so the browser sends it to no other site.
pub(crate) fn add(response: &mut HttpResponseBuilder, ancestors: &[String]) {
    response
        .insert_header((CONTENT_SECURITY_POLICY, content(ancestors)))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    if ancestors.is_empty() {
        // For browsers that do not know `frame-ancestors`.
        response.insert_header((X_FRAME_OPTIONS, "DENY"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_origins_may_embed_a_page() {
        assert!(content(&[]).ends_with("frame-ancestors 'none'"));
        let origins = ["https://a.example".to_owned(), "http://b.example:8080".to_owned()];
        assert!(content(&origins).ends_with("frame-ancestors https://a.example http://b.example:8080"));
    }
}
