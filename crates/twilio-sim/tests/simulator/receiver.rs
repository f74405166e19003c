//! A receiver of webhooks: a small HTTP server that records requests and answers as a test says.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use twilio_sim::{SimConfig, Simulator, WebhookEntry};
use url::form_urlencoded;

use crate::client::frozen;

/// The public origin that the tests' simulators route to the receiver.
pub(crate) const ORIGIN: &str = "https://hooks.example.com";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// With lower-case names.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }

    /// Returns a parameter of the form or the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(self.body.as_bytes())
            .chain(form_urlencoded::parse(query.as_bytes()))
            .find_map(|(own, value)| (own == name).then(|| value.into_owned()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns whether the signature is that of the main account's auth token.
    pub(crate) fn is_signed(&self, simulator: &Simulator) -> bool {
        let url = format!("{ORIGIN}{}", self.target);
        simulator.sign(&url, &self.form()) == self.header("x-twilio-signature")
    }
}

/// What to answer: a status, more header lines, and a pause before it. Status 0 closes the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply(pub(crate) u16, pub(crate) &'static str, pub(crate) Duration);

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self(status, "", Duration::ZERO)
    }
}

#[derive(Debug, Default)]
struct State {
    received: Mutex<Vec<Received>>,
    replies: Mutex<VecDeque<Reply>>,
    connections: Mutex<usize>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<State>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                *shared.connections.lock().unwrap() += 1;
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { url, state }
    }

    /// Answers the next requests with these replies; those after get 204.
    pub(crate) fn reply_with(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.replies.lock().unwrap().extend(replies);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// Returns this parameter of every request.
    pub(crate) fn parameters(&self, name: &str) -> Vec<String> {
        self.received()
            .iter()
            .map(|one| one.parameter(name).unwrap_or_default())
            .collect()
    }
}

fn serve(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        state.received.lock().unwrap().push(request);
        let next = state.replies.lock().unwrap().pop_front();
        let Reply(status, headers, pause) = next.unwrap_or_else(|| Reply::status(204));
        std::thread::sleep(pause);
        if status == 0 {
            return;
        }
        let length = if status == 204 {
            ""
        } else {
            "Content-Length: 2\r\n"
        };
        let body = if status == 204 { "" } else { "ok" };
        let head = format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}");
        if (&*stream).write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        method,
        target,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

/// Starts a receiver, and a simulator that routes the public origin to it.
pub(crate) fn with_receiver() -> (Simulator, Receiver) {
    configured(frozen(0, 5))
}

pub(crate) fn configured(config: SimConfig) -> (Simulator, Receiver) {
    let simulator = Simulator::start(config).unwrap();
    let receiver = Receiver::start();
    simulator.route_webhooks(ORIGIN, &receiver.url);
    (simulator, receiver)
}

/// Waits until every webhook that is due has ended, and returns the log.
pub(crate) fn settled(simulator: &Simulator) -> Vec<WebhookEntry> {
    wait_until("the webhooks have ended", || simulator.webhooks_idle());
    simulator.webhooks().entries.into_iter().collect()
}

pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
