//! Webhooks to the app: deliveries a second beside the receiver's own limit, and the time from an event's commit to its first attempt.
//!
//! Gateway, worker and receiver run in this process and share the machine with the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use domain::{Clock, EventType};
use gateway::Gateway;
use gateway::webhooks;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, json};
use store::events::{self, NewEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Worker, WorkerOptions};

use crate::app::{App, AppOptions};
use crate::database::{self, DatabaseKind};
use crate::postgres::{SETTINGS, Server};
use crate::report::{Goal, Report, Table, count, float, milliseconds, rate, ratio};
use crate::setup::Progress;
use crate::sim::Sim;

/// Deliveries at a time to each endpoint.
const CONCURRENCY: usize = 100;
/// Events a second for the latency.
const RATES: [u32; 3] = [10, 100, 500];
/// How many events one transaction writes when the rate of deliveries is measured.
const BATCH: usize = 500;

/// The options of the benchmark of webhooks.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events to deliver
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    events: u32,
    /// Seconds for each rate of events
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    /// Requests a second that the receiver takes from a client without a database.
    floor: f64,
    /// Deliveries a second.
    deliveries: f64,
    /// Events a second, and p50 and p99 in milliseconds from the commit to the first attempt.
    latency: Vec<(u32, f64, f64)>,
}

/// Runs the benchmark.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let progress = Progress::new()?;
    progress.step("starting PostgreSQL and the simulator".to_owned());
    let server = Arc::new(tokio::task::spawn_blocking(Server::start).await??);
    let folder = database::folder()?;
    let mut report = Report::default();
    report.machine();
    report.setting("PostgreSQL", format!("{}, {SETTINGS}", server.version()?));
    let sim = Sim::start(1, 0, Clock::system().now()).await?;
    let mut measured = Vec::new();
    for kind in [
        DatabaseKind::Sqlite(folder.path().to_owned()),
        DatabaseKind::Postgres(Arc::clone(&server)),
    ] {
        measured.push(on(options, &kind, &sim, &progress).await?);
    }
    sim.end().await?;
    progress.end();
    add_to(&mut report, &measured);
    report.figure("webhooks", &measured)?;
    Ok(report)
}

async fn on(
    options: &Options,
    kind: &DatabaseKind,
    sim: &Sim,
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let step = |what: String| progress.step(format!("{}: {what}", kind.name()));
    let receiver = Receiver::start().await?;
    step("the receiver alone".to_owned());
    let floor = floor(&receiver, options.events).await?;
    let database = kind.database()?;
    let app = App::start(&AppOptions {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: None,
    })
    .await?;
    let body = json!({ "url": receiver.url, "events": ["connection.updated"], "concurrency": CONCURRENCY });
    webhooks::create(&app.gateway, &app.caller, serde_json::from_value(body)?).await?;

    step(format!("writing {} events", count(options.events.into())));
    let total = usize::try_from(options.events)?;
    receiver.reset();
    for first in (0..total).step_by(BATCH) {
        let last = (first + BATCH).min(total);
        write_events(&app, first..last).await?;
    }
    database.settle().await?;
    step("delivering them".to_owned());
    let (stopping, began) = (CancellationToken::new(), Instant::now());
    let working =
        tokio::spawn(Worker::new(Arc::clone(&app.gateway), WorkerOptions::default()).run(stopping.clone()));
    receiver.wait_for(total).await?;
    let deliveries = float(options.events.into()) / began.elapsed().as_secs_f64();

    let mut latency = Vec::new();
    for per_second in RATES {
        step(format!("{per_second} events a second"));
        latency.push(latency_at(&app, &receiver, per_second, options.seconds).await?);
    }
    stopping.cancel();
    working.await?;
    app.gateway.close().await;
    Ok(Measured {
        database: kind.name(),
        floor,
        deliveries,
        latency,
    })
}

