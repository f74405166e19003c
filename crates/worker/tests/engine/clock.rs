//! A process whose clock was wrong and is right again.

use std::time::Duration;

use domain::Timestamp;
use testkit::{TestApp, assert_table_equals_truth, on_both_databases};
use worker::WorkerOptions;

use crate::inspect::{newest_run, requests, runs, select, small_pages};

const YEARS: Duration = Duration::from_hours(400 * 24);

/// Runs a worker until it sent requests and nothing is due anymore.
async fn run_what_a_right_clock_finds(app: &TestApp) {
    let (stop, worker) = app.start_worker(WorkerOptions {
        poll: Duration::from_millis(20),
        ..WorkerOptions::default()
    });
    requests(app, 1).await;
    stop.cancel();
    worker.await.unwrap();
    app.run_due().await;
}

#[on_both_databases(small_pages())]
async fn a_sync_postponed_by_a_clock_that_was_ahead_runs_once_the_clock_is_right(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    app.clock().advance(YEARS);
    app.run_due().await;
    let before = runs(&app).await.len();
    app.clock().turn_back(YEARS);

    run_what_a_right_clock_finds(&app).await;

    assert!(runs(&app).await.len() > before);
    assert_eq!(newest_run(&app).await["status"], "succeeded");
    assert_table_equals_truth(&app, &name).await;
    assert!(app.logs().contains("further ahead than they can be"));
    // From here on it runs as usual and logs nothing about the clock.
    let before = runs(&app).await.len();
    app.advance(Duration::from_mins(6));
    app.run_due().await;
    assert!(runs(&app).await.len() > before);
}

#[on_both_databases(small_pages())]
async fn a_backfill_by_a_clock_that_was_ahead_is_repeated(app: TestApp) {
    app.clock().advance(YEARS);
    let name = app.connect_twilio().await;
    app.run_due().await;
    app.clock().turn_back(YEARS);

    run_what_a_right_clock_finds(&app).await;

    let runs = runs(&app).await;
    let backfills = runs.iter().filter(|run| run["kind"] == "backfill");
    assert_eq!(backfills.count(), 2, "{runs:#?}");
    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases(small_pages())]
async fn a_backfill_by_a_clock_of_1970_is_completed(app: TestApp) {
    let behind = app.clock().now().since(Timestamp::from_micros(0));
    app.clock().turn_back(behind);
    let name = app.connect_twilio().await;
    app.run_due().await;
    app.clock().advance(behind);
    app.admin()
        .post("/sync/trigger", &select(&name))
        .await
        .expect(200);
    app.run_due().await;

    assert_eq!(newest_run(&app).await["status"], "succeeded");
    assert_table_equals_truth(&app, &name).await;
}
