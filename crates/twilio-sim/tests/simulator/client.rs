//! A minimal client that shows what others hide: truncated bodies, raw headers, compressed bytes.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use twilio_sim::{SimConfig, Simulator};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The body ended before its announced length.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status and Twilio's code.
    pub(crate) fn refusal(&self) -> (u16, u64) {
        (self.status, self.json()["code"].as_u64().unwrap_or_default())
    }
}

/// Sends one request to the simulator's own address.
pub(crate) fn exchange(
    url: &str,
    method: &str,
    path: &str,
    auth: Option<(&str, &str)>,
    headers: &str,
    body: &str,
) -> Answer {
    exchange_as(url, "sim", method, path, auth, headers, body)
}

/// Sends one request for `host`.
pub(crate) fn exchange_as(
    url: &str,
    host: &str,
    method: &str,
    path: &str,
    auth: Option<(&str, &str)>,
    headers: &str,
    body: &str,
) -> Answer {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let auth = auth.map_or_else(String::new, |(name, secret)| {
        format!(
            "Authorization: Basic {}\r\n",
            STANDARD.encode(format!("{name}:{secret}"))
        )
    });
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{auth}{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut raw = Vec::new();
    let cut_short = stream.read_to_end(&mut raw).is_err();
    let split = raw
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = raw[split + 4..].to_vec();
    if headers
        .get("transfer-encoding")
        .is_some_and(|encoding| encoding == "chunked")
    {
        body = unchunk(&body);
    }
    let announced = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(body.len());
    Answer {
        status,
        cut: cut_short || body.len() < announced,
        headers,
        body,
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
        if size == 0 {
            break;
        }
    }
    out
}

/// The time of the tests' clocks: a Friday, at noon.
pub(crate) fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

pub(crate) fn frozen(messages: u64, history_days: u32) -> SimConfig {
    SimConfig {
        messages,
        history_days,
        now: Some(noon()),
        seed: 11,
        ..SimConfig::default()
    }
}

pub(crate) fn start(messages: u64, history_days: u32) -> Simulator {
    Simulator::start(frozen(messages, history_days)).unwrap()
}

pub(crate) fn get(simulator: &Simulator, path: &str) -> Answer {
    let known = simulator.credentials();
    exchange(
        &simulator.url(),
        "GET",
        path,
        Some((&known.account_sid, &known.auth_token)),
        "",
        "",
    )
}

pub(crate) fn send(simulator: &Simulator, method: &str, path: &str, form: &str) -> Answer {
    let known = simulator.credentials();
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    exchange(
        &simulator.url(),
        method,
        path,
        Some((&known.account_sid, &known.auth_token)),
        kind,
        form,
    )
}

/// Returns a path of the main account.
pub(crate) fn account_path(simulator: &Simulator, rest: &str) -> String {
    format!(
        "/2010-04-01/Accounts/{}/{rest}",
        simulator.credentials().account_sid
    )
}

/// Returns the main account's first number, encoded for a form.
pub(crate) fn own_number(simulator: &Simulator) -> String {
    simulator.assets().numbers[0].replace('+', "%2B")
}

pub(crate) fn messages_path(simulator: &Simulator, rest: &str) -> String {
    format!(
        "/2010-04-01/Accounts/{}/Messages{rest}",
        simulator.credentials().account_sid
    )
}

/// Returns a list's path with this query.
pub(crate) fn listing(simulator: &Simulator, query: &str) -> String {
    messages_path(simulator, &format!(".json?{query}"))
}

pub(crate) fn records(page: &Value) -> Vec<Value> {
    page["messages"].as_array().expect("messages").clone()
}

/// Follows the next links to the end; calls `between` after each page.
pub(crate) fn page_through(simulator: &Simulator, query: &str, mut between: impl FnMut(usize)) -> Vec<Value> {
    let mut path = listing(simulator, query);
    let mut all = Vec::new();
    for page in 0.. {
        let response = get(simulator, &path);
        assert_eq!(response.status, 200, "{}", response.text());
        let body = response.json();
        all.extend(records(&body));
        between(page);
        match body["next_page_uri"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    all
}

pub(crate) fn sid(message: &Value) -> String {
    message["sid"].as_str().unwrap().to_owned()
}

pub(crate) fn date(message: &Value, field: &str) -> Option<DateTime<Utc>> {
    message[field]
        .as_str()
        .map(|text| DateTime::parse_from_rfc2822(text).unwrap().with_timezone(&Utc))
}

/// Returns every live message as JSON.
pub(crate) fn truth(simulator: &Simulator) -> Vec<Value> {
    let mut all = Vec::new();
    simulator.for_each_truth(|message| all.push(serde_json::to_value(message).unwrap()));
    all
}
