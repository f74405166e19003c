//! Clients that stop reading or sending, and providers that switch the protocol.

use std::time::Duration;

use registry::Limits;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wiremock::ResponseTemplate;

use super::{options, provider, responding, target, upstream};
use crate::{Method, ProxyRequest, ProxyRequestBody, RequestError, Upload, UploadError, UpstreamOptions};

fn get(wait: Duration) -> ProxyRequest {
    ProxyRequest {
        wait: Some(wait),
        ..ProxyRequest::new(Method::GET, "/x")
    }
}

#[rstest]
#[case::before_the_first_part(0)]
#[case::in_the_middle(1)]
#[tokio::test]
async fn a_client_that_stops_reading_releases_its_permit(#[case] read: usize) {
    let large = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 4 << 20]);
    let server = responding(large).await;
    let mut provider = provider(&server.uri());
    provider.limits = Limits {
        concurrency: 1,
        ..provider.limits
    };
    let upstream = upstream(UpstreamOptions {
        request_timeout: Duration::from_secs(1),
        ..options()
    });
    let target = target(provider);
    let mut stalled = upstream.proxy(&target, get(Duration::ZERO)).await.unwrap();
    for _ in 0..read {
        stalled.body.part().await.unwrap().unwrap();
    }
    let refused = upstream.proxy(&target, get(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(refused, RequestError::RateLimited { .. }), "{refused:?}");

    let mut next = upstream
        .proxy(&target, get(Duration::from_secs(10)))
        .await
        .unwrap();

    let error = stalled.body.part().await.unwrap_err();
    assert!(matches!(error, RequestError::NotRead { .. }), "{error:?}");
    let mut length = 0;
    while let Some(part) = next.body.part().await.unwrap() {
        length += part.len();
    }
    assert_eq!(length, 4 << 20, "who reads loses nothing");
    drop(next);
    upstream.proxy(&target, get(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_slow_upload_ends_with_its_own_error_and_releases_the_permit() {
    let server = responding(ResponseTemplate::new(200)).await;
    let mut provider = provider(&server.uri());
    provider.limits = Limits {
        concurrency: 1,
        ..provider.limits
    };
    let (upstream, target) = (upstream(options()), target(provider));
    let slow = UploadError::Slow { rate: 1, seconds: 1 };
    let (sender, parts) = mpsc::channel(1);
    sender.send(Err(slow)).await.unwrap();
    let upload = ProxyRequest {
        method: Method::POST,
        body: ProxyRequestBody::Stream(Upload { parts, length: None }),
        ..get(Duration::ZERO)
    };

    let error = upstream.proxy(&target, upload).await.unwrap_err();

    assert!(
        matches!(error, RequestError::Upload(told) if told == slow),
        "{error:?}"
    );
    upstream.proxy(&target, get(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn an_unexpected_switch_of_protocols_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        socket.write_all(switch).await.unwrap();
        // Open until the other side closes.
        let _ = socket.read(&mut [0; 1]).await;
    });
    let target = target(provider(&format!("http://{address}")));

    let error = upstream(options())
        .proxy(&target, get(Duration::ZERO))
        .await
        .unwrap_err();

    assert!(matches!(error, RequestError::Broken { .. }), "{error:?}");
}
