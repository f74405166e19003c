//! Which headers of a response are sent on to the client.

use http::header::{self, HeaderMap, HeaderName};

use crate::prepare::HOP_BY_HOP;

/// Headers that a browser would take for the gateway's own: cookies, transport security and the like.
static ABOUT_THE_SERVER: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("service-worker-allowed"),
];

/// The prefix of the headers by which a server tells browsers what pages of other origins may do (CORS).
const CORS_PREFIX: &str = "access-control-";

/// Returns the length that the headers give.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns a response's headers without those that end here. The length is omitted, since it comes with the body.
pub(super) fn for_the_client(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let cors: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(CORS_PREFIX))
        .cloned()
        .collect();
    let fixed = HOP_BY_HOP.iter().chain(&ABOUT_THE_SERVER);
    for name in fixed.chain(&named).chain(&cors) {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::headers;

    #[test]
    fn hop_by_hop_and_browser_headers_are_dropped_and_others_forwarded() {
        let received = headers(&[
            ("link", "<x>; rel=next"),
            ("etag", "\"1\""),
            ("retry-after", "3"),
            ("x-ratelimit-remaining", "7"),
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("connection", "keep-alive, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
        ]);

        let forwarded = for_the_client(received);

        let mut names: Vec<&str> = forwarded.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-encoding",
                "content-type",
                "etag",
                "link",
                "retry-after",
                "x-ratelimit-remaining"
            ]
        );
    }
}