/// Writes events with these numbers in one transaction.
async fn write_events(app: &App, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let (environment, gateway): (_, &Gateway) = (app.caller.environment, &app.gateway);
    let now = gateway.clock.now();
    let written = gateway.store.write(move |c| {
        for number in numbers {
            let data = Map::from_iter([("n".to_owned(), json!(number)), ("tags".to_owned(), json!({}))]);
            let new = NewEvent {
                environment,
                event_type: EventType::ConnectionUpdated,
                connection: None,
                data,
            };
            events::insert(c, &new, now)?;
        }
        Ok(())
    });
    written.await?;
    gateway.event_written.notify_one();
    Ok(())
}

async fn latency_at(
    app: &App,
    receiver: &Receiver,
    per_second: u32,
    seconds: u64,
) -> anyhow::Result<(u32, f64, f64)> {
    receiver.reset();
    let total = usize::try_from(u64::from(per_second) * seconds)?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut writing = JoinSet::new();
    let committed: Arc<Mutex<Vec<Option<Instant>>>> = Arc::new(Mutex::new(vec![None; total]));
    for number in 0..total {
        ticks.tick().await;
        let (gateway, caller) = (Arc::clone(&app.gateway), app.caller.clone());
        let committed = Arc::clone(&committed);
        writing.spawn(async move {
            write_events(&App { gateway, caller }, number..number + 1).await?;
            if let Some(slot) = committed.lock().get_mut(number) {
                *slot = Some(Instant::now());
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    receiver.wait_for(total).await?;
    let arrived = receiver.arrived();
    let committed = committed.lock().clone();
    let mut took: Vec<f64> = arrived
        .iter()
        .filter_map(|(number, at)| {
            // An attempt may begin before the writer's task learns of its commit.
            let from = committed.get(*number).copied().flatten()?;
            Some(at.saturating_duration_since(from).as_secs_f64() * 1_000.0)
        })
        .collect();
    ensure!(took.len() >= total, "some events did not arrive");
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    Ok((per_second, at(50), at(99)))
}

/// A receiver that responds 204 at once, and notes when each event arrived.
struct Receiver {
    url: String,
    got: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Receiver {
    async fn start() -> anyhow::Result<Self> {
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

    fn reset(&self) {
        self.arrived.lock().clear();
        self.got.store(0, Ordering::Relaxed);
    }

    fn arrived(&self) -> Vec<(usize, Instant)> {
        self.arrived.lock().clone()
    }

    async fn wait_for(&self, total: usize) -> anyhow::Result<()> {
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
async fn floor(receiver: &Receiver, requests: u32) -> anyhow::Result<f64> {
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

fn add_to(report: &mut Report, measured: &[Measured]) {
    let mut table = Table::new(
        format!("Deliveries to one endpoint, {CONCURRENCY} at a time"),
        &["database", "receiver alone/s", "deliveries/s", "to receiver"],
    );
    for one in measured {
        table.row([
            one.database.to_owned(),
            rate(one.floor),
            rate(one.deliveries),
            ratio(one.deliveries / one.floor),
        ]);
    }
    report.table(table);
    let mut table = Table::new(
        "From the commit of an event to its first attempt".to_owned(),
        &["database", "events/s", "p50", "p99"],
    );
    for one in measured {
        for (per_second, p50, p99) in &one.latency {
            table.row([
                one.database.to_owned(),
                per_second.to_string(),
                milliseconds(*p50),
                milliseconds(*p99),
            ]);
        }
    }
    report.table(table);
    for one in measured {
        if one.database == "PostgreSQL" {
            let what = "PostgreSQL: deliveries a second".to_owned();
            report.goal(Goal::least(what, 1_000.0, one.deliveries));
        }
        for (per_second, _, p99) in one.latency.iter().filter(|(per_second, ..)| *per_second == 100) {
            let what = format!(
                "{}: p99 in ms from commit to attempt at {per_second} events/s",
                one.database
            );
            report.goal(Goal::below(what, 250.0, *p99));
        }
    }
}
