//! Proxied requests: what is sent on, and what is retried.

use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{PASSWORD, answers, calls, options, provider, responding, target, templates, upstream};
use crate::{
    HeaderValue, Method, ProxyRequest, ProxyRequestBody, ProxyResponse, RequestError, Upload, UpstreamOptions,
};

fn get(endpoint: &str) -> ProxyRequest {
    ProxyRequest::new(Method::GET, endpoint)
}

fn post(endpoint: &str, body: &'static str) -> ProxyRequest {
    ProxyRequest {
        body: ProxyRequestBody::Whole(Bytes::from_static(body.as_bytes())),
        ..ProxyRequest::new(Method::POST, endpoint)
    }
}

async fn text(mut relayed: ProxyResponse) -> String {
    let mut body = Vec::new();
    while let Some(part) = relayed.body.part().await.unwrap() {
        body.extend_from_slice(&part);
    }
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_response_is_passed_on_with_any_status_and_retried_only_on_request() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/x", 1, ResponseTemplate::new(503)).await;
    answers(&server, "POST", "/x", 1, ResponseTemplate::new(409)).await;
    answers(&server, "POST", "/x", 1, ResponseTemplate::new(429)).await;
    let teapot = ResponseTemplate::new(418).set_body_string("teapot");
    answers(&server, "POST", "/x", 9, teapot).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    let once = upstream.proxy(&target, post("/x", "a")).await.unwrap();
    assert_eq!((once.status, once.attempts), (503, 1));
    let proxy = ProxyRequest {
        retries: 3,
        retry_on: vec![409],
        ..post("/x", "a")
    };
    let again = upstream.proxy(&target, proxy).await.unwrap();
    assert_eq!((again.status, again.attempts), (418, 3));
    assert_eq!(text(again).await, "teapot");
}

#[rstest]
#[case(Method::GET, 3)]
#[case(Method::PUT, 3)]
#[case(Method::from_bytes(b"PROPFIND").unwrap(), 3)]
#[case(Method::POST, 1)]
#[case(Method::PATCH, 1)]
#[tokio::test]
async fn a_proxied_request_that_may_have_been_executed_is_retried_only_if_that_is_safe(
    #[case] method: Method,
    #[case] attempts: usize,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = [0; 1024];
            let _ = socket.read(&mut bytes).await;
            // The request was read, so that it may have been carried out.
            let _ = sender.send(());
        }
    });
    let proxy = ProxyRequest {
        method,
        retries: 2,
        ..post("/x", "a")
    };

    let error = upstream(options())
        .proxy(&target(provider(&base)), proxy)
        .await
        .unwrap_err();

    assert!(matches!(error, RequestError::Broken { .. }), "{error:?}");
    let mut tries = 0;
    while seen.try_recv().is_ok() {
        tries += 1;
    }
    assert_eq!(tries, attempts);
}

#[tokio::test]
async fn a_failed_connection_is_retried_for_every_method() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = upstream(options())
        .proxy(&target(provider(&base)), post("/x", "a"))
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::Unreachable { .. }), "{error:?}");
}

#[rstest]
#[case("/a//b%2Fc/?x=%2f&y=+&x=1", None)]
#[case("a/b?", None)]
#[case("/a/?q=%E2%82%AC", Some("key=s3cr3t-password"))]
#[tokio::test]
async fn path_and_query_arrive_as_they_were_written(#[case] address: &str, #[case] added: Option<&str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut provider = provider(&format!("http://{}/base", listener.local_addr().unwrap()));
    if added.is_some() {
        provider.query = templates(&[("key", "${password}")]);
    }
    let line = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let read = socket.read(&mut bytes).await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        String::from_utf8_lossy(&bytes[..read])
            .lines()
            .next()
            .unwrap()
            .to_owned()
    });
    let (path, query) = address.split_once('?').unwrap();
    let proxy = ProxyRequest {
        query: Some(query.to_owned()),
        ..get(path)
    };
    upstream(options()).proxy(&target(provider), proxy).await.unwrap();

    let slash = if path.starts_with('/') { "" } else { "/" };
    let added = added.map(|added| format!("&{added}")).unwrap_or_default();
    assert_eq!(
        line.await.unwrap(),
        format!("GET /base{slash}{address}{added} HTTP/1.1")
    );
}

