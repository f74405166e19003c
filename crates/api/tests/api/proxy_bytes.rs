//! The proxy against a minimal provider: which bytes arrive, and when.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use testkit::{AppBuilder, Dialect, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

const KEY: &str = "SG.abcdefghijklmnopqrstuv.wxyz";
/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The head of a request, and its connection after the head.
struct Seen {
    head: String,
    /// The part of the body that came with the head.
    start: Vec<u8>,
    socket: TcpStream,
}

impl Seen {
    /// Reads the rest of a body of `length` bytes.
    async fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.start);
        while body.len() < length {
            let mut part = vec![0; 64 << 10];
            let read = self.socket.read(&mut part).await.unwrap();
            assert!(read > 0, "the body ends early");
            body.extend_from_slice(&part[..read]);
        }
        body
    }

    async fn respond(&mut self, text: &str) {
        let _ = self.socket.write_all(text.as_bytes()).await;
    }
}

/// Starts the provider and an app with a connection to it.
async fn with<F: Future<Output = ()>>(
    answering: impl Fn(Seen) -> Answering + Send + Sync + 'static,
    test: impl FnOnce(TestApp) -> F,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = Arc::new(answering);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answering = Arc::clone(&answering);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let end = loop {
                    let mut part = [0; 4096];
                    match socket.read(&mut part).await {
                        Ok(read) if read > 0 => bytes.extend_from_slice(&part[..read]),
                        _ => return,
                    }
                    if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                        break end + 4;
                    }
                };
                let start = bytes.split_off(end);
                let head = String::from_utf8(bytes).unwrap();
                let mut seen = Seen { head, start, socket };
                if seen.head.starts_with("GET /v3/scopes ") {
                    let response =
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 13\r\n\r\n{\"scopes\":[]}";
                    seen.respond(response).await;
                } else {
                    answering(seen).await;
                }
            });
        }
    });
    let builder = AppBuilder::default()
        .provider_url("sendgrid", &url)
        .upstream(|options| {
            // The list check of a connect would get the responses that are meant for proxied requests.
            options.list_check = Duration::ZERO;
        });
    let Some(app) = builder.start(Dialect::Sqlite).await else {
        return;
    };
    let body = json!({ "connectionId": "mail", "apiKey": KEY });
    app.admin().post("/sendgrid/connect", &body).await.expect(201);
    tokio::time::timeout(PATIENCE, test(app)).await.unwrap();
}

