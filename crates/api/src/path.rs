//! Normalizes the path of a request before it is routed.

use std::borrow::Cow;

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;

/// Where proxied paths begin.
pub(crate) const PROXY: &str = "/proxy";

/// Gives the request its normalized path.
pub(crate) fn normalize(request: &mut ServiceRequest) {
    if let Some(uri) = normalized(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// Returns the address with its path normalized, or `None` if that changes nothing.
fn normalized(uri: &Uri) -> Option<Uri> {
    let Cow::Owned(path) = normalized_path(uri.path()) else {
        return None;
    };
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Returns the path without slashes at its end, and with one slash for several in a row. What follows [`PROXY`] is a provider's path,
/// in which each slash may mean something, and stays as it is. (actix's own middleware runs a regular expression for each request.)
fn normalized_path(path: &str) -> Cow<'_, str> {
    let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
    let rooted = path.get(slashes.saturating_sub(1)..).unwrap_or(path);
    let proxied = rooted.strip_prefix(PROXY);
    if proxied.is_some_and(|rest| rest.starts_with('/')) {
        return if slashes == 1 {
            path.into()
        } else {
            rooted.to_owned().into()
        };
    }
    if path == "/" || !(path.ends_with('/') || path.contains("//")) {
        return path.into();
    }
    let mut normalized = String::with_capacity(path.len());
    for letter in path.trim_end_matches('/').chars() {
        if letter != '/' || !normalized.ends_with('/') {
            normalized.push(letter);
        }
    }
    if normalized.is_empty() {
        normalized.push('/');
    }
    normalized.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_and_several_in_a_row_are_removed_from_a_path() {
        for (path, wanted) in [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("//a///b//", "/a/b"),
            ("///", "/"),
            ("/a%2F/", "/a%2F"),
            ("/proxy", "/proxy"),
            ("/proxy/", "/proxy/"),
            ("//proxy//a/", "/proxy//a/"),
            ("//proxyish//a/", "/proxyish/a"),
        ] {
            assert_eq!(normalized_path(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_query_is_unchanged() {
        let uri: Uri = "/a//b/?x=//1/".parse().unwrap();
        assert_eq!(normalized(&uri).unwrap(), "/a/b?x=//1/");
        assert_eq!(normalized(&"/a?x=/".parse().unwrap()), None);
    }
}
