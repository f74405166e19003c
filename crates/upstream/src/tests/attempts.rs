//! Which attempts are retried, and when a request fails for good.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{Clock, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, calls, fetch, options, provider, respond, responding, target, upstream};
use crate::{Method, Request, RequestError, UnexpectedBody, Upstream, UpstreamOptions};

fn post() -> Request {
    Request::new(Method::POST, "/x")
}

/// Answers one connection after the other with the bytes given, then with none; counts the connections.
async fn raw_server(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers
                .get(counted.fetch_add(1, Ordering::SeqCst))
                .copied()
                .unwrap_or_default();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (format!("http://{address}"), count)
}

#[rstest]
#[case(500)]
#[case(502)]
#[case(503)]
#[case(504)]
#[tokio::test]
async fn a_read_is_retried_after_a_server_error_and_a_post_is_not(#[case] status: u16) {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 2, ResponseTemplate::new(status)).await;
    respond(&server, ResponseTemplate::new(200)).await;
    answers(&server, "POST", "/x", 9, ResponseTemplate::new(status)).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    let answer = upstream.fetch(&target, Request::get("/x")).await.unwrap();
    assert_eq!((answer.status, answer.attempts), (200, 3));

    let error = upstream.fetch(&target, post()).await.unwrap_err();
    assert_eq!(error.provider().unwrap().status, status);
    assert_eq!(calls(&server).await, 4);
}

#[tokio::test]
async fn a_429_is_retried_for_a_post_too() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/x", 1, ResponseTemplate::new(429)).await;
    answers(&server, "POST", "/x", 9, ResponseTemplate::new(201)).await;
    let answer = upstream(options())
        .fetch(&target(provider(&server.uri())), post())
        .await
        .unwrap();
    assert_eq!((answer.status, answer.attempts), (201, 2));
}

