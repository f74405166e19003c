//! Clients that stop reading or sending, and providers that switch the protocol.

use std::time::Duration;

use rstest::rstest;
use tokio::sync::mpsc;
use wiremock::ResponseTemplate;

use super::{Fixture, options, raw_server, read, status, upstream};
use crate::{Method, ProxyRequest, ProxyRequestBody, RequestError, UploadError, UpstreamOptions};

/// A request that waits so long for a permit.
fn get(permit_wait: Duration) -> ProxyRequest {
    ProxyRequest {
        permit_wait: Some(permit_wait),
        ..ProxyRequest::new(Method::GET, "/x")
    }
}

/// A provider that allows one request at a time.
async fn with_one_permit(response: ResponseTemplate) -> Fixture {
    let mut acme = Fixture::responding(response).await;
    acme.provider().limits.concurrency = 1;
    acme
}

#[rstest]
#[case::before_the_first_part(0)]
#[case::in_the_middle(1)]
#[tokio::test]
async fn a_client_that_stops_reading_releases_its_permit(#[case] parts_read: usize) {
    let large = status(200).set_body_bytes(vec![b'x'; 4 << 20]);
    let mut acme = with_one_permit(large).await;
    acme.upstream = upstream(UpstreamOptions {
        request_timeout: Duration::from_secs(1),
        ..options()
    });
    let mut stalled = acme.proxy(get(Duration::ZERO)).await.unwrap();
    for _ in 0..parts_read {
        stalled.body.part().await.unwrap().unwrap();
    }
    let refused = acme.proxy(get(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(refused, RequestError::RateLimited { .. }), "{refused:?}");

    let mut next = acme.proxy(get(Duration::from_secs(10))).await.unwrap();

    let error = stalled.body.part().await.unwrap_err();
    assert!(matches!(error, RequestError::NotRead { .. }), "{error:?}");
    let body = read(&mut next).await;
    assert_eq!(body.len(), 4 << 20, "a client that reads loses nothing");
    drop(next);
    acme.proxy(get(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_slow_upload_ends_with_its_own_error_and_releases_the_permit() {
    let acme = with_one_permit(status(200)).await;
    let slow = UploadError::Slow { rate: 1, seconds: 1 };
    let (sender, parts) = mpsc::channel(1);
    sender.send(Err(slow)).await.unwrap();
    let length = None;
    let upload = ProxyRequest {
        method: Method::POST,
        body: ProxyRequestBody::Stream { parts, length },
        ..get(Duration::ZERO)
    };

    let error = acme.proxy(upload).await.unwrap_err();

    assert!(
        matches!(error, RequestError::Upload(error) if error == slow),
        "{error:?}"
    );
    acme.proxy(get(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn an_unexpected_switch_of_protocols_is_an_error() {
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let (uri, _) = raw_server(&[SWITCH]).await;
    let acme = Fixture::at(&uri, options()).await;

    let error = acme.proxy(get(Duration::ZERO)).await.unwrap_err();

    match &error {
        RequestError::Broken(_, cause) => assert!(cause.to_string().contains("protocol"), "{error:?}"),
        other => panic!("{other:?}"),
    }
}
