//! Clients of a server: each keeps one connection and asks again as soon as it has its answer.

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

/// What the clients saw.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) requests: usize,
    pub(crate) per_second: f64,
    /// Milliseconds within which half of the answers came, and 99 of 100.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Where clients ask, and what for.
#[derive(Clone)]
pub(crate) struct Asked {
    address: String,
    headers: HeaderMap,
    paths: Arc<Vec<String>>,
}

impl Asked {
    /// Any of `paths`, at random.
    pub(crate) fn new(address: &str, paths: Vec<String>) -> Self {
        Self {
            address: address.to_owned(),
            headers: HeaderMap::new(),
            paths: Arc::new(paths),
        }
    }

    /// With the API's key.
    pub(crate) fn with_key(self) -> anyhow::Result<Self> {
        self.with(AUTHORIZATION, &format!("Bearer {API_KEY}"))
    }

    /// With a header of each request.
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
    /// A client of the server at `asked`.
    pub(crate) async fn connect(asked: &Asked) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&asked.address)
            .await
            .with_context(|| format!("connecting to {}", asked.address))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; an error of it reaches who waits for an answer.
        tokio::spawn(connection);
        let mut headers = asked.headers.clone();
        headers.insert(HOST, HeaderValue::from_str(&asked.address)?);
        Ok(Self { headers, sender })
    }

    /// The body of the answer, which must be 200.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK,
            "{path} answers {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    /// The length of the answer's body, of which nothing is kept; the answer must be 200.
    pub(crate) async fn length(&mut self, path: &str) -> anyhow::Result<u64> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "{path} answers {status}");
        let (mut body, mut length) = (answer.into_body(), 0);
        while let Some(frame) = body.frame().await {
            let part = frame?.into_data().map(|part| part.len()).unwrap_or_default();
            length += u64::try_from(part)?;
        }
        Ok(length)
    }

    /// Sends JSON and gives the status.
    pub(crate) async fn post(&mut self, path: &str, json: String) -> anyhow::Result<StatusCode> {
        let answer = self.send(Method::POST, path, json.into()).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = path.parse()?;
        request.headers_mut().clone_from(&self.headers);
        if method == Method::POST {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        *request.method_mut() = method;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// Lets `clients` ask for so long.
pub(crate) async fn run(asked: &Asked, clients: usize, duration: Duration) -> anyhow::Result<Load> {
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for number in 0..clients {
        let server = asked.clone();
        asking.spawn(async move {
            let mut client = Client::connect(&server).await?;
            let mut dice = Dice::new(number);
            let mut took = Vec::new();
            while start.elapsed() < duration {
                let path = dice.pick(&server.paths).context("there is no path to ask for")?;
                let asked = Instant::now();
                client.length(path).await?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(of_client) = asking.join_next().await {
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

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
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
