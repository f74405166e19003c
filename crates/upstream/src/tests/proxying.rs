//! Proxied requests: what is sent on, and what is retried.

use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use tokio::sync::mpsc;

use super::{
    Fixture, PASSWORD, header, options, raw_server, read, redirect, status, template, templates, upstream,
};
use crate::{HeaderValue, Method, ProxyRequest, ProxyRequestBody, RequestError, UpstreamOptions};

fn get(endpoint: &str) -> ProxyRequest {
    ProxyRequest::new(Method::GET, endpoint)
}

fn post(endpoint: &str, body: &'static str) -> ProxyRequest {
    ProxyRequest {
        body: ProxyRequestBody::Whole(Bytes::from_static(body.as_bytes())),
        ..ProxyRequest::new(Method::POST, endpoint)
    }
}

#[tokio::test]
async fn a_response_is_passed_on_with_any_status_and_retried_only_on_request() {
    let acme = Fixture::start().await;
    for code in [503, 409, 429] {
        acme.respond_times(1, "POST /x", status(code)).await;
    }
    acme.respond("POST /x", status(418).set_body_string("teapot"))
        .await;

    let once = acme.proxy(post("/x", "a")).await.unwrap();
    assert_eq!((once.status, acme.requests().await.len()), (503, 1));
    let request = ProxyRequest {
        retries: 3,
        retry_on: vec![409],
        ..post("/x", "a")
    };
    let mut again = acme.proxy(request).await.unwrap();
    assert_eq!((again.status, acme.requests().await.len()), (418, 4));
    assert_eq!(read(&mut again).await, b"teapot");
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
    // The server reads each request, so that it may have been carried out, and closes the connection.
    let (uri, received) = raw_server(&[]).await;
    let acme = Fixture::at(&uri, options()).await;
    let request = ProxyRequest {
        method,
        retries: 2,
        ..post("/x", "a")
    };

    let error = acme.proxy(request).await.unwrap_err();

    assert!(matches!(error, RequestError::Broken { .. }), "{error:?}");
    assert_eq!(received.lock().len(), attempts);
}

#[rstest]
#[case("/a//b%2Fc/?x=%2f&y=+&x=1", None)]
#[case("a/b?", None)]
#[case("/a/?q=%E2%82%AC", Some("key=s3cr3t-password"))]
#[tokio::test]
async fn path_and_query_arrive_as_they_were_written(#[case] address: &str, #[case] added: Option<&str>) {
    let (uri, received) = raw_server(&["HTTP/1.1 204 No Content\r\n\r\n"]).await;
    let mut acme = Fixture::at(&format!("{uri}/base"), options()).await;
    if added.is_some() {
        acme.provider().query = templates(&[("key", "${password}")]);
    }
    let (path, query) = address.split_once('?').unwrap();
    let request = ProxyRequest {
        query: Some(query.to_owned()),
        ..get(path)
    };
    acme.proxy(request).await.unwrap();

    let slash = if path.starts_with('/') { "" } else { "/" };
    let added = added.map(|added| format!("&{added}")).unwrap_or_default();
    let expected = format!("GET /base{slash}{address}{added} HTTP/1.1");
    assert_eq!(received.lock()[0].lines().next(), Some(expected.as_str()));
}

