//! A provider that fails in every way, and whose records all arrive.

use std::time::Duration;

use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::{Burst, Faults, Mutation};

use crate::inspect::{newest_run, runs, small_pages};

/// More than two of five requests fail.
fn failing() -> AppBuilder {
    let faults = Faults {
        rate_429: 0.1,
        burst_429: Some(Burst { every: 60, length: 5 }),
        rate_500: 0.05,
        rate_503: 0.05,
        rate_502_html: 0.05,
        html_200: 0.04,
        rate_401: 0.03,
        rate_cut: 0.1,
        rate_slow: 0.1,
        slow_ms: 10,
        ..Faults::default()
    };
    small_pages()
        .simulator(|config| {
            config.messages = 10_000;
            config.history_days = 25;
            config.faults = faults;
        })
        .upstream(|options| {
            options.backoff.first = Duration::from_millis(1);
            options.backoff.longest = Duration::from_millis(10);
            options.max_attempts = 12;
        })
}

/// Advances the clock until three runs with the long lookback ended; the full scan takes two runs.
async fn pass_days_until_runs_succeed(app: &TestApp) {
    let mut succeeded = 0;
    for _ in 0..30 {
        app.advance(Duration::from_hours(25));
        app.run_due().await;
        if newest_run(app).await["status"] == "succeeded" {
            succeeded += 1;
        }
        if succeeded == 3 {
            return;
        }
    }
    panic!("of thirty runs {succeeded} succeeded: {:#?}", runs(app).await);
}

#[on_both_databases(failing())]
async fn everything_arrives_from_a_provider_that_fails_in_every_way(app: TestApp) {
    // A connect is interactive and makes three attempts; a run may take longer.
    let faults = app.simulator().faults();
    app.simulator().set_faults(Faults::default());
    let name = app.connect_twilio().await;
    app.simulator().set_faults(faults);

    app.run_due().await;
    pass_days_until_runs_succeed(&app).await;
    assert_table_equals_truth(&app, &name).await;
    let mutation = Mutation {
        seed: 2,
        share: 0.1,
        within_days: Some(15),
        kinds: Vec::new(),
    };
    app.simulator().mutate(&mutation);
    pass_days_until_runs_succeed(&app).await;
    assert_table_equals_truth(&app, &name).await;

    let log = app.simulator().requests();
    let bad: u64 = log
        .by_status
        .iter()
        .filter(|(status, _)| **status != 200 && **status != 404)
        .map(|(_, count)| count)
        .sum();
    assert!(bad * 4 > log.total, "{:?} of {}", log.by_status, log.total);
}

fn limiting() -> AppBuilder {
    small_pages().simulator(|config| {
        config.messages = 1_000;
        config.faults = Faults {
            burst_429: Some(Burst { every: 20, length: 4 }),
            retry_after: Some(1),
            concurrency_limit: Some(6),
            ..Faults::default()
        };
    })
}

#[on_both_databases(limiting())]
async fn a_run_waits_as_long_as_rate_limit_responses_ask(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;

    assert_table_equals_truth(&app, &name).await;
    assert!(
        app.simulator().requests().by_status[&429] > 5,
        "{:?}",
        app.simulator().requests().by_status
    );
    for run in runs(&app).await {
        assert_eq!(run["status"], "succeeded", "{run}");
    }
}

/// Three bodies of 64 KB fit into the budget of syncs, but there are eight readers.
fn with_little_memory() -> AppBuilder {
    AppBuilder::default()
        .simulator(|config| config.messages = 5_000)
        .upstream(|options| options.memory = 256 << 10)
}

#[on_both_databases(with_little_memory())]
async fn pages_wait_for_a_memory_budget_that_holds_fewer_than_are_read_concurrently(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    assert_table_equals_truth(&app, &name).await;
    for run in runs(&app).await {
        assert_eq!(run["status"], "succeeded", "{run}");
    }
}