#[tokio::test]
async fn parameters_of_the_file_and_headers_of_the_caller_win() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/v1/x", 1, ResponseTemplate::new(200)).await;
    let mut provider = provider(&format!("{}/v1", server.uri()));
    provider.headers = templates(&[("x-version", "1"), ("x-key", "${password}")]);
    let mut proxy = get(&format!("{}/v1/x", server.uri()));
    proxy.headers.insert("x-version", HeaderValue::from_static("2"));
    proxy
        .headers
        .insert("connection", HeaderValue::from_static("close"));
    proxy
        .headers
        .insert("accept-encoding", HeaderValue::from_static("br"));
    upstream(options()).proxy(&target(provider), proxy).await.unwrap();

    let seen = server.received_requests().await.unwrap().pop().unwrap();
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-version"), Some("2"));
    assert_eq!(header("x-key"), Some(PASSWORD));
    assert_eq!(header("accept-encoding"), Some("br"));
    assert!(header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(header("connection"), None);
}

#[rstest]
#[case("https://elsewhere.example/x")]
#[case("/https://elsewhere.example/x")]
#[case("https://elsewhere.example%2F/x")]
#[case("/../y")]
#[case("/%2e%2e/y")]
#[tokio::test]
async fn an_endpoint_on_another_origin_is_refused(#[case] endpoint: &str) {
    let server = MockServer::start().await;
    let relayed = upstream(options())
        .proxy(
            &target(provider(&format!("{}/base", server.uri()))),
            get(endpoint),
        )
        .await;
    assert!(matches!(relayed, Err(RequestError::BadUrl { .. })), "{relayed:?}");
    assert_eq!(calls(&server).await, 0);
}

#[tokio::test]
async fn a_base_url_override_may_be_another_address_of_the_provider_or_allowed_by_the_operator() {
    let (home, files, allowed) = (
        MockServer::start().await,
        MockServer::start().await,
        MockServer::start().await,
    );
    for server in [&home, &files, &allowed] {
        Mock::given(any())
            .respond_with(ResponseTemplate::new(204))
            .mount(server)
            .await;
    }
    let mut provider = provider(&home.uri());
    provider.servers = [("files".to_owned(), super::template(&files.uri()))].into();
    let settings = UpstreamOptions {
        allowed_origins: [("acme".parse().unwrap(), vec![allowed.uri().parse().unwrap()])].into(),
        ..options()
    };
    let (upstream, target) = (upstream(settings), target(provider));
    let with = |base: String| ProxyRequest {
        base_url: Some(base),
        ..get("/x")
    };

    upstream.proxy(&target, with(String::new())).await.unwrap();
    upstream
        .proxy(&target, with(format!("{}/v2", files.uri())))
        .await
        .unwrap();
    upstream
        .proxy(
            &target,
            with(format!("{}/${{connectionConfig.accountId}}", allowed.uri())),
        )
        .await
        .unwrap();
    assert_eq!(
        (calls(&home).await, calls(&files).await, calls(&allowed).await),
        (1, 1, 1)
    );
    let seen = allowed.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(seen.url.path(), "/a%2F1/x");

    for foreign in [
        "https://evil.example",
        "http://0.0.0.0:1",
        "https://acme.evil.example",
    ] {
        let refused = upstream.proxy(&target, with(foreign.to_owned())).await;
        assert!(
            matches!(refused, Err(RequestError::OverrideNotAllowed { .. })),
            "{refused:?}"
        );
    }
    let secret = upstream
        .proxy(&target, with(format!("{}/${{password}}", home.uri())))
        .await;
    assert!(matches!(secret, Err(RequestError::BadUrl { .. })), "{secret:?}");
}

