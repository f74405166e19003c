//! The backfill: where it continues, where it ends, and what it does not follow.

use std::time::Duration;

use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::Faults;
use worker::WorkerOptions;

use crate::inspect::{dated_pages, newest_run, requests, runs, small_pages, total};

/// Concurrent requests that the file allows.
const IN_FLIGHT: usize = 8;

fn slow_and_long() -> AppBuilder {
    small_pages().simulator(|config| {
        config.messages = 4_000;
        config.faults.latency_ms = 5;
    })
}

#[on_both_databases(slow_and_long())]
async fn a_stopped_backfill_continues_where_it_was(app: TestApp) {
    let name = app.connect_twilio().await;
    let (stop, worker) = app.start_worker(WorkerOptions::default());
    requests(&app, 40).await;
    stop.cancel();
    worker.await.unwrap();

    let before = dated_pages(&app);
    let cut = newest_run(&app).await;
    assert_eq!(cut["status"], "running", "it is cut off, not ended");
    let stored = app.rows(&name).await;
    assert!(stored > 0 && stored < 3_500, "it stopped in the middle: {stored}");
    app.simulator().reset_requests();
    app.run_due().await;

    let after = dated_pages(&app);
    let again = after.keys().filter(|page| before.contains_key(*page)).count();
    assert!(
        again <= IN_FLIGHT,
        "{again} of {} pages were read again",
        before.len()
    );
    assert_table_equals_truth(&app, &name).await;
    let first = runs(&app).await.pop().unwrap();
    assert_eq!((&first["id"], &first["resumed"]), (&cut["id"], &1.into()));
    assert_eq!(total(&app, "added").await, app.simulator().live_count());
}

fn ninety_days() -> AppBuilder {
    AppBuilder::default().simulator(|config| {
        config.messages = 3_000;
        config.history_days = 88;
        config.retention_days = 90;
    })
}

#[on_both_databases(ninety_days())]
async fn a_retention_shorter_than_that_of_the_file_costs_few_refusals(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;

    assert_table_equals_truth(&app, &name).await;
    let refused = app.simulator().requests().by_status[&400];
    assert!((1..=32).contains(&refused), "{refused}");
    for run in runs(&app).await {
        assert_eq!(run["status"], "succeeded", "{run}");
    }
}

fn ten_days() -> AppBuilder {
    AppBuilder::default().simulator(|config| {
        config.messages = 300;
        config.history_days = 8;
        config.retention_days = 10;
    })
}

#[on_both_databases(ten_days())]
async fn a_retention_shorter_than_a_lookback_narrows_the_lookback(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    app.advance(Duration::from_hours(25));
    app.simulator().reset_requests();
    app.run_due().await;

    assert_table_equals_truth(&app, &name).await;
    assert!(app.simulator().requests().by_status[&400] > 0);
    for run in runs(&app).await {
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    let newest = newest_run(&app).await;
    let reported = newest["incomplete"].as_str().unwrap();
    assert!(
        reported.contains("taken to be before what it keeps"),
        "a run that could not read its whole range says so: {reported}"
    );
}

#[on_both_databases(small_pages())]
async fn a_page_that_repeats_ends_the_run(app: TestApp) {
    app.simulator().set_faults(Faults {
        repeat_page: true,
        ..Faults::default()
    });
    app.connect_twilio().await;
    app.simulator().reset_requests();
    app.run_due().await;

    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&"failed".into(), &"page_repeats".into())
    );
    let requests = app.simulator().requests().total;
    assert!(requests < 30, "{requests}");
}

#[on_both_databases(small_pages())]
async fn a_next_link_to_another_origin_is_not_followed(app: TestApp) {
    app.simulator().set_faults(Faults {
        foreign_next_link: Some("https://elsewhere.example".to_owned()),
        ..Faults::default()
    });
    app.connect_twilio().await;
    app.run_due().await;

    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&"failed".into(), &"foreign_link".into())
    );
    assert!(
        run["error"]["message"]
            .as_str()
            .unwrap()
            .contains("elsewhere.example"),
        "{run}"
    );
}