#[tokio::test]
async fn a_retry_after_date_is_respected() {
    let server = MockServer::start().await;
    let limited = ResponseTemplate::new(429).insert_header("retry-after", "Sat, 21 Nov 2026 10:00:00 GMT");
    answers(&server, "GET", "/x", 1, limited).await;
    respond(&server, ResponseTemplate::new(200)).await;
    let date = Timestamp::from_micros(1_795_255_200_000_000);
    let upstream = Upstream::new(options(), Clock::manual(date.minus(Duration::from_millis(50)))).unwrap();

    let start = Instant::now();
    fetch(&upstream, &server).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[rstest]
#[case::longer_than_a_call_waits("60", Duration::from_hours(1), Duration::from_secs(30))]
#[case::longer_than_the_call_has("60", Duration::from_secs(30), Duration::from_hours(1))]
#[tokio::test]
async fn a_wait_that_is_too_long_is_reported_at_once(
    #[case] asked: &str,
    #[case] deadline: Duration,
    #[case] max_wait: Duration,
) {
    let server = responding(ResponseTemplate::new(429).insert_header("retry-after", asked)).await;
    let upstream = upstream(UpstreamOptions {
        deadline,
        max_wait,
        ..options()
    });

    let start = Instant::now();
    let error = fetch(&upstream, &server).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    assert!(error.provider().unwrap().rate_limited && error.is_transient());
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn the_deadline_ends_the_attempts_with_the_last_error() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", u64::MAX, ResponseTemplate::new(503)).await;
    let deadline = Duration::from_millis(200);
    let upstream = upstream(UpstreamOptions {
        deadline,
        max_attempts: u32::MAX,
        ..options()
    });
    match fetch(&upstream, &server).await.unwrap_err() {
        RequestError::DeadlineExceeded { attempts, last } => {
            assert!(attempts > 1);
            assert!(last.is_transient());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_number_of_attempts_is_limited() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", u64::MAX, ResponseTemplate::new(503)).await;
    let upstream = upstream(UpstreamOptions {
        max_attempts: 3,
        ..options()
    });
    let error = fetch(&upstream, &server).await.unwrap_err();
    assert!(matches!(error, RequestError::Provider(_)));
    assert_eq!(calls(&server).await, 3);
}

#[tokio::test]
async fn a_single_401_is_retried_and_a_second_is_not() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/x", 1, ResponseTemplate::new(401)).await;
    answers(&server, "POST", "/x", 9, ResponseTemplate::new(200)).await;
    respond(
        &server,
        ResponseTemplate::new(401).set_body_json(json!({"code": 20003})),
    )
    .await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    assert_eq!(upstream.fetch(&target, post()).await.unwrap().attempts, 2);
    let error = upstream.fetch(&target, Request::get("/x")).await.unwrap_err();
    let error = error.provider().unwrap();
    assert!(error.unauthorized && !error.not_found && !error.rate_limited);
    assert_eq!(error.hint.as_deref(), Some("The secret is wrong."));
    assert_eq!(calls(&server).await, 4);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_times_out_and_a_post_is_then_not_retried() {
    let server = MockServer::start().await;
    let slow = || ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    respond(&server, slow()).await;
    answers(&server, "POST", "/x", 9, slow()).await;
    let request_timeout = Duration::from_millis(200);
    let upstream = upstream(UpstreamOptions {
        request_timeout,
        max_attempts: 2,
        ..options()
    });
    let target = target(provider(&server.uri()));

    assert!(matches!(
        upstream.fetch(&target, post()).await,
        Err(RequestError::TimedOut { .. })
    ));
    assert_eq!(calls(&server).await, 1);
    assert!(matches!(
        upstream.fetch(&target, Request::get("/x")).await,
        Err(RequestError::TimedOut { .. })
    ));
    assert_eq!(calls(&server).await, 3);
}

const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"a\":";
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a\":1}";

#[tokio::test]
async fn a_truncated_body_is_requested_again() {
    let (uri, count) = raw_server(&["", CUT, WHOLE]).await;
    let answer = upstream(options())
        .fetch(&target(provider(&uri)), Request::get("/x"))
        .await
        .unwrap();
    assert_eq!((answer.body.as_ref(), answer.attempts), (&b"{\"a\":1}"[..], 3));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_post_with_a_truncated_response_is_not_retried() {
    let (uri, count) = raw_server(&[CUT, WHOLE]).await;
    let error = upstream(options())
        .fetch(&target(provider(&uri)), post())
        .await
        .unwrap_err();
    assert!(
        matches!(error, RequestError::Broken { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_missing_server_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let upstream = upstream(UpstreamOptions {
        max_attempts: 2,
        ..options()
    });
    let error = upstream
        .fetch(&target(provider(&format!("http://{free}"))), post())
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_html_page_instead_of_a_list_is_requested_again() {
    let server = MockServer::start().await;
    let html = ResponseTemplate::new(200).set_body_string("\n<!DOCTYPE html><html></html>");
    let list = ResponseTemplate::new(200).set_body_json(json!([1]));
    answers(&server, "GET", "/x", 2, html).await;
    respond(&server, list).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    let answer = upstream.fetch(&target, Request::get("/x")).await.unwrap();

    assert_eq!((answer.attempts, answer.body.as_ref()), (3, &b"[1]"[..]));
}

#[tokio::test]
async fn an_html_page_in_response_to_a_post_is_an_error() {
    let server = MockServer::start().await;
    let html = ResponseTemplate::new(200).set_body_string("<html>Just a moment</html>");
    answers(&server, "POST", "/x", 9, html).await;
    let error = upstream(options())
        .fetch(&target(provider(&server.uri())), post())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("HTML"), "{error}");
    assert_eq!(calls(&server).await, 1);
}

#[rstest]
#[case::nothing("", UnexpectedBody::Nothing)]
#[case::another_shape("[1]", UnexpectedBody::OtherShape)]
#[tokio::test]
async fn permanent_errors_are_reported_at_once(#[case] body: &str, #[case] expected: UnexpectedBody) {
    let server = responding(ResponseTemplate::new(200).set_body_string(body)).await;
    let target = target(provider(&server.uri()));
    let answer = upstream(options())
        .fetch(&target, Request::get("/x"))
        .await
        .unwrap();
    let result = answer.json::<HashMap<String, Value>>();
    assert!(
        matches!(result, Err(RequestError::NotJson { found, .. }) if found == expected),
        "{result:?}"
    );
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_refused() {
    let server = responding(ResponseTemplate::new(200).set_body_string("0123456789")).await;
    let target = target(provider(&server.uri()));
    upstream(UpstreamOptions {
        max_body: 10,
        ..options()
    })
    .fetch(&target, Request::get("/x"))
    .await
    .unwrap();
    let small = upstream(UpstreamOptions {
        max_body: 9,
        ..options()
    });
    assert!(matches!(
        small.fetch(&target, Request::get("/x")).await,
        Err(RequestError::TooLarge { limit: 9, .. })
    ));
}
