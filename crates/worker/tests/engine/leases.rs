//! Several workers, dead ones, and one that lost its lease.

use std::time::Duration;

use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use worker::WorkerOptions;

use crate::inspect::{dated_pages, newest_run, requests, runs, small_pages, total};

/// Longer than the lease of a worker with the usual options.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(61);

fn slow() -> AppBuilder {
    small_pages().simulator(|config| {
        config.messages = 4_000;
        config.faults.latency_ms = 50;
    })
}

#[on_both_databases]
async fn two_workers_never_run_the_same_sync(app: TestApp) {
    let names: Vec<String> = (0..20).map(|number| format!("account-{number}")).collect();
    for name in &names {
        app.connect_as(app.admin(), name).await;
    }
    app.simulator().reset_requests();
    let options = WorkerOptions {
        concurrency: 4,
        poll: Duration::from_millis(20),
        ..WorkerOptions::default()
    };

    let (stop, other) = app.start_worker(options);
    app.run_due().await;
    stop.cancel();
    other.await.unwrap();

    let all = runs(&app).await;
    assert_eq!(
        all.len(),
        2 * names.len(),
        "a first reading and the run after it for each"
    );
    for run in &all {
        assert_eq!(
            (&run["status"], &run["resumed"]),
            (&"succeeded".into(), &0.into()),
            "{run}"
        );
    }
    for (page, times) in dated_pages(&app) {
        assert!(times <= names.len(), "{page} was read {times} times");
    }
    let live = app.simulator().live_count();
    assert_eq!(
        total(&app, "added").await,
        live * u64::try_from(names.len()).unwrap()
    );
    for name in &names {
        assert_table_equals_truth(&app, name).await;
    }
}

#[on_both_databases(slow())]
async fn the_run_of_a_dead_worker_continues_in_another(app: TestApp) {
    let name = app.connect_twilio().await;
    let (_, dead) = app.start_worker(WorkerOptions::default());
    requests(&app, 20).await;
    dead.abort();
    assert!(dead.await.unwrap_err().is_cancelled());
    let cut = newest_run(&app).await;
    assert_eq!(cut["status"], "running");

    app.clock().advance(BEYOND_THE_LEASE);
    app.run_due().await;

    let first = runs(&app).await.pop().unwrap();
    assert_eq!(
        (&first["id"], &first["status"], &first["resumed"]),
        (&cut["id"], &"succeeded".into(), &1.into())
    );
    assert_eq!(total(&app, "added").await, app.simulator().live_count());
    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases(slow())]
async fn a_worker_that_lost_its_lease_writes_nothing_more(app: TestApp) {
    let name = app.connect_twilio().await;
    // It renews its lease only after the test.
    let (stop, zombie) = app.start_worker(WorkerOptions {
        lease: BEYOND_THE_LEASE * 20,
        ..WorkerOptions::default()
    });
    requests(&app, 20).await;

    app.clock().advance(BEYOND_THE_LEASE * 21);
    app.run_due().await;
    stop.cancel();
    zombie.await.unwrap();

    let first = runs(&app).await.pop().unwrap();
    assert_eq!(
        (&first["status"], &first["resumed"]),
        (&"succeeded".into(), &1.into())
    );
    assert_eq!(total(&app, "added").await, app.simulator().live_count());
    assert_table_equals_truth(&app, &name).await;
    let lost = app
        .logs()
        .lines()
        .filter(|line| line.contains("another worker has the sync now"))
        .filter(|line| line.contains(first["id"].as_str().unwrap()))
        .count();
    assert_eq!(lost, 1, "it noticed when it wanted to write");
}
