//! Resets during runs, resets that are cut off, and a process that does not know a sync.

use std::sync::Arc;
use std::time::Duration;

use gateway::{SyncSelection, TriggerOptions, syncs};
use serde_json::json;
use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases, registry_with, wait_until};
use worker::{Worker, WorkerOptions};

use crate::inspect::{newest_run, requests, runs, select, small_pages};

fn slow() -> AppBuilder {
    small_pages().simulator(|config| {
        config.messages = 1_500;
        config.faults.latency_ms = 30;
    })
}

/// More rows than one transaction deletes.
fn large() -> AppBuilder {
    AppBuilder::default().simulator(|config| config.messages = 20_000)
}

/// Longer than the lease of a reset whose process died.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(601);

#[on_both_databases(slow())]
async fn a_reset_during_a_run_of_the_only_worker_reads_everything_again(app: TestApp) {
    let name = app.connect_twilio().await;
    let (stop, worker) = app.start_worker(WorkerOptions::default());
    let mut reset = select(&name);
    reset["opts"] = json!({ "reset": true, "emptyCache": true });
    // During the backfill, and during a later run.
    for calls in [12, 2] {
        requests(&app, calls).await;
        app.admin().post("/sync/trigger", &reset).await.expect(200);
        app.run_due().await;

        assert_table_equals_truth(&app, &name).await;
        let both = app.admin().post("/sync/trigger", &select(&name)).await;
        both.expect(200);
    }
    app.run_due().await;
    stop.cancel();
    worker.await.unwrap();
    assert!(
        app.logs().contains("another worker has the sync now"),
        "a run was under way"
    );
}

/// Returns the number of live rows, as counted by the API.
async fn counted(app: &TestApp) -> u64 {
    let path = "/sync/status?syncs=*&provider_config_key=twilio";
    let status = app.admin().get(path).await.expect(200).json();
    let counts = &status["syncs"][0]["recordCount"];
    counts["Message"].as_u64().unwrap_or_else(|| panic!("{status:#}"))
}

#[on_both_databases(large())]
async fn a_reset_that_is_cut_off_loses_nothing(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let before = counted(&app).await;
    let caller = app.caller().await;
    let selection = SyncSelection {
        integration: "twilio".to_owned(),
        connection: Some(name.clone()),
        syncs: Vec::new(),
    };
    let options = TriggerOptions {
        reset: true,
        empty_cache: true,
    };
    tokio::select! {
        _ = syncs::trigger(app.gateway(), &caller, &selection, options) => panic!("the reset was too quick to be cut off"),
        () = async { while counted(&app).await == before {} } => {}
    }

    // A trigger meanwhile does not let a worker claim the sync before the reset is complete. A later sync, which the worker does
    // claim, shows that it looked for work.
    let trigger = app.admin().post("/sync/trigger", &select(&name)).await;
    trigger.expect(200);
    let other = app.connect_as(app.admin(), "other").await;
    let (stop, worker) = app.start_worker(WorkerOptions::default());
    let status = async |connection: &str| {
        let runs = runs(&app).await;
        let newest = runs.iter().find(|run| run["connection_id"] == connection);
        newest.unwrap()["status"].clone()
    };
    wait_until("the worker runs the other sync", async || {
        status(&other).await != "queued"
    })
    .await;
    assert_eq!(status(&name).await, "queued");
    stop.cancel();
    worker.await.unwrap();

    app.advance(BEYOND_THE_LEASE);
    app.run_due().await;
    assert_table_equals_truth(&app, &name).await;
    let all = runs(&app).await;
    assert!(all.iter().all(|run| run["status"] == "succeeded"), "{all:#?}");
}

#[on_both_databases]
async fn a_sync_that_one_process_does_not_know_stays_scheduled(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let file = include_str!("../../../../integrations/twilio.yaml");
    let other = file
        .replace(
            "\n  twilio-messages:\n",
            "\n  twilio-texts:\n    auto_start: false\n",
        )
        .replace("twilio-messages", "twilio-texts");
    let older = app.another_gateway(registry_with("twilio.yaml", &other)).await;

    app.advance(Duration::from_mins(10));
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(Worker::new(Arc::clone(&older), WorkerOptions::default()).run(stop.clone()));
    wait_until("the run fails", async || {
        newest_run(&app).await["status"] == "failed"
    })
    .await;
    stop.cancel();
    worker.await.unwrap();

    assert_eq!(newest_run(&app).await["error"]["code"], "sync_not_declared");
    app.advance(Duration::from_hours(1));
    app.run_due().await;
    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["sync"]),
        (&json!("succeeded"), &json!("twilio-messages"))
    );
    assert_table_equals_truth(&app, &name).await;
}
