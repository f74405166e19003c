//! Webhooks to the app: the rate of deliveries, and the time from an event's commit to its first attempt.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::EventType;
use gateway::{Gateway, webhooks};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, json};
use store::events::{self, NewEvent};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Worker, WorkerOptions};

use crate::app::{App, AppOptions};
use crate::child::{Child, Kind};
use crate::database::Database;
use crate::report::float;
use crate::webhooks::receiver::{Receiver, floor};
use crate::webhooks::{Latency, Options};

/// Deliveries at a time to each endpoint.
pub(super) const CONCURRENCY: usize = 100;
/// Events a second for the latency.
const RATES: [u32; 3] = [10, 100, 500];
/// Events a second for the latency between two processes, and beside dead endpoints.
pub(super) const RATE: u32 = 100;
/// How many events one transaction writes when the rate of deliveries is measured.
const BATCH: usize = 500;
/// Dead endpoints of each kind: those that refuse connections, and those that never respond.
const DEAD: usize = 5;
/// The timeout of dead endpoints, so that they have failed a few times before the second measurement.
const DEAD_TIMEOUT_SECONDS: u64 = 5;

/// The figures of one database.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) database: &'static str,
    /// Requests a second that the receiver takes from a client without a database.
    pub(super) floor: f64,
    /// Deliveries a second.
    pub(super) deliveries: f64,
    /// From the commit to the first attempt, if one process writes the events and delivers them.
    pub(super) latency: Vec<Latency>,
    /// The same with a worker in another process.
    pub(super) across: Latency,
    /// The same in one process, for a single endpoint.
    pub(super) alone: Latency,
    /// The same for that endpoint while ten others begin to fail.
    pub(super) beside_failing: Latency,
    /// The same once these have failed for a while.
    pub(super) beside_dead: Latency,
}

/// Measures one database.
pub(super) async fn measure(
    name: &'static str,
    database: &Database,
    app_options: &AppOptions,
    options: &Options,
    step: &impl Fn(String),
) -> anyhow::Result<Measured> {
    let receiver = Receiver::start().await?;
    step("the receiver alone".to_owned());
    let floor = floor(&receiver, options.events).await?;
    let app = App::start(app_options).await?;
    create(&app, &receiver.url).await?;

    step("events for a worker in another process".to_owned());
    let mut worker = Child::start(Kind::Worker, app_options).await?;
    worker.output::<()>().await?;
    let across = latency_at(&app, &receiver, RATE, options.seconds).await?;
    // It gives its leases back.
    worker.send(&()).await?;
    worker.output::<()>().await?;
    worker.end().await?;

    step(format!("writing {} events", options.events));
    let total = usize::try_from(options.events)?;
    receiver.reset();
    for first in (0..total).step_by(BATCH) {
        let last = (first + BATCH).min(total);
        write_events(&app, first..last).await?;
    }
    database.settle().await?;
    step("delivering them".to_owned());
    let began = Instant::now();
    let working = tokio::spawn(
        Worker::new(Arc::clone(&app.gateway), WorkerOptions::default()).run(CancellationToken::new()),
    );
    receiver.wait_for(total).await?;
    let deliveries = float(options.events.into()) / began.elapsed().as_secs_f64();

    let mut latency = Vec::new();
    for per_second in RATES {
        step(format!("{per_second} events a second"));
        latency.push(latency_at(&app, &receiver, per_second, options.seconds).await?);
    }
    step(format!("{} dead endpoints", 2 * DEAD));
    let alone = latency_at(&app, &receiver, RATE, options.seconds).await?;
    let _listeners = add_dead_endpoints(&app).await?;
    let beside_failing = latency_at(&app, &receiver, RATE, options.seconds).await?;
    let beside_dead = latency_at(&app, &receiver, RATE, options.seconds).await?;
    working.abort();
    app.gateway.close().await;
    Ok(Measured {
        database: name,
        floor,
        deliveries,
        latency,
        across,
        alone,
        beside_failing,
        beside_dead,
    })
}

async fn create(app: &App, url: &str) -> anyhow::Result<()> {
    let body = json!({ "url": url, "events": ["connection.updated"], "concurrency": CONCURRENCY });
    webhooks::create(&app.gateway, &app.caller, serde_json::from_value(body)?).await?;
    Ok(())
}

/// Creates endpoints whose servers refuse connections, and others whose servers never respond. Returns what keeps the latter.
async fn add_dead_endpoints(app: &App) -> anyhow::Result<JoinSet<()>> {
    let mut silent = JoinSet::new();
    for _ in 0..DEAD {
        let refusing = TcpListener::bind("127.0.0.1:0").await?;
        let refused = refusing.local_addr()?;
        drop(refusing);
        create_dead(app, refused).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        create_dead(app, listener.local_addr()?).await?;
        silent.spawn(async move {
            let mut open: Vec<TcpStream> = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
    }
    Ok(silent)
}

async fn create_dead(app: &App, address: SocketAddr) -> anyhow::Result<()> {
    let body = json!({
        "url": format!("http://{address}/hook"), "events": ["connection.updated"], "timeout_seconds": DEAD_TIMEOUT_SECONDS,
    });
    webhooks::create(&app.gateway, &app.caller, serde_json::from_value(body)?).await?;
    Ok(())
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
) -> anyhow::Result<Latency> {
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
    let took: Vec<f64> = arrived
        .iter()
        .filter_map(|(number, at)| {
            // An attempt may begin before the writer's task learns of its commit.
            let from = committed.get(*number).copied().flatten()?;
            Some(at.saturating_duration_since(from).as_secs_f64() * 1_000.0)
        })
        .collect();
    ensure!(took.len() >= total, "some events did not arrive");
    Ok(Latency::of(per_second, took))
}
