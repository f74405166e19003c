//! What stands outside of everything else: the path of a request before any route sees it, and the request's line in the log.

use std::borrow::Cow;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;

use crate::edge;
use crate::proxy::PREFIX;

/// Normalizes the path, and writes the line when the request is answered.
pub(crate) async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(uri) = normalized(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    let response = next.call(request).await?;
    edge::write_line(&response);
    Ok(response)
}

/// The address with its path normalized; `None` if that changes nothing.
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

/// The path without slashes at its end, and with one slash for several in a row. What follows [`PREFIX`] is a provider's path, to which
/// each slash may mean something, and stays as it is written. actix's own middleware uses a regular expression, at each request.
fn normalized_path(path: &str) -> Cow<'_, str> {
    let begins = path.bytes().take_while(|byte| *byte == b'/').count();
    let rooted = path.get(begins.saturating_sub(1)..).unwrap_or(path);
    let of_provider = rooted.strip_prefix(PREFIX);
    if of_provider.is_some_and(|rest| rest.starts_with('/')) {
        return if begins == 1 {
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
    fn slashes_at_the_end_and_several_in_a_row_are_taken_out_of_a_path() {
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
    fn the_query_stays_as_it_is() {
        let uri: Uri = "/a//b/?x=//1/".parse().unwrap();
        assert_eq!(normalized(&uri).unwrap(), "/a/b?x=//1/");
        assert_eq!(normalized(&"/a?x=/".parse().unwrap()), None);
    }
}
