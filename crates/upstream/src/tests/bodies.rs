//! Response bodies of every size and coding.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder};
use rstest::rstest;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, fetch, options, provider, respond, responding, target, upstream};
use crate::{Method, Priority, ProxyRequest, Request, RequestError, UpstreamOptions};

const LIST: &[u8] = br#"{"items": [1, 2, 3]}"#;
const MB: usize = 1 << 20;

/// The text in one coding.
async fn coded(coding: &str, text: &[u8]) -> Vec<u8> {
    macro_rules! encoded {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(text).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => encoded!(GzipEncoder::with_quality(Vec::new(), Level::Fastest)),
        "deflate" => encoded!(ZlibEncoder::with_quality(Vec::new(), Level::Fastest)),
        "raw deflate" => encoded!(DeflateEncoder::with_quality(Vec::new(), Level::Fastest)),
        "br" => encoded!(BrotliEncoder::with_quality(Vec::new(), Level::Fastest)),
        "zstd" => compress_to_vec(text, CompressionLevel::Fastest),
        _ => text.to_vec(),
    }
}

async fn answer_in(codings: &str, text: &[u8]) -> ResponseTemplate {
    let mut body = text.to_vec();
    for coding in codings.split(',') {
        body = coded(coding, &body).await;
    }
    ResponseTemplate::new(200)
        .insert_header("content-encoding", codings.replace("raw ", "").as_str())
        .set_body_bytes(body)
}

#[rstest]
#[tokio::test]
async fn a_body_is_decoded_whatever_its_coding(
    #[values(
        "gzip",
        "GZIP",
        "x-gzip",
        "Deflate",
        "raw deflate",
        "BR",
        "zstd",
        "identity",
        "gzip, br",
        "zstd,Identity ,deflate"
    )]
    codings: &str,
) {
    let server = responding(answer_in(codings, LIST).await).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));

    let answer = upstream.fetch(&target, Request::get("/x")).await.unwrap();
    assert_eq!(answer.body.as_ref(), LIST);
    assert!(!answer.headers.contains_key("content-encoding"));

    let proxy = ProxyRequest {
        decompress: true,
        ..ProxyRequest::new(Method::GET, "/x")
    };
    let mut relayed = upstream.proxy(&target, proxy).await.unwrap();
    let mut body = Vec::new();
    while let Some(part) = relayed.body.part().await.unwrap() {
        body.extend_from_slice(&part);
    }
    assert_eq!(body, LIST);
}

#[tokio::test]
async fn an_empty_body_is_empty_in_every_coding() {
    let empty = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    let server = responding(empty).await;
    let answer = fetch(&upstream(options()), &server).await.unwrap();
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn a_byte_order_mark_is_removed() {
    let server = MockServer::start().await;
    let marked = [b"\xef\xbb\xbf", LIST].concat();
    respond(&server, ResponseTemplate::new(200).set_body_bytes(marked)).await;
    let answer = fetch(&upstream(options()), &server).await.unwrap();
    assert_eq!(answer.body.as_ref(), LIST);
}

#[rstest]
#[case::an_unknown_one("compress", false)]
#[case::several_unknown("gzip, lzma", false)]
#[case::too_many("gzip,gzip,gzip,gzip", false)]
#[case::not_what_it_says("gzip", true)]
#[case::not_brotli("br", true)]
#[case::not_zstd("zstd", true)]
#[tokio::test]
async fn a_body_that_cannot_be_decoded_is_an_error(#[case] coding: &str, #[case] known: bool) {
    let server = MockServer::start().await;
    let rubbish = || {
        ResponseTemplate::new(200)
            .insert_header("content-encoding", coding)
            .set_body_bytes(vec![0xfe; 400])
    };
    answers(&server, "GET", "/x", 99, rubbish()).await;
    answers(&server, "POST", "/x", 9, rubbish()).await;
    let (upstream, target) = (upstream(options()), target(provider(&server.uri())));
    for refused in [
        upstream.fetch(&target, Request::get("/x")).await.unwrap_err(),
        upstream
            .send_action(&target, Request::new(Method::POST, "/x"), false)
            .await
            .unwrap_err()
            .error,
    ] {
        let right = match &refused {
            RequestError::Undecodable { .. } => known,
            RequestError::UnknownCoding { coding: told, .. } => !known && !told.is_empty(),
            _ => false,
        };
        assert!(right, "{refused:?}");
        assert!(!refused.verdict().nothing_done);
    }
}

/// A server that writes the head, and then parts without an end; tells how many bytes it could write.
async fn endless(head: &'static str, part: Vec<u8>, pause: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (part, count) = (part.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await?;
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(&part).await?;
                    count.fetch_add(part.len(), Ordering::SeqCst);
                    tokio::time::sleep(pause).await;
                }
                #[expect(unreachable_code, reason = "tells the type of the error")]
                io::Result::Ok(())
            });
        }
    });
    (format!("http://{address}"), written)
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
const OK_GZIP: &str = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n";
const HUGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 524288000\r\nconnection: close\r\n\r\n";

/// Options with a bound of 2 MB, and one attempt.
fn small() -> UpstreamOptions {
    UpstreamOptions {
        max_body: 2 * MB,
        max_attempts: 1,
        ..options()
    }
}