#[rstest]
#[case(false, None)]
#[case(true, Some("1"))]
#[tokio::test]
async fn another_origin_gets_no_authorization_and_headers_of_the_caller_only_on_request(
    #[case] carry_headers: bool,
    #[case] mine: Option<&str>,
) {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    let to = ResponseTemplate::new(302).insert_header("location", format!("{}/y", foreign.uri()));
    answers(&server, "GET", "/x", 1, to).await;
    answers(&foreign, "GET", "/y", 1, ResponseTemplate::new(200)).await;
    let mut provider = provider(&server.uri());
    provider.headers = templates(&[("x-key", "${password}")]);
    let mut proxy = ProxyRequest {
        carry_headers,
        ..get("/x")
    };
    for (name, value) in [
        ("x-mine", "1"),
        ("x-key", "own"),
        ("authorization", "own"),
        ("cookie", "own"),
    ] {
        proxy.headers.insert(name, HeaderValue::from_static(value));
    }
    let relayed = upstream(options()).proxy(&target(provider), proxy).await.unwrap();

    assert_eq!(relayed.status, 200);
    let seen = foreign.received_requests().await.unwrap().pop().unwrap();
    for name in ["authorization", "x-key", "cookie"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(
        seen.headers.get("x-mine").map(|value| value.to_str().unwrap()),
        mine
    );
}

#[tokio::test]
async fn a_redirect_that_the_body_cannot_follow_is_passed_on() {
    let (server, foreign) = (MockServer::start().await, MockServer::start().await);
    let to = ResponseTemplate::new(307).insert_header("location", format!("{}/y", foreign.uri()));
    answers(&server, "POST", "/x", 1, to).await;
    let relayed = upstream(options())
        .proxy(&target(provider(&server.uri())), post("/x", "a"))
        .await
        .unwrap();
    assert_eq!(relayed.status, 307);
    assert!(relayed.headers.contains_key("location"));
    assert_eq!(calls(&foreign).await, 0);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused_too() {
    let server = MockServer::start().await;
    let settings = UpstreamOptions {
        allow_private_addresses: false,
        base_urls: [("acme".parse().unwrap(), server.uri().parse().unwrap())].into(),
        ..options()
    };
    let upstream = upstream(settings);
    let to = ResponseTemplate::new(302).insert_header("location", "https://169.254.169.254/latest/meta-data");
    answers(&server, "GET", "/x", 1, to).await;
    let refused = upstream
        .proxy(&target(provider("https://acme.example")), get("/x"))
        .await;
    assert!(
        matches!(refused, Err(RequestError::AddressRefused { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_permit_is_held_until_the_body_ends_and_a_wait_for_one_is_bounded() {
    let server = responding(ResponseTemplate::new(200).set_body_string("a")).await;
    let mut provider = provider(&server.uri());
    provider.limits.concurrency = 1;
    let (upstream, target) = (upstream(options()), target(provider));
    let impatient = || ProxyRequest {
        wait: Some(Duration::from_millis(50)),
        ..get("/x")
    };

    let held = upstream.proxy(&target, get("/x")).await.unwrap();
    let refused = upstream.proxy(&target, impatient()).await.unwrap_err();
    assert!(matches!(refused, RequestError::RateLimited { .. }), "{refused:?}");
    drop(held);
    upstream.proxy(&target, impatient()).await.unwrap();
}

#[tokio::test]
async fn a_connection_sends_nothing_before_its_retry_after() {
    let slow_down = ResponseTemplate::new(429).insert_header("retry-after", "60");
    let server = responding(slow_down).await;
    let (upstream, mut target) = (upstream(options()), target(provider(&server.uri())));

    let told = upstream.proxy(&target, get("/x")).await.unwrap();
    assert_eq!(told.status, 429);
    let proxy = ProxyRequest {
        wait: Some(Duration::from_secs(1)),
        ..get("/x")
    };
    match upstream.proxy(&target, proxy).await {
        Err(RequestError::RateLimited { retry_after }) => assert!(retry_after > Duration::from_secs(50)),
        other => panic!("{other:?}"),
    }
    assert_eq!(calls(&server).await, 1);
    target.connection = Some(domain::ConnectionId::from_raw(2));
    upstream.proxy(&target, get("/x")).await.unwrap();
}

#[tokio::test]
async fn a_streamed_body_keeps_its_length_and_is_sent_once() {
    let server = MockServer::start().await;
    answers(&server, "PUT", "/x", 9, ResponseTemplate::new(503)).await;
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(async move {
        for part in ["one", "two"] {
            sender
                .send(Ok(Bytes::from_static(part.as_bytes())))
                .await
                .unwrap();
        }
    });
    let proxy = ProxyRequest {
        method: Method::PUT,
        body: ProxyRequestBody::Stream(Upload {
            parts,
            length: Some(6),
        }),
        retries: 3,
        ..get("/x")
    };
    let relayed = upstream(options())
        .proxy(&target(provider(&server.uri())), proxy)
        .await
        .unwrap();

    assert_eq!((relayed.status, relayed.attempts), (503, 1));
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body, b"onetwo");
    assert_eq!(seen[0].headers["content-length"], "6");
    assert!(!seen[0].headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn a_deadline_limits_the_whole_request_and_an_idle_timeout_each_part() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
    let server = responding(slow).await;
    let target = target(provider(&server.uri()));
    let proxy = ProxyRequest {
        deadline: Some(Duration::from_millis(100)),
        retries: 5,
        ..get("/x")
    };
    let late = upstream(options()).proxy(&target, proxy).await.unwrap_err();
    assert!(
        matches!(
            late,
            RequestError::TimedOut { .. } | RequestError::DeadlineExceeded { .. }
        ),
        "{late:?}"
    );
    let settings = UpstreamOptions {
        request_timeout: Duration::from_millis(100),
        ..options()
    };
    let silent = upstream(settings).proxy(&target, get("/x")).await.unwrap_err();
    assert!(matches!(silent, RequestError::TimedOut { .. }), "{silent:?}");
}
