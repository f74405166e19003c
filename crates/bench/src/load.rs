//! Clients of the API: each keeps one connection and asks again as soon as it has its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
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

/// One client.
pub(crate) struct Client {
    address: String,
    sender: SendRequest<Empty<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .context("connecting to the API")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; an error of it reaches who waits for an answer.
        tokio::spawn(connection);
        Ok(Self {
            address: address.to_owned(),
            sender,
        })
    }

    /// The body of the answer, which must be 200.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let request = Request::get(path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, format!("Bearer {API_KEY}"))
            .body(Empty::new())?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK,
            "{path} answers {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }
}

/// Lets `clients` ask for any of `paths`, at random, for so long.
pub(crate) async fn run(
    address: &str,
    paths: &Arc<Vec<String>>,
    clients: usize,
    duration: Duration,
) -> anyhow::Result<Load> {
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for number in 0..clients {
        let (address, paths) = (address.to_owned(), Arc::clone(paths));
        asking.spawn(async move {
            let mut client = Client::connect(&address).await?;
            let mut dice = Dice::new(number);
            let mut took = Vec::new();
            while start.elapsed() < duration {
                let path = dice.pick(&paths).context("there is no path to ask for")?;
                let asked = Instant::now();
                client.get(path).await?;
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