#[rstest]
#[case::endless(OK, vec![b'0'; 1 << 16], 64 * MB)]
#[case::of_500_mb(HUGE, vec![b'0'; 1 << 16], 64 * MB)]
#[tokio::test]
async fn a_body_that_is_too_large_ends_at_the_limit(
    #[case] head: &'static str,
    #[case] part: Vec<u8>,
    #[case] most: usize,
) {
    let (uri, written) = endless(head, part, Duration::ZERO).await;
    let error = upstream(small())
        .fetch(&target(provider(&uri)), Request::get("/x"))
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(error, RequestError::TooLarge { limit, .. } if limit == 2 * MB),
        "{error:?}"
    );
    assert!(
        told.contains("127.0.0.1") && told.contains("2 MiB") && told.contains("upstream.max_body_mb"),
        "{told}"
    );
    assert!(written.load(Ordering::SeqCst) < most);
}

#[rstest]
#[tokio::test]
async fn a_compression_bomb_ends_at_the_limit_of_decoded_bytes(
    #[values("gzip", "deflate", "br", "zstd", "gzip, gzip", "br, zstd")] codings: &str,
) {
    let bomb = answer_in(codings, &vec![b'0'; 16 * MB]).await;
    let server = responding(bomb).await;
    let error = fetch(&upstream(small()), &server).await.unwrap_err();
    assert!(matches!(error, RequestError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn an_endlessly_trickling_body_ends_with_the_attempt() {
    let (uri, _) = endless(OK, b"0,".to_vec(), Duration::from_millis(20)).await;
    let hasty = UpstreamOptions {
        request_timeout: Duration::from_millis(300),
        ..small()
    };
    let error = upstream(hasty)
        .fetch(&target(provider(&uri)), Request::get("/x"))
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { .. }), "{error:?}");
}

#[rstest]
#[case::of_a_refusal(REFUSED, Duration::ZERO)]
#[case::of_a_refusal_that_trickles(REFUSED, Duration::from_millis(50))]
#[tokio::test]
async fn an_endless_error_body_is_read_to_64_kb_and_the_status_decides(
    #[case] head: &'static str,
    #[case] pause: Duration,
) {
    let (uri, written) = endless(head, b"[0,0,".repeat(1000), pause).await;
    let target = target(provider(&uri));
    let hasty = UpstreamOptions {
        request_timeout: Duration::from_millis(500),
        ..small()
    };
    let refusal = upstream(hasty)
        .send_action(&target, Request::get("/x"), false)
        .await
        .unwrap_err();
    let told = refusal.error.provider().unwrap();
    assert!(told.status == 401 && told.unauthorized, "{told:?}");
    assert!(
        serde_json::to_string(&refusal.response.unwrap().body)
            .unwrap()
            .len()
            < 5_000
    );
    // What the system keeps of a connection is read by nobody.
    assert!(written.load(Ordering::SeqCst) < 16 * MB);
}

#[tokio::test]
async fn a_success_of_very_many_values_is_not_read_into_memory() {
    let server = MockServer::start().await;
    let values = format!("{{\"x\":[{}0]}}", "0,".repeat(600_000));
    answers(
        &server,
        "POST",
        "/x",
        9,
        ResponseTemplate::new(200).set_body_raw(values, "application/json"),
    )
    .await;
    let refusal = upstream(options())
        .send_action(
            &target(provider(&server.uri())),
            Request::new(Method::POST, "/x"),
            false,
        )
        .await
        .unwrap_err();
    assert!(
        refusal.error.to_string().contains("500000 values"),
        "{}",
        refusal.error
    );
}

#[tokio::test]
async fn other_syncs_continue_during_endless_bodies() {
    let (uri, _) = endless(
        OK_GZIP,
        coded("gzip", &vec![b'0'; MB]).await,
        Duration::from_millis(5),
    )
    .await;
    let server = MockServer::start().await;
    let page = answer_in("gzip", &vec![b'1'; MB]).await;
    answers(&server, "GET", "/x", 999, page).await;
    // 3 MB for syncs: less than the hostile bodies want together.
    let upstream = upstream(UpstreamOptions {
        memory: 4 * MB,
        max_body: 8 * MB,
        max_attempts: 1,
        ..options()
    });
    let of = |uri: &str, id: i64| {
        let mut provider = provider(uri);
        provider.name = format!("acme-{id}").parse().unwrap();
        let mut target = target(provider);
        target.priority = Priority::Background;
        target.connection = Some(domain::ConnectionId::from_raw(id));
        target
    };
    let hostile: Vec<_> = (1..=4)
        .map(|_| {
            let (upstream, target) = (upstream.clone(), of(&uri, 1));
            tokio::spawn(async move { upstream.fetch(&target, Request::get("/x")).await })
        })
        .collect();
    let (good, mut action) = (of(&server.uri(), 2), of(&server.uri(), 3));
    action.priority = Priority::Interactive;
    for _ in 0..10 {
        let page = upstream.fetch(&good, Request::get("/x")).await.unwrap();
        assert_eq!(page.body.len(), MB);
        drop(page);
        upstream.fetch(&action, Request::get("/x")).await.unwrap();
    }
    for body in hostile {
        let error = body.await.unwrap().unwrap_err();
        assert!(matches!(error, RequestError::TooLarge { .. }), "{error:?}");
    }
}
