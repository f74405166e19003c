//! Redirects: what is followed, and what is sent along.

use rstest::rstest;

use super::{Fixture, PASSWORD, max_attempts, post, redirect, status, templates};
use crate::{HeaderValue, Method, ProxyRequest, Request, RequestError};

/// A provider whose file adds the key as a header and as a parameter.
async fn with_key() -> Fixture {
    let mut acme = Fixture::start().await;
    acme.provider().headers = templates(&[("x-key", "${password}")]);
    acme.provider().query = templates(&[("key", "${password}")]);
    acme
}

#[tokio::test]
async fn redirects_within_the_origin_keep_everything() {
    let acme = with_key().await;
    acme.respond("GET /x", redirect(302, "/y?a=1")).await;
    acme.respond("GET /y", status(200)).await;
    acme.get().await.unwrap();

    let last = acme.last_request().await;
    assert!(last.headers.contains_key("authorization") && last.headers.contains_key("x-key"));
    assert_eq!(last.url.query(), Some("a=1&key=s3cr3t-password"));
}

#[tokio::test]
async fn another_origin_gets_neither_authorization_nor_headers_nor_keys() {
    let (acme, foreign) = (with_key().await, Fixture::start().await);
    let origin = foreign.server.uri().replace("://", "://me:pass@");
    let location = format!("{origin}/y?a=1&key={PASSWORD}");
    acme.respond("GET /x", redirect(307, &location)).await;
    foreign.respond("GET /y", redirect(302, "/z")).await;
    foreign.respond("GET /z", status(200)).await;
    let mut request = Request::get("/x");
    for (name, value) in [("accept", "image/png"), ("x-mine", "1")] {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    acme.fetch(request).await.unwrap();

    let requests = foreign.requests().await;
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].url.query(), Some("a=1"));
    assert_eq!(requests[1].url.query(), None);
    for request in &requests {
        for name in ["authorization", "x-key", "x-mine"] {
            assert!(!request.headers.contains_key(name), "{name}");
        }
        assert_eq!(request.headers["accept"], "image/png");
    }
}

#[rstest]
#[case(303, "GET /y", "")]
#[case(307, "POST /y", "a=1")]
#[case(308, "POST /y", "a=1")]
#[tokio::test]
async fn a_post_keeps_its_method_only_where_http_says_so(
    #[case] code: u16,
    #[case] then: &str,
    #[case] body: &str,
) {
    let acme = Fixture::start().await;
    acme.respond("POST /x", redirect(code, "/y")).await;
    acme.respond(then, status(200)).await;
    let mut request = post("/x");
    request.body = Some("a=1".into());
    acme.fetch(request).await.unwrap();
    assert_eq!(acme.last_request().await.body, body.as_bytes());
}

#[rstest]
#[case::with_a_body(307, Method::POST, Some("a=1"))]
#[case::without_one(307, Method::DELETE, None)]
#[case::without_one(308, Method::DELETE, None)]
#[tokio::test]
async fn a_write_is_not_carried_to_another_origin(
    #[case] code: u16,
    #[case] method: Method,
    #[case] body: Option<&'static str>,
) {
    let (acme, foreign) = (Fixture::start().await, Fixture::start().await);
    let location = format!("{}/y", foreign.server.uri());
    acme.respond(&format!("{method} /x"), redirect(code, &location))
        .await;
    let mut request = Request::new(method, "/x");
    request.body = body.map(Into::into);
    let error = acme.fetch(request).await.unwrap_err();
    assert!(matches!(error, RequestError::ForeignLink { .. }), "{error:?}");
    assert!(foreign.requests().await.is_empty());
}

#[tokio::test]
async fn at_most_five_redirects_are_followed() {
    let acme = Fixture::start().await;
    acme.respond_times(5, "GET /x", redirect(302, "/x")).await;
    acme.respond_times(1, "GET /x", status(200)).await;
    acme.respond("GET /x", redirect(302, "/x")).await;
    acme.get().await.unwrap();
    let error = acme.get().await.unwrap_err();
    assert!(matches!(error, RequestError::TooManyRedirects(5)), "{error:?}");
}

