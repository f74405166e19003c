//! Redirects: what is followed, and what is sent along.

use registry::Provider;
use rstest::rstest;
use wiremock::{MockServer, ResponseTemplate};

use super::{PASSWORD, answers, calls, options, provider, target, templates, upstream};
use crate::{HeaderValue, Method, ProxyRequest, Request, RequestError, UpstreamOptions};

fn to(location: &str, status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("location", location)
}

fn keyed(server: &MockServer) -> Provider {
    let mut provider = provider(&server.uri());
    provider.headers = templates(&[("x-key", "${password}")]);
    provider.query = templates(&[("key", "${password}")]);
    provider
}

#[tokio::test]
async fn redirects_within_the_origin_keep_everything() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 1, to("/y?a=1", 302)).await;
    answers(&server, "GET", "/y", 1, ResponseTemplate::new(200)).await;
    upstream(options())
        .fetch(&target(keyed(&server)), Request::get("/x"))
        .await
        .unwrap();

    let last = server.received_requests().await.unwrap().pop().unwrap();
    assert!(last.headers.contains_key("authorization") && last.headers.contains_key("x-key"));
    assert_eq!(last.url.query(), Some("a=1&key=s3cr3t-password"));
}

#[tokio::test]
async fn another_origin_gets_neither_authorization_nor_headers_nor_keys() {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    let location = format!(
        "{}/y?a=1&key={PASSWORD}",
        foreign.uri().replace("://", "://me:pass@")
    );
    answers(&server, "GET", "/x", 1, to(&location, 307)).await;
    answers(&foreign, "GET", "/y", 1, to("/z", 302)).await;
    answers(&foreign, "GET", "/z", 1, ResponseTemplate::new(200)).await;
    let mut call = Request::get("/x");
    call.headers
        .insert("accept", HeaderValue::from_static("image/png"));
    call.headers.insert("x-mine", HeaderValue::from_static("1"));
    upstream(options())
        .fetch(&target(keyed(&server)), call)
        .await
        .unwrap();

    let requests = foreign.received_requests().await.unwrap();
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
#[case(303, "GET")]
#[case(307, "POST")]
#[case(308, "POST")]
#[tokio::test]
async fn a_post_keeps_its_method_only_where_http_says_so(#[case] status: u16, #[case] verb: &str) {
    let server = MockServer::start().await;
    answers(&server, "POST", "/x", 1, to("/y", status)).await;
    answers(&server, verb, "/y", 1, ResponseTemplate::new(200)).await;
    let mut call = Request::new(Method::POST, "/x");
    call.body = Some("a=1".into());
    upstream(options())
        .fetch(&target(provider(&server.uri())), call)
        .await
        .unwrap();
    let last = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(last.body, if verb == "POST" { b"a=1".as_slice() } else { b"" });
}

#[tokio::test]
async fn a_body_is_not_carried_to_another_origin() {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    answers(&server, "POST", "/x", 1, to(&format!("{}/y", foreign.uri()), 307)).await;
    let mut call = Request::new(Method::POST, "/x");
    call.body = Some("a=1".into());
    let error = upstream(options())
        .fetch(&target(provider(&server.uri())), call)
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::ForeignLink { .. }), "{error:?}");
    assert_eq!(calls(&foreign).await, 0);
}

#[tokio::test]
async fn at_most_five_redirects_are_followed() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 5, to("/x", 302)).await;
    answers(&server, "GET", "/x", 1, ResponseTemplate::new(200)).await;
    answers(&server, "GET", "/x", 99, to("/x", 302)).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));
    upstream.fetch(&target, Request::get("/x")).await.unwrap();
    let error = upstream.fetch(&target, Request::get("/x")).await.unwrap_err();
    assert!(matches!(error, RequestError::TooManyRedirects(5)), "{error:?}");
}

/// Answers a write by a redirect to where nobody listens, or to an answer of that status.
async fn written(server: &MockServer, redirect: u16, then: Option<u16>) {
    let nobody = "http://127.0.0.1:1/y";
    let location = if then.is_some() { "/y" } else { nobody };
    answers(server, "POST", "/x", 9, to(location, redirect)).await;
    let after = ResponseTemplate::new(then.unwrap_or(200)).insert_header("retry-after", "0");
    answers(server, "GET", "/y", 9, after).await;
}

async fn writes(server: &MockServer) -> usize {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .filter(|one| one.method.as_str() == "POST")
        .count()
}

