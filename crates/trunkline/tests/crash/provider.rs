//! A provider that sends webhooks and repeats each request until it is accepted or refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The header that identifies a status callback.
const TOKEN: &str = "i-twilio-idempotency-token";
/// The query of requests that must be refused.
pub(crate) const FORGED: &str = "forged=1";

/// Repeats the simulator's requests at the living processes, some of them late.
pub(crate) struct Provider {
    /// Takes the simulator's requests.
    pub(crate) origin: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The URLs of the living processes.
    urls: Mutex<Vec<String>>,
    dice: Mutex<Option<StdRng>>,
    /// Requests without a final response.
    open: AtomicUsize,
    /// Attempts that ended without a final response.
    repeated: AtomicUsize,
    ended: Mutex<Ended>,
}

/// The requests with a final response.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ended {
    /// The ids of the events that were accepted.
    pub(crate) accepted: BTreeSet<String>,
    /// How many requests were refused.
    pub(crate) refused: usize,
    /// Forged requests that were accepted, genuine ones that were refused, and other responses.
    pub(crate) wrong: Vec<String>,
}

/// A request of the simulator.
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Provider {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            dice: Mutex::new(Some(StdRng::seed_from_u64(seed))),
            ..Shared::default()
        });
        let http = reqwest::Client::builder().build().unwrap();
        let of_tasks = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&of_tasks), http.clone()));
            }
        });
        Self { origin, shared }
    }

    /// Sets the URLs of the processes that take requests.
    pub(crate) fn set_urls(&self, urls: Vec<String>) {
        *self.shared.urls.lock().unwrap() = urls;
    }

    /// Returns how many requests have no final response yet.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Returns how many attempts were repeated.
    pub(crate) fn repeated(&self) -> usize {
        self.shared.repeated.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> Ended {
        self.shared.ended.lock().unwrap().clone()
    }
}

/// Takes the requests of a connection. The simulator gets its response at once.
async fn take(mut stream: TcpStream, shared: Arc<Shared>, http: reqwest::Client) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        shared.open.fetch_add(1, Ordering::SeqCst);
        let (shared, http) = (Arc::clone(&shared), http.clone());
        tokio::spawn(async move {
            deliver(&request, &shared, &http).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(response).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some((request, length)) = parse(buffer) {
            buffer.drain(..length);
            return Some(request);
        }
        let count = stream.read_buf(buffer).await.ok()?;
        if count == 0 {
            return None;
        }
    }
}

/// Returns a request and its length once it is complete.
fn parse(buffer: &[u8]) -> Option<(Request, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..end]).unwrap();
    let path = head.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().unwrap();
    let body = buffer.get(end..end + length)?.to_vec();
    let request = Request { path, headers, body };
    Some((request, end + length))
}

/// Sends a request until it has a final response. Some are first sent late, and so after later ones.
async fn deliver(request: &Request, shared: &Shared, http: &reqwest::Client) {
    let forged = request.path.contains(FORGED);
    if let Some(wait) = shared.delay() {
        tokio::time::sleep(wait).await;
    }
    loop {
        if let Some(url) = shared.any_url() {
            match send(request, &url, http).await {
                Some(200) if !forged => {
                    let ids = event_ids(&request.headers, &request.body);
                    return shared.ended.lock().unwrap().accepted.extend(ids);
                }
                Some(401) if forged => {
                    shared.ended.lock().unwrap().refused += 1;
                    return;
                }
                // Busy, or killed.
                Some(503) | None => {}
                Some(status) => {
                    let body = String::from_utf8_lossy(&request.body);
                    let wrong = format!("{status} for {} {body}", request.path);
                    return shared.ended.lock().unwrap().wrong.push(wrong);
                }
            }
            shared.repeated.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn send(request: &Request, url: &str, http: &reqwest::Client) -> Option<u16> {
    let mut sent = http.post(format!("{url}{}", request.path));
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "host" | "content-length" | "connection") {
            sent = sent.header(name, value);
        }
    }
    let sent = sent.body(request.body.clone()).timeout(Duration::from_secs(10));
    Some(sent.send().await.ok()?.status().as_u16())
}

impl Shared {
    fn any_url(&self) -> Option<String> {
        let urls = self.urls.lock().unwrap();
        let mut dice = self.dice.lock().unwrap();
        let dice = dice.as_mut().unwrap();
        (!urls.is_empty()).then(|| urls[dice.random_range(0..urls.len())].clone())
    }

    /// Returns the delay of one request in five.
    fn delay(&self) -> Option<Duration> {
        let mut dice = self.dice.lock().unwrap();
        let dice = dice.as_mut().unwrap();
        let late = dice.random_range(0..5) == 0;
        late.then(|| Duration::from_millis(dice.random_range(1..800)))
    }
}

/// Returns the ids of the events in a request: that of each event of Event Streams, or the token of a status callback.
pub(crate) fn event_ids(headers: &BTreeMap<String, String>, body: &[u8]) -> Vec<String> {
    match serde_json::from_slice(body) {
        Ok(Json::Array(events)) => {
            let id = |event: &Json| event["id"].as_str().unwrap().to_owned();
            events.iter().map(id).collect()
        }
        _ => vec![headers[TOKEN].clone()],
    }
}
