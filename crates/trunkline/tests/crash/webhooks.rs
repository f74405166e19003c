//! `kill -9` while events are made and delivered to a receiver that fails at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::kills::Seed;
use crate::processes::{Process, SECRET_KEY, Sandbox};

/// Events and kills of the test; `TRUNKLINE_TEST_WEBHOOK_EVENTS` and `TRUNKLINE_TEST_WEBHOOK_KILLS` set others.
pub(crate) const EVENTS: usize = 300;
pub(crate) const KILLS: usize = 8;

#[expect(
    clippy::disallowed_methods,
    reason = "a longer form of the test is chosen from outside"
)]
pub(crate) fn set(variable: &str, default: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_postgres_lose_no_event_and_keep_the_order() {
    survive(Dialect::Postgres, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_sqlite_lose_no_event_and_keep_the_order() {
    survive(Dialect::Sqlite, 1).await;
}

/// What a receiver got, in order: the event's id, and whether it accepted it.
type Got = Arc<Mutex<Vec<(String, bool)>>>;

/// A receiver that refuses, delays and cuts off responses at random until `calm` is set.
async fn receiver(seed: u64, calm: Arc<AtomicBool>) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got = Got::default();
    let (kept, mut dice) = (Arc::clone(&got), StdRng::seed_from_u64(seed));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let fault = if calm.load(Ordering::Relaxed) {
                100
            } else {
                dice.random_range(0..100)
            };
            tokio::spawn(answer(stream, fault, Arc::clone(&kept)));
        }
    });
    (url, got)
}

/// Handles one request of a connection.
async fn answer(mut stream: TcpStream, fault: u32, got: Got) {
    if fault < 5 {
        // Dropped with unread data, the connection is reset.
        return;
    }
    let Some(id) = read_request(&mut stream).await else {
        return;
    };
    let (status, wait) = match fault {
        5..12 => ("500 Internal Server Error", 0),
        12..15 => ("429 Too Many Requests", 0),
        15..20 => ("204 No Content", 300),
        _ => ("204 No Content", 0),
    };
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let accepted = status.starts_with("204");
    if (20..24).contains(&fault) {
        // Accepted, but the sender never learns it.
        got.lock().unwrap().push((id, false));
        drop(stream.write_all(b"HTTP/1.1 20").await);
        return;
    }
    got.lock().unwrap().push((id, accepted));
    let response = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    drop(stream.write_all(response.as_bytes()).await);
}

/// Reads a request and returns its `webhook-id`.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let mut part = [0; 8_192];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let header = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        if body.len() >= header("content-length")?.parse::<usize>().ok()? {
            return header("webhook-id");
        }
    }
}

async fn survive(dialect: Dialect, processes: usize) {
    let app = AppBuilder::default()
        .simulator(|config| config.messages = 5)
        .system_clock()
        .start(dialect)
        .await;
    let Some(app) = app else { return };
    let seed = Seed(rand::random());
    let calm = Arc::new(AtomicBool::new(false));
    let (ordered_url, ordered) = receiver(seed.0, Arc::clone(&calm)).await;
    let (plain_url, plain) = receiver(seed.0 + 1, Arc::clone(&calm)).await;
    let mut waits = vec![0; 5];
    waits.extend([1; 20]);
    for (url, ordered) in [(&ordered_url, true), (&plain_url, false)] {
        let body = json!({
            "url": url, "ordered": ordered, "retry_seconds": waits, "timeout_seconds": 2, "events": ["connection.*"],
        });
        app.admin().post("/webhook-endpoints", &body).await.expect(201);
    }
    let mut sandbox = Sandbox::new(&app);
    sandbox.set("TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true");
    sandbox.set("TRUNKLINE_UPSTREAM__LIST_CHECK_SECONDS", "0");
    let command = ["serve", "--listen", "127.0.0.1:0"];
    let mut alive: Vec<Process> = (0..processes).map(|_| sandbox.start(&command)).collect();

    let (events, kills) = (
        set("TRUNKLINE_TEST_WEBHOOK_EVENTS", EVENTS),
        set("TRUNKLINE_TEST_WEBHOOK_KILLS", KILLS),
    );
    let mut dice = StdRng::seed_from_u64(seed.0);
    for number in 0..events {
        if number % (events / kills).max(1) == 0 {
            let victim = dice.random_range(0..alive.len());
            alive.swap_remove(victim).kill();
            alive.push(sandbox.start(&command));
        }
        let name = format!("c{}", dice.random_range(0..20));
        make_event(&app, &alive, &name).await;
    }
    calm.store(true, Ordering::Relaxed);
    wait_until("every delivery is delivered", async || {
        let listed = app
            .admin()
            .get("/webhook-deliveries?status=pending&limit=1")
            .await;
        let all = all_events(&app).await.len();
        let counted = [&ordered, &plain].map(|got| distinct(got).len());
        listed.expect(200).json()["deliveries"] == json!([]) && counted == [all, all]
    })
    .await;

    let all = all_events(&app).await;
    assert!(all.len() >= events, "{} of {events}", all.len());
    let ids: BTreeSet<String> = all
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    for got in [&ordered, &plain] {
        assert_eq!(distinct(got), ids, "every event arrives, and none is invented");
    }
    assert_in_order(&all, &ordered.lock().unwrap());
}

/// Connects an account, by one of the living processes. A process that is killed meanwhile may have done it or not.
async fn make_event(app: &TestApp, alive: &[Process], name: &str) {
    let http = reqwest::Client::builder().build().unwrap();
    for attempt in 0.. {
        assert!(attempt < 3_000, "no process serves");
        let Some(url) = alive[attempt % alive.len()].logged("url") else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let request = http
            .post(format!("{url}/twilio/connect"))
            .bearer_auth(SECRET_KEY)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(10))
            .body(app.connect_body(name).to_string());
        match request.send().await {
            Ok(response) if response.status().is_success() => return,
            // Busy, or another process stores the same connection.
            Ok(response) => assert!(matches!(response.status().as_u16(), 409 | 503), "{response:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all_events(app: &TestApp) -> Vec<Json> {
    let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = app
            .admin()
            .get(&format!("/events?limit=1000&cursor={cursor}"))
            .await;
        let page = page.expect(200).json();
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            return all;
        }
        let connection = |event: &&Json| event["type"].as_str().unwrap().starts_with("connection.");
        all.extend(events.iter().filter(connection).cloned());
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
    }
}

fn distinct(got: &Got) -> BTreeSet<String> {
    got.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
}

/// Of each connection, no event arrives for the first time before the one before it was accepted.
fn assert_in_order(all: &[Json], got: &[(String, bool)]) {
    let mut of_connection: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in all {
        let connection = event["data"]["connection_id"].as_str().unwrap();
        of_connection
            .entry(connection)
            .or_default()
            .push(event["id"].as_str().unwrap());
    }
    for (connection, ids) in of_connection {
        for pair in ids.windows(2) {
            let accepted = got.iter().position(|(id, accepted)| id == pair[0] && *accepted);
            let next = got.iter().position(|(id, _)| id == pair[1]);
            assert!(
                accepted < next,
                "{connection}: {pair:?} came as {accepted:?} and {next:?}"
            );
        }
    }
}
