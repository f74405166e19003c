//! Response bodies of every size and coding.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder};
use futures::FutureExt;
use rstest::rstest;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wiremock::ResponseTemplate;

use super::{Fixture, max_attempts, options, post, provider, read, status, target, upstream};
use crate::{Method, Priority, ProxyRequest, Request, RequestError, Target, UpstreamOptions};

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

async fn response_in(codings: &str, text: &[u8]) -> ResponseTemplate {
    let mut body = text.to_vec();
    for coding in codings.split(',') {
        body = coded(coding, &body).await;
    }
    with_coding(&codings.replace("raw ", ""), body)
}

/// A response whose body has this content coding, as its header says.
fn with_coding(coding: &str, body: Vec<u8>) -> ResponseTemplate {
    let response = status(200).insert_header("content-encoding", coding);
    response.set_body_bytes(body)
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
    let acme = Fixture::responding(response_in(codings, LIST).await).await;

    let response = acme.get().await.unwrap();
    assert_eq!(response.body.as_ref(), LIST);
    assert!(!response.headers.contains_key("content-encoding"));

    let request = ProxyRequest {
        decompress: true,
        ..ProxyRequest::new(Method::GET, "/x")
    };
    let mut proxied = acme.proxy(request).await.unwrap();
    assert_eq!(read(&mut proxied).await, LIST);
}

#[tokio::test]
async fn an_empty_body_is_empty_in_every_coding() {
    let acme = Fixture::responding(with_coding("gzip", Vec::new())).await;
    assert!(acme.get().await.unwrap().body.is_empty());
}

#[tokio::test]
async fn a_byte_order_mark_is_removed() {
    let marked = [b"\xef\xbb\xbf", LIST].concat();
    let acme = Fixture::responding(status(200).set_body_bytes(marked)).await;
    assert_eq!(acme.get().await.unwrap().body.as_ref(), LIST);
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
    let garbage = with_coding(coding, vec![0xfe; 400]);
    let acme = Fixture::responding(garbage.clone()).await;
    acme.respond("POST /x", garbage).await;
    for error in [
        acme.get().await.unwrap_err(),
        acme.failed_action(post("/x")).await.error,
    ] {
        let expected = match &error {
            RequestError::Undecodable { .. } => known,
            RequestError::UnknownCoding { coding, .. } => !known && !coding.is_empty(),
            _ => false,
        };
        assert!(expected, "{error:?}");
        assert!(!error.verdict().nothing_done);
    }
}

/// The address of a server that writes the head, and then parts without an end; and how many bytes it could write.
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
        ..max_attempts(1)
    }
}

/// A provider at this address that must respond within so many milliseconds.
async fn hasty(uri: &str, millis: u64) -> Fixture {
    let options = UpstreamOptions {
        request_timeout: Duration::from_millis(millis),
        ..small()
    };
    Fixture::at(uri, options).await
}

#[tokio::test]
async fn a_read_that_is_dropped_loses_nothing_of_a_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let compressed = coded("gzip", LIST).await;
    let (start_body, body_starts) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        stream.write_all(OK_GZIP.as_bytes()).await.unwrap();
        body_starts.await.unwrap();
        stream.write_all(&compressed).await.unwrap();
    });
    let acme = Fixture::at(&uri, options()).await;
    let request = ProxyRequest {
        decompress: true,
        ..ProxyRequest::new(Method::GET, "/x")
    };
    let mut response = acme.proxy(request).await.unwrap();

    assert!(response.body.part().now_or_never().is_none());
    start_body.send(()).unwrap();
    assert_eq!(read(&mut response).await, LIST);
}

#[rstest]
#[case::endless(OK)]
#[case::of_500_mb(HUGE)]
#[tokio::test]
async fn a_body_that_is_too_large_ends_at_the_limit(#[case] head: &'static str) {
    let (uri, written) = endless(head, vec![b'0'; 1 << 16], Duration::ZERO).await;
    let error = Fixture::at(&uri, small()).await.get().await.unwrap_err();
    let shown = error.to_string();
    assert!(
        matches!(error, RequestError::TooLarge { limit, .. } if limit == 2 * MB),
        "{error:?}"
    );
    for part in ["127.0.0.1", "2 MiB", "upstream.max_body_mb"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(written.load(Ordering::SeqCst) < 64 * MB);
}

#[rstest]
#[tokio::test]
async fn a_compression_bomb_ends_at_the_limit_of_decoded_bytes(
    #[values("gzip", "deflate", "br", "zstd", "gzip, gzip", "br, zstd")] codings: &str,
) {
    let bomb = response_in(codings, &vec![b'0'; 16 * MB]).await;
    let mut acme = Fixture::responding(bomb).await;
    acme.upstream = upstream(small());
    let error = acme.get().await.unwrap_err();
    assert!(matches!(error, RequestError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn an_endlessly_trickling_body_ends_with_the_attempt() {
    let (uri, _) = endless(OK, b"0,".to_vec(), Duration::from_millis(20)).await;
    let error = hasty(&uri, 300).await.get().await.unwrap_err();
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
    let failed = hasty(&uri, 500).await.failed_action(Request::get("/x")).await;
    let error = failed.error.provider().unwrap();
    assert!(error.status == 401 && error.unauthorized, "{error:?}");
    assert!(failed.response.unwrap().body.to_string().len() < 5_000);
    // What the system keeps of a connection is not read.
    assert!(written.load(Ordering::SeqCst) < 16 * MB);
}

#[tokio::test]
async fn a_success_of_very_many_values_is_not_read_into_memory() {
    let acme = Fixture::start().await;
    let values = format!("{{\"x\":[{}0]}}", "0,".repeat(600_000));
    let values = status(200).set_body_raw(values, "application/json");
    acme.respond("POST /x", values).await;
    let error = acme.failed_action(post("/x")).await.error;
    assert!(error.to_string().contains("500000 values"), "{error}");
}

#[tokio::test]
async fn other_syncs_continue_during_endless_bodies() {
    let compressed = coded("gzip", &vec![b'0'; MB]).await;
    let (uri, _) = endless(OK_GZIP, compressed, Duration::from_millis(5)).await;
    let acme = Fixture::responding(response_in("gzip", &vec![b'1'; MB]).await).await;
    // 3 MB for syncs: less than the hostile bodies want together.
    let upstream = upstream(UpstreamOptions {
        memory: 4 * MB,
        max_body: 8 * MB,
        ..max_attempts(1)
    });
    let of = |uri: &str, id: i64, priority: Priority| {
        let mut provider = provider(uri);
        provider.name = format!("acme-{id}").parse().unwrap();
        Target {
            connection: Some(domain::ConnectionId::from_raw(id)),
            priority,
            ..target(provider)
        }
    };
    let hostile: Vec<_> = (1..=4)
        .map(|_| {
            let (upstream, target) = (upstream.clone(), of(&uri, 1, Priority::Background));
            tokio::spawn(async move { upstream.fetch(&target, Request::get("/x")).await })
        })
        .collect();
    let uri = acme.server.uri();
    let (sync, action) = (
        of(&uri, 2, Priority::Background),
        of(&uri, 3, Priority::Interactive),
    );
    for _ in 0..10 {
        let page = upstream.fetch(&sync, Request::get("/x")).await.unwrap();
        assert_eq!(page.body.len(), MB);
        drop(page);
        upstream.fetch(&action, Request::get("/x")).await.unwrap();
    }
    for body in hostile {
        let error = body.await.unwrap().unwrap_err();
        assert!(matches!(error, RequestError::TooLarge { .. }), "{error:?}");
    }
}