/// Redirects a write to where no server listens, or to a response of the status `then`.
async fn redirect_write(acme: &Fixture, code: u16, then: Option<u16>) {
    let no_server = "http://127.0.0.1:1/y";
    let location = if then.is_some() { "/y" } else { no_server };
    acme.respond("POST /x", redirect(code, location)).await;
    let after = status(then.unwrap_or(200)).insert_header("retry-after", "0");
    acme.respond("GET /y", after).await;
}

async fn writes(acme: &Fixture) -> usize {
    let requests = acme.requests().await;
    requests
        .iter()
        .filter(|request| request.method.as_str() == "POST")
        .count()
}

#[rstest]
#[tokio::test]
async fn a_write_that_a_redirect_turned_into_a_get_was_executed_and_is_not_retried(
    #[values(None, Some(401), Some(404), Some(429), Some(503))] then: Option<u16>,
) {
    let acme = Fixture::start().await;
    redirect_write(&acme, 303, then).await;

    let failed = acme.failed_action(post("/x")).await;
    assert_eq!(writes(&acme).await, 1);
    assert!(!failed.error.verdict().nothing_done, "{:?}", failed.error);

    let request = ProxyRequest {
        retries: 3,
        ..ProxyRequest::new(Method::POST, "/x")
    };
    let proxied = acme.proxy(request).await;
    assert_eq!(writes(&acme).await, 2);
    match proxied {
        Ok(response) => assert_eq!(Some(response.status), then),
        Err(error) => assert!(matches!(error, RequestError::Broken { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn a_write_that_a_redirect_turned_into_a_get_is_retried_if_that_is_safe() {
    let acme = Fixture::with_options(max_attempts(2)).await;
    redirect_write(&acme, 303, Some(503)).await;

    let request = ProxyRequest {
        retries: 1,
        retry_on: vec![503],
        ..ProxyRequest::new(Method::POST, "/x")
    };
    acme.proxy(request).await.unwrap();
    assert_eq!(writes(&acme).await, 2);
    let mut request = post("/x");
    request.idempotent = true;
    acme.fetch(request).await.unwrap_err();
    assert_eq!(writes(&acme).await, 4);
}

#[rstest]
#[tokio::test]
async fn a_write_does_not_follow_a_redirect_with_an_unknown_outcome(
    #[values(301, 302)] code: u16,
    #[values(Method::POST, Method::PUT, Method::PATCH, Method::DELETE)] method: Method,
) {
    let acme = Fixture::start().await;
    let location = "https://me:pass@moved.example/things/?key=s3cr3t#top";
    acme.respond(&format!("{method} /x"), redirect(code, location))
        .await;

    let error = acme.failed_action(Request::new(method.clone(), "/x")).await.error;

    let shown = error.to_string();
    let expected = format!("answered {code} to the {method} and points to https://moved.example/things/:");
    assert!(shown.contains(&expected), "{shown}");
    assert!(!shown.contains("key=") && !shown.contains("pass"), "{shown}");
    assert!(!error.verdict().nothing_done && !error.is_transient());
    assert_eq!(acme.requests().await.len(), 1);

    let response = acme.proxy(ProxyRequest::new(method, "/x")).await.unwrap();
    assert_eq!(response.status, code);
    assert_eq!(response.headers["location"], location);
    assert_eq!(acme.requests().await.len(), 2);
}

#[rstest]
#[case("/connections", "/connections")]
#[case("y?a=1", "/v1/y?a=1")]
#[case("//moved.example/y", "//moved.example/y")]
#[tokio::test]
async fn a_redirect_that_is_passed_on_points_to_the_provider(#[case] location: &str, #[case] leads_to: &str) {
    let acme = with_key().await;
    acme.respond("POST /v1/x", redirect(302, location)).await;
    let request = ProxyRequest::new(Method::POST, "/v1/x");
    let response = acme.proxy(request).await.unwrap();
    let expected = if leads_to.starts_with("//") {
        format!("http:{leads_to}")
    } else {
        format!("{}{leads_to}", acme.server.uri())
    };
    assert_eq!(response.headers["location"], expected);
}
