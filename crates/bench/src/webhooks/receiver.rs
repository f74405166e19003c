//! The receiver of the app's webhooks, and its own limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::report::float;
use crate::webhooks::outgoing::CONCURRENCY;

/// A receiver that responds 204 at once, and notes when each event arrived.
pub(super) struct Receiver {
    pub(super) url: String,
    got: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr()?),
            got: Arc::default(),
            arrived: Arc::default(),
        };
        let (got, arrived) = (Arc::clone(&receiver.got), Arc::clone(&receiver.arrived));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&got), Arc::clone(&arrived)));
            }
        });
        Ok(receiver)
    }

    pub(super) fn reset(&self) {
        self.arrived.lock().clear();
        self.got.store(0, Ordering::Relaxed);
    }

    pub(super) fn arrived(&self) -> Vec<(usize, Instant)> {
        self.arrived.lock().clone()
    }

    pub(super) async fn wait_for(&self, total: usize) -> anyhow::Result<()> {
        let waiting = async {
            while self.got.load(Ordering::Relaxed) < total {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(10), waiting).await;
        waited.context("the receiver did not get all events")
    }
}

/// Serves the requests of a connection, one after another.
async fn serve(mut stream: TcpStream, got: Arc<AtomicUsize>, arrived: Arc<Mutex<Vec<(usize, Instant)>>>) {
    drop(stream.set_nodelay(true));
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let Some((head, length)) = head_and_length(&buffer) else {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(count) if count > 0) {
                return;
            }
            continue;
        };
        if buffer.len() < head + length {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(count) if count > 0) {
                return;
            }
            continue;
        }
        let at = Instant::now();
        let body = buffer.get(head..head + length).unwrap_or_default();
        if let Some(number) = number_in(body) {
            arrived.lock().push((number, at));
        }
        got.fetch_add(1, Ordering::Relaxed);
        buffer.drain(..head + length);
        if stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Returns where the body begins, and its length, once the head is complete.
fn head_and_length(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(buffer.get(..end)?).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    Some((end + 4, length.parse().ok()?))
}

/// The number of an event in its body.
fn number_in(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.split_once("\"n\":")?;
    let digits = after.find(|c: char| !c.is_ascii_digit())?;
    after.get(..digits)?.parse().ok()
}

/// Requests a second of clients that only send: as many as the endpoint has deliveries at a time.
pub(super) async fn floor(receiver: &Receiver, requests: u32) -> anyhow::Result<f64> {
    receiver.reset();
    let address = receiver
        .url
        .trim_start_matches("http://")
        .trim_end_matches("/hook")
        .to_owned();
    let each = usize::try_from(requests)? / CONCURRENCY;
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..CONCURRENCY {
        let address = address.clone();
        clients.spawn(async move {
            let mut stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            // As long as a delivery.
            let body = "x".repeat(250);
            let request = format!(
                "POST /hook HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nwebhook-padding: {}\r\ncontent-length: {}\r\n\r\n{body}",
                "x".repeat(350),
                body.len()
            );
            let mut response = [0; 256];
            for _ in 0..each {
                stream.write_all(request.as_bytes()).await?;
                let count = stream.read(&mut response).await?;
                ensure!(count > 0, "the receiver closed the connection");
            }
            Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(float(u64::try_from(each * CONCURRENCY)?) / began.elapsed().as_secs_f64())
}
