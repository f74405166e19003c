//! Callers who stop reading.

use std::time::Duration;

use registry::Limits;
use rstest::rstest;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, options, provider, target, upstream};
use crate::{CallError, Method, Relay, UpstreamOptions};

fn get(wait: Duration) -> Relay {
    Relay {
        wait: Some(wait),
        ..Relay::new(Method::GET, "/x")
    }
}

#[rstest]
#[case::before_the_first_part(0)]
#[case::in_the_middle(1)]
#[tokio::test]
async fn who_does_not_read_on_gives_the_place_back(#[case] read: usize) {
    let server = MockServer::start().await;
    let large = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 4 << 20]);
    answers(&server, "GET", "/x", 9, large).await;
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
    let mut stalled = upstream.relay(&target, get(Duration::ZERO)).await.unwrap();
    for _ in 0..read {
        stalled.body.part().await.unwrap().unwrap();
    }
    let refused = upstream.relay(&target, get(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(refused, CallError::Crowded { .. }), "{refused:?}");

    let mut next = upstream
        .relay(&target, get(Duration::from_secs(10)))
        .await
        .unwrap();

    let error = stalled.body.part().await.unwrap_err();
    assert!(matches!(error, CallError::NotTaken { .. }), "{error:?}");
    let mut length = 0;
    while let Some(part) = next.body.part().await.unwrap() {
        length += part.len();
    }
    assert_eq!(length, 4 << 20, "who reads loses nothing");
    drop(next);
    upstream.relay(&target, get(Duration::ZERO)).await.unwrap();
}