#[tokio::test]
async fn parameters_of_the_file_and_headers_of_the_caller_win() {
    let mut acme = Fixture::start().await;
    acme.respond("GET /v1/x", status(200)).await;
    let base = format!("{}/v1", acme.server.uri());
    acme.provider().base_url = template(&base);
    acme.provider().headers = templates(&[("x-version", "1"), ("x-key", "${password}")]);
    let mut request = get(&format!("{base}/x"));
    for (name, value) in [
        ("x-version", "2"),
        ("connection", "close"),
        ("accept-encoding", "br"),
    ] {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    acme.proxy(request).await.unwrap();

    let received = acme.last_request().await;
    assert_eq!(header(&received, "x-version"), Some("2"));
    assert_eq!(header(&received, "x-key"), Some(PASSWORD));
    assert_eq!(header(&received, "accept-encoding"), Some("br"));
    assert!(header(&received, "authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(header(&received, "connection"), None);
}

#[rstest]
#[case("https://elsewhere.example/x")]
#[case("/https://elsewhere.example/x")]
#[case("https://elsewhere.example%2F/x")]
#[case("/../y")]
#[case("/%2e%2e/y")]
#[tokio::test]
async fn an_endpoint_on_another_origin_is_refused(#[case] endpoint: &str) {
    let mut acme = Fixture::start().await;
    acme.provider().base_url = template(&format!("{}/base", acme.server.uri()));
    let refused = acme.proxy(get(endpoint)).await;
    assert!(matches!(refused, Err(RequestError::BadUrl { .. })), "{refused:?}");
    assert!(acme.requests().await.is_empty());
}

#[tokio::test]
async fn a_base_url_override_may_be_another_address_of_the_provider_or_allowed_by_the_operator() {
    let (mut acme, files, allowed) = (
        Fixture::start().await,
        Fixture::start().await,
        Fixture::start().await,
    );
    acme.respond("GET /x", status(204)).await;
    files.respond("GET /v2/x", status(204)).await;
    allowed.respond("GET /a%2F1/x", status(204)).await;
    acme.provider().servers = [("files".to_owned(), template(&files.server.uri()))].into();
    let allowed_origin = allowed.server.uri().parse().unwrap();
    acme.upstream = upstream(UpstreamOptions {
        allowed_origins: [("acme".parse().unwrap(), vec![allowed_origin])].into(),
        ..options()
    });
    let get_below = async |base_url: &str| {
        let request = ProxyRequest {
            base_url: Some(base_url.to_owned()),
            ..get("/x")
        };
        acme.proxy(request).await
    };

    for base_url in [
        String::new(),
        format!("{}/v2", files.server.uri()),
        format!("{}/${{connectionConfig.accountId}}", allowed.server.uri()),
    ] {
        assert_eq!(get_below(&base_url).await.unwrap().status, 204);
    }
    for server in [&acme, &files, &allowed] {
        assert_eq!(server.requests().await.len(), 1);
    }

    for foreign in [
        "https://evil.example",
        "http://0.0.0.0:1",
        "https://acme.evil.example",
    ] {
        let refused = get_below(foreign).await;
        assert!(
            matches!(refused, Err(RequestError::OverrideNotAllowed { .. })),
            "{refused:?}"
        );
    }
    let secret = get_below(&format!("{}/${{password}}", acme.server.uri())).await;
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
    let (mut acme, foreign) = (Fixture::start().await, Fixture::start().await);
    let location = format!("{}/y", foreign.server.uri());
    acme.respond("GET /x", redirect(302, &location)).await;
    foreign.respond("GET /y", status(200)).await;
    acme.provider().headers = templates(&[("x-key", "${password}")]);
    let mut request = ProxyRequest {
        carry_headers,
        ..get("/x")
    };
    for (name, value) in [
        ("x-mine", "1"),
        ("x-key", "own"),
        ("authorization", "own"),
        ("cookie", "own"),
    ] {
        request.headers.insert(name, HeaderValue::from_static(value));
    }

    assert_eq!(acme.proxy(request).await.unwrap().status, 200);
    let received = foreign.last_request().await;
    for name in ["authorization", "x-key", "cookie"] {
        assert!(!received.headers.contains_key(name), "{name}");
    }
    assert_eq!(header(&received, "x-mine"), mine);
}

#[tokio::test]
async fn a_redirect_that_the_body_cannot_follow_is_passed_on() {
    let (acme, foreign) = (Fixture::start().await, Fixture::start().await);
    let location = format!("{}/y", foreign.server.uri());
    acme.respond("POST /x", redirect(307, &location)).await;
    let response = acme.proxy(post("/x", "a")).await.unwrap();
    assert_eq!(response.status, 307);
    assert!(response.headers.contains_key("location"));
    assert!(foreign.requests().await.is_empty());
}

#[tokio::test]
async fn a_permit_is_held_until_the_body_ends_and_a_wait_for_one_is_bounded() {
    let mut acme = Fixture::responding(status(200).set_body_string("a")).await;
    acme.provider().limits.concurrency = 1;
    let impatient = || ProxyRequest {
        permit_wait: Some(Duration::from_millis(50)),
        ..get("/x")
    };

    let first = acme.proxy(get("/x")).await.unwrap();
    let refused = acme.proxy(impatient()).await.unwrap_err();
    assert!(matches!(refused, RequestError::RateLimited { .. }), "{refused:?}");
    drop(first);
    acme.proxy(impatient()).await.unwrap();
}

#[tokio::test]
async fn a_connection_sends_nothing_before_its_retry_after() {
    let slow_down = status(429).insert_header("retry-after", "60");
    let mut acme = Fixture::responding(slow_down).await;

    assert_eq!(acme.proxy(get("/x")).await.unwrap().status, 429);
    let request = ProxyRequest {
        permit_wait: Some(Duration::from_secs(1)),
        ..get("/x")
    };
    match acme.proxy(request).await {
        Err(RequestError::RateLimited { retry_after }) => assert!(retry_after > Duration::from_secs(50)),
        other => panic!("{other:?}"),
    }
    assert_eq!(acme.requests().await.len(), 1);
    acme.target.connection = Some(domain::ConnectionId::from_raw(2));
    acme.proxy(get("/x")).await.unwrap();
}

#[tokio::test]
async fn a_streamed_body_keeps_its_length_and_is_sent_once() {
    let acme = Fixture::start().await;
    acme.respond("PUT /x", status(503)).await;
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(async move {
        for part in ["one", "two"] {
            let part = Bytes::from_static(part.as_bytes());
            sender.send(Ok(part)).await.unwrap();
        }
    });
    let length = Some(6);
    let request = ProxyRequest {
        method: Method::PUT,
        body: ProxyRequestBody::Stream { parts, length },
        retries: 3,
        ..get("/x")
    };

    assert_eq!(acme.proxy(request).await.unwrap().status, 503);
    let received = acme.requests().await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].body, b"onetwo");
    assert_eq!(received[0].headers["content-length"], "6");
    assert!(!received[0].headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn a_deadline_limits_the_whole_request_and_an_idle_timeout_each_part() {
    let mut acme = Fixture::responding(status(200).set_delay(Duration::from_secs(30))).await;
    let request = ProxyRequest {
        deadline: Some(Duration::from_millis(100)),
        retries: 5,
        ..get("/x")
    };
    let late = acme.proxy(request).await.unwrap_err();
    assert!(
        matches!(
            late,
            RequestError::TimedOut { .. } | RequestError::DeadlineExceeded { .. }
        ),
        "{late:?}"
    );
    acme.upstream = upstream(UpstreamOptions {
        request_timeout: Duration::from_millis(100),
        ..options()
    });
    let silent = acme.proxy(get("/x")).await.unwrap_err();
    assert!(matches!(silent, RequestError::TimedOut { .. }), "{silent:?}");
}
