//! Which attempts are retried, and when a request fails for good.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::{Clock, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Fixture, max_attempts, options, post, raw_server, status, upstream};
use crate::{Method, ProxyRequest, Request, RequestError, UnexpectedBody, Upstream, UpstreamOptions};

#[rstest]
#[case(500)]
#[case(502)]
#[case(503)]
#[case(504)]
#[tokio::test]
async fn a_read_is_retried_after_a_server_error_and_a_post_is_not(#[case] code: u16) {
    let acme = Fixture::start().await;
    acme.respond_times(2, "GET /x", status(code)).await;
    acme.respond("GET /x", status(200)).await;
    acme.respond("POST /x", status(code)).await;

    assert_eq!(acme.get().await.unwrap().status, 200);
    assert_eq!(acme.requests().await.len(), 3);

    let error = acme.fetch(post("/x")).await.unwrap_err();
    assert_eq!(error.provider().unwrap().status, code);
    assert_eq!(acme.requests().await.len(), 4);
}

#[tokio::test]
async fn a_429_is_retried_for_a_post_too() {
    let acme = Fixture::start().await;
    acme.respond_times(1, "POST /x", status(429)).await;
    acme.respond("POST /x", status(201)).await;
    assert_eq!(acme.fetch(post("/x")).await.unwrap().status, 201);
    assert_eq!(acme.requests().await.len(), 2);
}