fn call(app: &TestApp, method: &str, path: &str) -> RequestBuilder {
    app.admin()
        .request(
            Method::from_bytes(method.as_bytes()).unwrap(),
            &format!("/proxy{path}"),
        )
        .header("Provider-Config-Key", "sendgrid")
        .header("Connection-Id", "mail")
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// A provider that responds with each of these texts in turn, and reports the requests.
fn responses(
    texts: &'static [&'static str],
) -> (
    impl Fn(Seen) -> Answering + Send + Sync + 'static,
    Arc<Mutex<Vec<String>>>,
) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&requests);
    let answering = move |mut seen: Seen| -> Answering {
        let number = {
            let mut heads = heads.lock().unwrap();
            heads.push(seen.head.clone());
            heads.len()
        };
        Box::pin(async move {
            let text = texts[(number - 1).min(texts.len() - 1)];
            seen.respond(text).await;
        })
    };
    (answering, requests)
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_query_and_method_arrive_as_they_were_written() {
    let (provider, requests) = responses(&[OK]);
    with(provider, async |app| {
        for (method, path) in [
            ("GET", "/a//b%2Fc/?x=%2f&y=+&x=1"),
            ("GET", "/"),
            ("PROPFIND", "/calendars/me/"),
            ("REPORT", "/calendars/me/"),
            ("DELETE", "/v3/a?force=true"),
            ("PATCH", "/v3/a"),
        ] {
            let reply = send(call(&app, method, path)).await;
            assert_eq!(reply.status(), 200, "{method}");
            let line = requests
                .lock()
                .unwrap()
                .last()
                .unwrap()
                .lines()
                .next()
                .unwrap()
                .to_owned();
            assert_eq!(line, format!("{method} {path} HTTP/1.1"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_normalised_by_the_standard_and_otherwise_unchanged() {
    let (provider, requests) = responses(&[OK]);
    with(provider, async |app| {
        // A client would normalise the URL itself, so the request is written by hand.
        let sample = call(&app, "GET", "/x").build().unwrap();
        let place = sample.url().socket_addrs(|| None).unwrap();
        let key = app.admin().key().unwrap();
        let mut socket = TcpStream::connect(place[0]).await.unwrap();
        let head = format!(
            "GET //proxy/a/./b/../c'/%27?q='it'&r=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Provider-Config-Key: sendgrid\r\nConnection-Id: mail\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut reply = String::new();
        socket.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        let requests = requests.lock().unwrap().pop().unwrap();
        assert_eq!(requests.lines().next().unwrap(), "GET /a/c'/%27?q=%27it%27&r=1 HTTP/1.1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_arrives_byte_for_byte_with_its_type_and_the_forwarded_headers() {
    const BODY: &str = "{ \"big\": 12345678901234567890123, \"b\":1.10 , \"a\": [ ] }";
    let (sender, mut bodies) = mpsc::unbounded_channel();
    let provider = move |mut seen: Seen| -> Answering {
        let sender = sender.clone();
        Box::pin(async move {
            let body = seen.body(BODY.len()).await;
            sender.send((seen.head.to_ascii_lowercase(), body)).unwrap();
            seen.respond(OK).await;
        })
    };
    with(provider, async |app| {
        let request = call(&app, "POST", "/v3/mail")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("Cookie", "mine=1")
            .header("X-Mine", "1")
            .header("nango-proxy-X-Theirs", "2")
            .body(BODY);
        assert_eq!(send(request).await.status(), 200);

        let (head, body) = bodies.recv().await.unwrap();
        assert_eq!(body, BODY.as_bytes());
        for line in [
            "content-type: application/json; charset=utf-8",
            "x-theirs: 2",
            &format!("content-length: {}", BODY.len()),
            &format!("authorization: bearer {}", KEY.to_ascii_lowercase()),
        ] {
            assert!(head.contains(line), "{line} is missing in {head}");
        }
        for name in [
            "cookie",
            "x-mine",
            "provider-config-key",
            "transfer-encoding",
            "accept-encoding",
        ] {
            assert!(!head.contains(&format!("\r\n{name}:")), "{name} in {head}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_response_headers_are_returned_except_hop_by_hop_ones() {
    let (provider, _) = responses(&[
        "HTTP/1.1 207 Multi\r\nLink: <a>; rel=next\r\nETag: \"1\"\r\nRetry-After: 7\r\nX-RateLimit-Remaining: 3\r\n\
         X-Request-Id: theirs\r\nX-Twice: 1\r\nX-Twice: 2\r\nSet-Cookie: a=b\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x1f\x08\r\n0\r\n\r\n",
    ]);
    with(provider, async |app| {
        let reply = send(call(&app, "GET", "/x")).await;
        let headers = reply.headers().clone();
        assert_eq!(reply.status(), 207);
        for (name, value) in [
            ("link", "<a>; rel=next"),
            ("etag", "\"1\""),
            ("retry-after", "7"),
            ("x-ratelimit-remaining", "3"),
            ("x-request-id", "theirs"),
            ("content-encoding", "gzip"),
            ("trunkline-upstream-status", "207"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert_eq!(headers.get_all("x-twice").iter().count(), 2);
        assert!(headers.contains_key("trunkline-request-id"));
        for name in ["set-cookie", "x-hop", "keep-alive", "content-length"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(
            reply.bytes().await.unwrap().as_ref(),
            b"\x1f\x08",
            "nothing decompresses"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_streamed_before_its_end_is_sent() {
    let (go_on, wait) = oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let provider = move |mut seen: Seen| -> Answering {
        let wait = wait.lock().unwrap().take();
        Box::pin(async move {
            seen.respond("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
                .await;
            wait.unwrap().await.unwrap();
            seen.respond("-last").await;
        })
    };
    with(provider, async |app| {
        let mut reply = send(call(&app, "GET", "/x")).await;
        assert_eq!(reply.content_length(), Some(10));
        assert_eq!(reply.chunk().await.unwrap().unwrap().as_ref(), b"first");
        go_on.send(()).unwrap();
        assert_eq!(reply.chunk().await.unwrap().unwrap().as_ref(), b"-last");
        assert_eq!(reply.chunk().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_streamed_while_it_arrives() {
    let (sender, mut parts) = mpsc::unbounded_channel();
    let provider = move |mut seen: Seen| -> Answering {
        let sender = sender.clone();
        Box::pin(async move {
            let mut all = Vec::new();
            while !all.windows(4).any(|four| four == b"last") {
                let part = seen.body(1).await;
                sender.send(()).unwrap();
                all.extend_from_slice(&part);
            }
            seen.respond(OK).await;
        })
    };
    with(provider, async |app| {
        let (feed, body) = mpsc::channel::<std::io::Result<&'static str>>(1);
        let body = futures::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
        let request = call(&app, "PUT", "/x").body(reqwest::Body::wrap_stream(Box::pin(body)));
        let sending = tokio::spawn(send(request));
        feed.send(Ok("first")).await.unwrap();
        parts.recv().await.unwrap();
        assert!(!sending.is_finished());
        feed.send(Ok("last")).await.unwrap();
        drop(feed);
        assert_eq!(sending.await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_passes_complete_in_both_directions() {
    const SIZE: usize = 8 << 20;
    let provider = move |mut seen: Seen| -> Answering {
        Box::pin(async move {
            assert!(
                seen.head
                    .to_ascii_lowercase()
                    .contains(&format!("content-length: {SIZE}")),
                "{}",
                seen.head
            );
            let body = seen.body(SIZE).await;
            seen.respond(&format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {SIZE}\r\n\r\n"
            ))
            .await;
            let _ = seen.socket.write_all(&body).await;
        })
    };
    with(provider, async |app| {
        let body: Vec<u8> = (0..=250_u8).cycle().take(SIZE).collect();
        let reply = send(call(&app, "POST", "/x").body(body.clone())).await;
        assert_eq!(reply.content_length(), u64::try_from(SIZE).ok());
        assert!(reply.bytes().await.unwrap() == body, "the bytes differ");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_without_a_body_stays_without_one() {
    let (provider, _) = responses(&[
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1234\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nconnection: close\r\netag: \"1\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nconnection: close\r\ncontent-length: 55\r\n\r\n",
    ]);
    with(provider, async |app| {
        let reply = send(call(&app, "HEAD", "/x")).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-length"], "1234");
        assert!(reply.bytes().await.unwrap().is_empty());
        for status in [204, 304, 304] {
            let reply = send(call(&app, "GET", "/x")).await;
            assert_eq!(reply.status(), status);
            assert!(reply.bytes().await.unwrap().is_empty());
        }
        // The connection can be used again.
        assert_eq!(send(call(&app, "GET", "/x")).await.status(), 304);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_breaks_off_is_not_taken_for_complete() {
    let (provider, _) =
        responses(&["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\nhalf"]);
    with(provider, async |app| {
        app.expect_error("Response payload stream error");
        let reply = send(call(&app, "GET", "/x")).await;
        assert_eq!(reply.status(), 200);
        assert!(reply.bytes().await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_is_retried_after_429_and_not_after_a_broken_connection() {
    const BUSY: &str =
        "HTTP/1.1 429 Too Many\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let (provider, requests) = responses(&[BUSY, OK, "", OK]);
    with(provider, async |app| {
        let post = || call(&app, "POST", "/x").header("Retries", "3").body("a");
        assert_eq!(send(post()).await.status(), 200);
        assert_eq!(requests.lock().unwrap().len(), 2);

        let reply = send(post()).await;
        assert_eq!(reply.status(), 502);
        let error: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "provider_unreachable");
        assert_eq!(requests.lock().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_provider_is_a_504_at_the_deadline() {
    let provider = |mut seen: Seen| -> Answering {
        Box::pin(async move {
            let _ = seen.socket.read(&mut [0; 16]).await;
        })
    };
    with(provider, async |app| {
        let reply = send(
            call(&app, "GET", "/x")
                .header("Trunkline-Deadline", "0.2")
                .header("Retries", "5"),
        )
        .await;
        assert_eq!(reply.status(), 504);
        let error: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "provider_timeout");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decompress_header_decompresses_the_response() {
    // `hi`, compressed with gzip.
    let provider = |mut seen: Seen| -> Answering {
        Box::pin(async move {
            const HI: [u8; 22] = [
                31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 200, 4, 0, 172, 42, 147, 216, 2, 0, 0, 0,
            ];
            seen.respond("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 22\r\n\r\n")
                .await;
            let _ = seen.socket.write_all(&HI).await;
        })
    };
    with(provider, async |app| {
        let reply = send(call(&app, "GET", "/x").header("Decompress", "true")).await;
        assert!(!reply.headers().contains_key("content-encoding"));
        assert_eq!(reply.text().await.unwrap(), "hi");
        let reply = send(call(&app, "GET", "/x")).await;
        assert_eq!(reply.headers()["content-encoding"], "gzip");
        assert_eq!(reply.headers()["content-length"], "22");
    })
    .await;
}
