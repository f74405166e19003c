//! Measures one run of a sync in its own process.

use domain::RunStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use gateway::{SyncSelection, TriggerOptions, syncs};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use worker::{Worker, WorkerOptions};

use crate::app::{App, AppOptions, CONNECTION, INTEGRATION, SYNC};
use crate::child::{self, Child, Kind};
use crate::cpu;
use crate::database::Database;
use crate::sim::Sim;

/// The time between two checks of the run. Each check adds load to the measurement.
const POLL: Duration = Duration::from_millis(100);

/// The results that a child reports of its run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outcome {
    seconds: f64,
    cpu: f64,
    peak_memory: u64,
    anonymous_memory: u64,
    pages: i64,
    added: i64,
    updated: i64,
    unchanged: i64,
}

/// The results and cost of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Synced {
    /// Records read. Records in the overlap of two slices count twice.
    pub(crate) read: u64,
    /// Seconds from the run's start to its end, from its row.
    pub(crate) seconds: f64,
    /// CPU time of the gateway with its worker.
    pub(crate) cpu: f64,
    /// CPU time of PostgreSQL's processes during the run.
    pub(crate) server_cpu: Option<f64>,
    /// CPU time of the simulator during the run.
    pub(crate) sim_cpu: f64,
    /// Peak resident memory of the gateway's process in bytes, including mapped files.
    pub(crate) peak_memory: u64,
    /// Peak resident memory without mapped files, in bytes.
    pub(crate) anonymous_memory: u64,
    /// Pages read.
    pub(crate) pages: u64,
    pub(crate) added: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
}

/// Syncs all messages of the simulator into the database, in a child. Provider files in `integrations` replace built-in ones.
pub(crate) async fn everything(
    database: &Database,
    sim: &Sim,
    integrations: Option<&std::path::Path>,
) -> anyhow::Result<Synced> {
    let options = AppOptions {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: integrations.map(Into::into),
    };
    let mut child = Child::start(Kind::Sync, &options).await?;
    child.output::<()>().await?;
    database.settle().await?;
    let before = (database.cpu()?, cpu::of(sim.pid()?)?);
    child.send(&()).await?;
    let told: Outcome = child.output().await?;
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

/// In a child: prepares the sync, reports that it is ready, waits for the command, and runs it.
pub(crate) async fn run(mut commands: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let options: AppOptions = child::next(&mut commands).await?;
    let app = App::start(&options).await?;
    app.connect(&options.sim).await?;
    let selection = SyncSelection {
        integration: INTEGRATION.to_owned(),
        connection: Some(CONNECTION.to_owned()),
        syncs: vec![(SYNC.parse()?, domain::Variant::base())],
    };
    // A paused sync runs only when triggered, so that there is no second run during the measurement.
    syncs::set_paused(&app.gateway, &app.caller, &selection, true).await?;
    child::output(&())?;
    child::next::<()>(&mut commands).await?;

    let before = cpu::own();
    let reset = TriggerOptions {
        reset: true,
        empty_cache: false,
    };
    let triggered = syncs::trigger(&app.gateway, &app.caller, &selection, reset).await?;
    let id = triggered
        .first()
        .context("no run was triggered")?
        .run
        .id
        .to_string();
    let stop = CancellationToken::new();
    let worker =
        tokio::spawn(Worker::new(Arc::clone(&app.gateway), WorkerOptions::default()).run(stop.clone()));
    let mut anonymous_memory = 0;
    let (run, started_at, finished_at) = loop {
        tokio::time::sleep(POLL).await;
        anonymous_memory = anonymous_memory.max(cpu::anonymous_memory()?);
        let (run, _) = syncs::run(&app.gateway, &app.caller, &id).await?;
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
    child::output(&Outcome {
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