#[tokio::test]
async fn a_retry_after_date_is_respected() {
    let mut acme = Fixture::start().await;
    let limited = status(429).insert_header("retry-after", "Sat, 21 Nov 2026 10:00:00 GMT");
    acme.respond_times(1, "GET /x", limited).await;
    acme.respond("GET /x", status(200)).await;
    let date = Timestamp::from_micros(1_795_255_200_000_000);
    let clock = Clock::manual(date.minus(Duration::from_millis(50)));
    acme.upstream = Upstream::new(options(), clock).unwrap();

    let start = Instant::now();
    acme.get().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[rstest]
#[case::longer_than_a_request_waits("60", Duration::from_hours(1), Duration::from_secs(30))]
#[case::longer_than_the_request_has("60", Duration::from_secs(30), Duration::from_hours(1))]
#[tokio::test]
async fn a_wait_that_is_too_long_is_reported_at_once(
    #[case] requested: &str,
    #[case] deadline: Duration,
    #[case] max_wait: Duration,
) {
    let mut acme = Fixture::responding(status(429).insert_header("retry-after", requested)).await;
    acme.upstream = upstream(UpstreamOptions {
        deadline,
        max_wait,
        ..options()
    });

    let start = Instant::now();
    let error = acme.get().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    assert!(error.provider().unwrap().rate_limited && error.is_transient());
    assert_eq!(acme.requests().await.len(), 1);
}

#[tokio::test]
async fn the_deadline_ends_the_attempts_with_the_last_error() {
    let mut acme = Fixture::responding(status(503)).await;
    acme.upstream = upstream(UpstreamOptions {
        deadline: Duration::from_millis(200),
        ..max_attempts(u32::MAX)
    });
    match acme.get().await.unwrap_err() {
        RequestError::DeadlineExceeded { attempts, last } => {
            assert!(attempts > 1);
            assert!(last.is_transient());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_number_of_attempts_is_limited() {
    let mut acme = Fixture::responding(status(503)).await;
    acme.upstream = upstream(max_attempts(3));
    let error = acme.get().await.unwrap_err();
    assert!(matches!(error, RequestError::Provider(_)));
    assert_eq!(acme.requests().await.len(), 3);
}

#[tokio::test]
async fn a_single_401_is_retried_and_a_second_is_not() {
    let acme = Fixture::responding(status(401).set_body_json(json!({"code": 20003}))).await;
    acme.respond_times(1, "POST /x", status(401)).await;
    acme.respond("POST /x", status(200)).await;

    acme.fetch(post("/x")).await.unwrap();
    assert_eq!(acme.requests().await.len(), 2);
    let error = acme.get().await.unwrap_err();
    let error = error.provider().unwrap();
    assert!(error.unauthorized && !error.not_found && !error.rate_limited);
    assert_eq!(error.hint.as_deref(), Some("The secret is wrong."));
    assert_eq!(acme.requests().await.len(), 4);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_times_out_and_a_post_is_then_not_retried() {
    let acme = Fixture::with_options(UpstreamOptions {
        request_timeout: Duration::from_millis(200),
        ..max_attempts(2)
    })
    .await;
    let slow = status(200).set_delay(Duration::from_mins(1));
    acme.respond("GET /x", slow.clone()).await;
    acme.respond("POST /x", slow).await;

    for (request, sent_in_all) in [(post("/x"), 1), (Request::get("/x"), 3)] {
        let error = acme.fetch(request).await.unwrap_err();
        assert!(matches!(error, RequestError::TimedOut { .. }), "{error:?}");
        assert_eq!(acme.requests().await.len(), sent_in_all);
    }
}

const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"a\":";
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a\":1}";

#[tokio::test]
async fn a_truncated_body_is_requested_again() {
    let (uri, received) = raw_server(&["", CUT, WHOLE]).await;
    let acme = Fixture::at(&uri, options()).await;
    assert_eq!(acme.get().await.unwrap().body.as_ref(), b"{\"a\":1}");
    assert_eq!(received.lock().len(), 3);
}

#[tokio::test]
async fn a_post_with_a_truncated_response_is_not_retried() {
    let (uri, received) = raw_server(&[CUT, WHOLE]).await;
    let acme = Fixture::at(&uri, options()).await;
    let error = acme.fetch(post("/x")).await.unwrap_err();
    assert!(
        matches!(error, RequestError::Broken { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert_eq!(received.lock().len(), 1);
}

#[tokio::test]
async fn a_missing_server_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let acme = Fixture::at(&address, max_attempts(2)).await;
    let fetched = acme.fetch(post("/x")).await.unwrap_err();
    let proxied = acme
        .proxy(ProxyRequest::new(Method::POST, "/x"))
        .await
        .unwrap_err();
    for error in [fetched, proxied] {
        assert!(matches!(error, RequestError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_html_page_instead_of_a_list_is_requested_again() {
    let acme = Fixture::start().await;
    let html = status(200).set_body_string("\n<!DOCTYPE html><html></html>");
    acme.respond_times(2, "GET /x", html).await;
    acme.respond("GET /x", status(200).set_body_json(json!([1])))
        .await;

    assert_eq!(acme.get().await.unwrap().body.as_ref(), b"[1]");
    assert_eq!(acme.requests().await.len(), 3);
}

#[tokio::test]
async fn an_html_page_in_response_to_a_post_is_an_error() {
    let acme = Fixture::start().await;
    let html = status(200).set_body_string("<html>Just a moment</html>");
    acme.respond("POST /x", html).await;
    let error = acme.fetch(post("/x")).await.unwrap_err();
    assert!(error.to_string().contains("HTML"), "{error}");
    assert_eq!(acme.requests().await.len(), 1);
}

#[rstest]
#[case::nothing("", UnexpectedBody::Nothing)]
#[case::another_shape("[1]", UnexpectedBody::OtherShape)]
#[tokio::test]
async fn permanent_errors_are_reported_at_once(#[case] body: &str, #[case] expected: UnexpectedBody) {
    let acme = Fixture::responding(status(200).set_body_string(body)).await;
    let result = acme.get().await.unwrap().json::<HashMap<String, Value>>();
    assert!(
        matches!(result, Err(RequestError::NotJson { found, .. }) if found == expected),
        "{result:?}"
    );
    assert_eq!(acme.requests().await.len(), 1);
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_refused() {
    let mut acme = Fixture::responding(status(200).set_body_string("0123456789")).await;
    let limited_to = |max_body| {
        upstream(UpstreamOptions {
            max_body,
            ..options()
        })
    };
    acme.upstream = limited_to(10);
    acme.get().await.unwrap();
    acme.upstream = limited_to(9);
    let refused = acme.get().await;
    assert!(matches!(refused, Err(RequestError::TooLarge { limit: 9, .. })));
}
