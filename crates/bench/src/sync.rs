//! One run of one sync, in a process of its own, measured.

use domain::RunStatus;
use std::time::Duration;

use anyhow::{Context, ensure};
use gateway::{SyncSelection, TriggerOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use worker::{Worker, WorkerOptions};

use crate::app::{App, AppOrder, CONNECTION, INTEGRATION, SYNC};
use crate::child::{self, Child, Kind};
use crate::cpu;
use crate::database::Database;
use crate::sim::Sim;

/// Between two looks at the run, which are part of what is measured.
const POLL: Duration = Duration::from_millis(100);

/// What a child tells of its run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    seconds: f64,
    cpu: f64,
    peak_memory: u64,
    anonymous_memory: u64,
    pages: i64,
    added: i64,
    updated: i64,
    unchanged: i64,
}

/// What a run did and what it took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Synced {
    /// Records read; those that two readings overlap on count twice.
    pub(crate) read: u64,
    /// From the run's start to its end, by its own row.
    pub(crate) seconds: f64,
    /// Processor time of the gateway with its worker.
    pub(crate) cpu: f64,
    /// Processor time of PostgreSQL's processes meanwhile.
    pub(crate) server_cpu: Option<f64>,
    /// Processor time of the simulator meanwhile.
    pub(crate) sim_cpu: f64,
    /// The most memory resident in the gateway's process, mapped files included, in bytes.
    pub(crate) peak_memory: u64,
    /// The most of it seen that no file stands behind.
    pub(crate) anonymous_memory: u64,
    /// Pages read.
    pub(crate) pages: u64,
    pub(crate) added: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
}

/// Reads everything of the simulator into the database, in a child. `integrations` holds provider files that win.
pub(crate) async fn everything(
    database: &Database,
    sim: &Sim,
    integrations: Option<&std::path::Path>,
) -> anyhow::Result<Synced> {
    let order = AppOrder {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: integrations.map(Into::into),
    };
    let mut child = Child::start(Kind::Sync, &order).await?;
    child.answer::<()>().await?;
    database.settle().await?;
    let before = (database.cpu()?, cpu::of(sim.pid()?)?);
    child.tell(&()).await?;
    let told: Told = child.answer().await?;
    let after = (database.cpu()?, cpu::of(sim.pid()?)?);
    child.end().await?;
    let count = |number| u64::try_from(number).unwrap_or_default();
    Ok(Synced {
        read: count(told.added + told.updated + told.unchanged),
        seconds: told.seconds,
        cpu: told.cpu,
        server_cpu: after.0.zip(before.0).map(|(after, before)| after - before),
        sim_cpu: after.1 - before.1,
        peak_memory: told.peak_memory,
        anonymous_memory: told.anonymous_memory,
        pages: count(told.pages),
        added: count(told.added),
        updated: count(told.updated),
        unchanged: count(told.unchanged),
    })
}

/// The child's side: makes all ready, says so, waits for the word, runs.
pub(crate) async fn run(mut orders: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let order: AppOrder = child::next(&mut orders).await?;
    let app = App::start(&order).await?;
    app.connect(&order.sim).await?;
    let selection = SyncSelection {
        integration: INTEGRATION.to_owned(),
        connection: Some(CONNECTION.to_owned()),
        syncs: vec![(SYNC.parse()?, domain::Variant::base())],
    };
    let syncs = app.gateway.syncs();
    // A paused sync runs when it is triggered and at no other time, so that no second run falls into the measurement.
    syncs.pause(&app.caller, &selection).await?;
    child::answer(&())?;
    child::next::<()>(&mut orders).await?;

    let before = cpu::own();
    let reset = TriggerOptions {
        reset: true,
        empty_cache: false,
    };
    let triggered = syncs.trigger(&app.caller, &selection, reset).await?;
    let id = triggered.first().context("nothing was triggered")?.id.to_string();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(app.gateway.clone(), WorkerOptions::default()).run(stop.clone()));
    let mut anonymous_memory = 0;
    let (run, started_at, finished_at) = loop {
        tokio::time::sleep(POLL).await;
        anonymous_memory = anonymous_memory.max(cpu::anonymous_memory()?);
        let (run, _) = syncs.run(&app.caller, &id).await?;
        if let Some((started_at, finished_at)) = run.started_at.zip(run.finished_at) {
            break (run, started_at, finished_at);
        }
    };
    let cpu = cpu::own() - before;
    stop.cancel();
    worker.await?;
    ensure!(
        run.status == RunStatus::Succeeded && run.skipped == 0,
        "the run did not succeed: {run:?}"
    );
    child::answer(&Told {
        seconds: finished_at.since(started_at).as_secs_f64(),
        cpu,
        peak_memory: cpu::peak_memory()?,
        anonymous_memory,
        pages: run.pages,
        added: run.added,
        updated: run.updated,
        unchanged: run.unchanged,
    })
}
