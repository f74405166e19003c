//! What goes along when a provider redirects.

use registry::Provider;
use rstest::rstest;
use wiremock::{MockServer, ResponseTemplate};

use super::{PASSWORD, answers, calls, options, provider, target, templates, upstream};
use crate::{Call, CallError, HeaderValue, Method};

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
async fn within_the_origin_everything_goes_along() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 1, to("/y?a=1", 302)).await;
    answers(&server, "GET", "/y", 1, ResponseTemplate::new(200)).await;
    upstream(options())
        .call(&target(keyed(&server)), Call::get("/x"))
        .await
        .unwrap();

    let last = server.received_requests().await.unwrap().pop().unwrap();
    assert!(last.headers.contains_key("authorization") && last.headers.contains_key("x-key"));
    assert_eq!(last.url.query(), Some("a=1&key=s3cr3t-password"));
}

#[tokio::test]
async fn another_origin_gets_neither_authorisation_nor_headers_nor_keys() {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    let location = format!(
        "{}/y?a=1&key={PASSWORD}",
        foreign.uri().replace("://", "://me:pass@")
    );
    answers(&server, "GET", "/x", 1, to(&location, 307)).await;
    answers(&foreign, "GET", "/y", 1, to("/z", 302)).await;
    answers(&foreign, "GET", "/z", 1, ResponseTemplate::new(200)).await;
    let mut call = Call::get("/x");
    call.headers
        .insert("accept", HeaderValue::from_static("image/png"));
    call.headers.insert("x-mine", HeaderValue::from_static("1"));
    upstream(options())
        .call(&target(keyed(&server)), call)
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
#[case(302, "GET")]
#[case(307, "POST")]
#[case(308, "POST")]
#[tokio::test]
async fn a_post_keeps_its_method_only_where_http_says_so(#[case] status: u16, #[case] verb: &str) {
    let server = MockServer::start().await;
    answers(&server, "POST", "/x", 1, to("/y", status)).await;
    answers(&server, verb, "/y", 1, ResponseTemplate::new(200)).await;
    let mut call = Call::new(Method::POST, "/x");
    call.body = Some("a=1".into());
    upstream(options())
        .call(&target(provider(&server.uri())), call)
        .await
        .unwrap();
    let last = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(last.body, if verb == "POST" { b"a=1".as_slice() } else { b"" });
}

#[tokio::test]
async fn a_body_is_not_carried_to_another_origin() {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    answers(&server, "POST", "/x", 1, to(&format!("{}/y", foreign.uri()), 307)).await;
    let mut call = Call::new(Method::POST, "/x");
    call.body = Some("a=1".into());
    let error = upstream(options())
        .call(&target(provider(&server.uri())), call)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::ForeignLink { .. }), "{error:?}");
    assert_eq!(calls(&foreign).await, 0);
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_more() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 5, to("/x", 302)).await;
    answers(&server, "GET", "/x", 1, ResponseTemplate::new(200)).await;
    answers(&server, "GET", "/x", 99, to("/x", 302)).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));
    upstream.call(&target, Call::get("/x")).await.unwrap();
    let error = upstream.call(&target, Call::get("/x")).await.unwrap_err();
    assert!(
        matches!(error, CallError::TooManyRedirects { limit: 5 }),
        "{error:?}"
    );
}