#[rstest]
#[tokio::test]
async fn a_write_that_a_redirect_turned_into_a_get_was_executed_and_is_not_retried(
    #[values(None, Some(401), Some(404), Some(429), Some(503))] then: Option<u16>,
) {
    let server = MockServer::start().await;
    written(&server, 303, then).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    let refusal = upstream
        .send_action(&target, Request::new(Method::POST, "/x"), false)
        .await
        .unwrap_err();
    assert_eq!(writes(&server).await, 1);
    assert!(!refusal.error.verdict().nothing_done, "{:?}", refusal.error);

    let proxy = ProxyRequest {
        retries: 3,
        ..ProxyRequest::new(Method::POST, "/x")
    };
    let relayed = upstream.proxy(&target, proxy).await;
    assert_eq!(writes(&server).await, 2);
    match relayed {
        Ok(relayed) => assert_eq!(Some(relayed.status), then),
        Err(error) => assert!(matches!(error, RequestError::Broken { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn a_write_that_a_redirect_turned_into_a_get_is_retried_if_that_is_safe() {
    let server = MockServer::start().await;
    written(&server, 303, Some(503)).await;
    let few = UpstreamOptions {
        max_attempts: 2,
        ..options()
    };
    let (upstream, target) = (upstream(few), target(provider(&server.uri())));

    let proxy = ProxyRequest {
        retries: 1,
        retry_on: vec![503],
        ..ProxyRequest::new(Method::POST, "/x")
    };
    assert_eq!(upstream.proxy(&target, proxy).await.unwrap().attempts, 2);
    let mut call = Request::new(Method::POST, "/x");
    call.idempotent = true;
    upstream.fetch(&target, call).await.unwrap_err();
    assert_eq!(writes(&server).await, 4);
}

#[rstest]
#[tokio::test]
async fn a_write_does_not_follow_a_redirect_with_an_unknown_outcome(
    #[values(301, 302)] redirect: u16,
    #[values("POST", "PUT", "PATCH", "DELETE")] method: &str,
) {
    let server = MockServer::start().await;
    let location = "https://me:pass@moved.example/things/?key=s3cr3t#top";
    answers(&server, method, "/x", 9, to(location, redirect)).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));
    let method = Method::from_bytes(method.as_bytes()).unwrap();

    let refusal = upstream
        .send_action(&target, Request::new(method.clone(), "/x"), false)
        .await
        .unwrap_err();

    let told = refusal.error.to_string();
    let expected =
        format!("answered {redirect} to the {method} and points to https://moved.example/things/:");
    assert!(told.contains(&expected), "{told}");
    assert!(!told.contains("key=") && !told.contains("pass"), "{told}");
    assert!(!refusal.error.verdict().nothing_done && !refusal.error.is_transient());
    assert_eq!(calls(&server).await, 1);

    let relayed = upstream
        .proxy(&target, ProxyRequest::new(method, "/x"))
        .await
        .unwrap();
    assert_eq!(relayed.status, redirect);
    assert_eq!(relayed.headers["location"], location);
    assert_eq!(calls(&server).await, 2);
}

#[rstest]
#[tokio::test]
async fn a_write_stays_within_the_origin_even_without_a_body(#[values(307, 308)] redirect: u16) {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    answers(
        &server,
        "DELETE",
        "/x",
        1,
        to(&format!("{}/y", foreign.uri()), redirect),
    )
    .await;
    let error = upstream(options())
        .fetch(
            &target(provider(&server.uri())),
            Request::new(Method::DELETE, "/x"),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::ForeignLink { .. }), "{error:?}");
    assert_eq!(calls(&foreign).await, 0);
}

#[rstest]
#[case("/connections", "/connections")]
#[case("y?a=1", "/v1/y?a=1")]
#[case("//moved.example/y", "//moved.example/y")]
#[tokio::test]
async fn a_redirect_that_is_passed_on_points_to_the_provider(#[case] location: &str, #[case] leads_to: &str) {
    let server = MockServer::start().await;
    answers(&server, "POST", "/v1/x", 1, to(location, 302)).await;
    let proxy = ProxyRequest::new(Method::POST, "/v1/x");
    let relayed = upstream(options())
        .proxy(&target(keyed(&server)), proxy)
        .await
        .unwrap();
    let expected = if leads_to.starts_with("//") {
        format!("http:{leads_to}")
    } else {
        format!("{}{leads_to}", server.uri())
    };
    assert_eq!(relayed.headers["location"], expected);
}
