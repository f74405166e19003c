//! When runs begin, and that none begins twice.

use std::time::Duration;

use domain::Timestamp;
use serde_json::json;
use testkit::{TestApp, assert_table_equals_truth, on_both_databases};
use worker::WorkerOptions;

use crate::inspect::{newest_run, requests, runs, select, small_pages};

async fn next_run(app: &TestApp, connection: &str) -> Option<Timestamp> {
    let path =
        format!("/sync/status?syncs=twilio-messages&provider_config_key=twilio&connection_id={connection}");
    let status = app.admin().get(&path).await.expect(200).json();
    let next = status["syncs"][0]["nextScheduledSyncAt"].as_str()?;
    Some(next.parse().unwrap())
}

#[on_both_databases]
async fn the_next_run_is_due_after_five_minutes_spread_over_connections(app: TestApp) {
    let names: Vec<String> = (0..6).map(|number| format!("account-{number}")).collect();
    for name in &names {
        app.connect_as(app.admin(), name).await;
    }
    app.run_due().await;

    let mut due = Vec::new();
    for name in &names {
        due.push(next_run(&app, name).await.unwrap().since(app.clock().now()));
    }
    // Five minutes plus at most a tenth of that.
    for wait in &due {
        assert!(!wait.is_zero() && *wait <= Duration::from_secs(330), "{due:?}");
    }
    due.sort_unstable();
    due.dedup();
    assert!(due.len() > 1, "{due:?}");

    let before = runs(&app).await.len();
    app.advance(Duration::from_secs(330));
    app.run_due().await;
    assert_eq!(runs(&app).await.len(), before + names.len());
    for name in &names {
        let wait = next_run(&app, name).await.unwrap().since(app.clock().now());
        assert!(!wait.is_zero());
    }
}

#[on_both_databases]
async fn a_paused_sync_runs_once_when_triggered_and_not_by_schedule(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    app.admin().post("/sync/pause", &select(&name)).await.expect(200);
    let before = runs(&app).await.len();

    app.advance(Duration::from_hours(2));
    app.run_due().await;
    assert_eq!(runs(&app).await.len(), before);
    app.admin()
        .post("/sync/trigger", &select(&name))
        .await
        .expect(200);
    app.run_due().await;
    app.advance(Duration::from_hours(2));
    app.run_due().await;

    assert_eq!(runs(&app).await.len(), before + 1);
    let run = newest_run(&app).await;
    assert_eq!(
        (&run["trigger"], &run["status"]),
        (&json!("api"), &json!("succeeded"))
    );
    assert_eq!(next_run(&app, &name).await, None);
}

fn slow() -> testkit::AppBuilder {
    small_pages().simulator(|config| config.faults.latency_ms = 20)
}

#[on_both_databases(slow())]
async fn a_trigger_during_a_run_returns_that_run(app: TestApp) {
    let name = app.connect_twilio().await;
    let (stop, worker) = app.start_worker(WorkerOptions::default());
    requests(&app, 2).await;
    let response = app
        .admin()
        .post("/sync/trigger", &select(&name))
        .await
        .expect(200)
        .json();
    stop.cancel();
    worker.await.unwrap();
    app.run_due().await;

    let first = runs(&app).await.pop().unwrap();
    assert_eq!(
        (&response["runs"][0]["id"], &response["runs"][0]["already_active"]),
        (&first["id"], &json!(true))
    );
    assert_eq!(
        (&first["kind"], &first["status"]),
        (&json!("backfill"), &json!("succeeded"))
    );
    assert_table_equals_truth(&app, &name).await;
}
