//! HTTP clients that load a server. Each keeps one connection and sends the next request as soon as it has a response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::app::API_KEY;

/// The results of the clients.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) requests: usize,
    pub(crate) per_second: f64,
    /// Latency of the responses in milliseconds: median and 99th percentile.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The server, headers and paths of requests.
#[derive(Clone)]
pub(crate) struct Target {
    address: String,
    headers: HeaderMap,
    paths: Arc<Vec<String>>,
}

impl Target {
    /// Creates a target with random requests for `paths`.
    pub(crate) fn new(address: &str, paths: Vec<String>) -> Self {
        Self {
            address: address.to_owned(),
            headers: HeaderMap::new(),
            paths: Arc::new(paths),
        }
    }

    /// Adds the API key.
    pub(crate) fn with_key(self) -> anyhow::Result<Self> {
        self.with(AUTHORIZATION, &format!("Bearer {API_KEY}"))
    }

    /// Adds a header to each request.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> anyhow::Result<Self> {
        self.headers.insert(name, HeaderValue::from_str(value)?);
        Ok(self)
    }
}

/// One client.
pub(crate) struct Client {
    headers: HeaderMap,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the server of `target`.
    pub(crate) async fn connect(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.address)
            .await
            .with_context(|| format!("cannot connect to {}", target.address))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The task ends with the sender, and the pending request receives its error.
        tokio::spawn(connection);
        let mut headers = target.headers.clone();
        headers.insert(HOST, HeaderValue::from_str(&target.address)?);
        Ok(Self { headers, sender })
    }

    /// Requests a path and returns the body. The status must be 200.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK,
            "{path} returns {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    /// Requests a path and returns the length of the body, without keeping it. The status must be 200.
    pub(crate) async fn length(&mut self, path: &str) -> anyhow::Result<u64> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "{path} returns {status}");
        let (mut body, mut length) = (answer.into_body(), 0);
        while let Some(frame) = body.frame().await {
            let part = frame?.into_data().map(|part| part.len()).unwrap_or_default();
            length += u64::try_from(part)?;
        }
        Ok(length)
    }

    /// Posts JSON and returns the status.
    pub(crate) async fn post(&mut self, path: &str, json: String) -> anyhow::Result<StatusCode> {
        let json_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        self.post_with(path, json_type, json.into()).await
    }

    /// Posts a body with further headers and returns the status.
    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> anyhow::Result<StatusCode> {
        let answer = self.send_with(Method::POST, path, headers, body).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        self.send_with(method, path, [], body).await
    }

    async fn send_with(
        &mut self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = path.parse()?;
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().extend(headers);
        *request.method_mut() = method;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// Runs `clients` for `duration`.
pub(crate) async fn run(target: &Target, clients: usize, duration: Duration) -> anyhow::Result<Load> {
    let mut running = JoinSet::new();
    let start = Instant::now();
    for number in 0..clients {
        let server = target.clone();
        running.spawn(async move {
            let mut client = Client::connect(&server).await?;
            let mut rng = Rng::new(number);
            let mut took = Vec::new();
            while start.elapsed() < duration {
                let path = rng.pick(&server.paths).context("there is no path to request")?;
                let sent = Instant::now();
                client.length(path).await?;
                took.push(sent.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(of_client) = running.join_next().await {
        took.extend(of_client??);
    }
    let elapsed = start.elapsed();
    took.sort_unstable();
    let within = |hundredths: usize| {
        let place = (took.len() * hundredths / 100).min(took.len().saturating_sub(1));
        took.get(place).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    Ok(Load {
        clients,
        requests: took.len(),
        per_second: crate::report::float(u64::try_from(took.len())?) / elapsed.as_secs_f64(),
        p50: within(50),
        p99: within(99),
    })
}

/// Pseudo-random numbers that are the same in every run (SplitMix64).
struct Rng(u64);

impl Rng {
    fn new(number: usize) -> Self {
        Self(u64::try_from(number).unwrap_or_default())
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let count = u64::try_from(of.len()).ok().filter(|count| *count > 0)?;
        of.get(usize::try_from(mixed % count).ok()?)
    }
}
