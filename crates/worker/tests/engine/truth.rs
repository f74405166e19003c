//! The table holds what the provider holds, whatever changes.

use std::time::Duration;

use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::{Mutation, MutationKind, NewMessage};

use crate::inspect::{pass_a_day, run_now};

fn a_hundred_thousand() -> AppBuilder {
    AppBuilder::default().simulator(|config| {
        config.messages = 100_000;
        config.history_days = 390;
    })
}

#[on_both_databases(a_hundred_thousand())]
async fn a_hundred_thousand_messages_and_their_later_changes_arrive(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    run_now(&app, &name).await;
    assert_eq!(app.rows(&name).await, 100_000);
    assert_table_equals_truth(&app, &name).await;

    let mut mutation = Mutation {
        seed: 7,
        share: 0.2,
        within_days: Some(25),
        kinds: Vec::new(),
    };
    let wide = app.simulator().mutate(&mutation);
    mutation.seed = 8;
    mutation.within_days = Some(3);
    let near = app.simulator().mutate(&mutation);
    for report in [wide, near] {
        let counts = [
            report.status,
            report.price,
            report.redact,
            report.delete,
            report.extra,
        ];
        assert!(counts.iter().all(|count| *count > 0), "{report:?}");
    }
    pass_a_day(&app, 8).await;

    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases]
async fn later_changes_of_scheduled_messages_arrive(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let in_hours = |hours| NewMessage {
        send_at: Some(app.simulator().now() + chrono::Duration::hours(hours)),
        ..NewMessage::default()
    };
    let sent = app.simulator().insert(in_hours(2));
    let canceled = app.simulator().insert(in_hours(40));
    app.advance(Duration::from_mins(10));
    app.run_due().await;
    assert_table_equals_truth(&app, &name).await;
    let scheduled = app.simulator().message(&canceled).unwrap();
    assert_eq!(
        (&scheduled["status"], scheduled["date_sent"].is_null()),
        (&"scheduled".into(), true)
    );

    let cancel = Mutation {
        seed: 1,
        share: 1.0,
        within_days: Some(1),
        kinds: vec![MutationKind::Status],
    };
    app.simulator().mutate(&cancel);
    // This also affected the other one; it is sent after all.
    let patch = twilio_sim::Patch {
        status: Some(twilio_sim::Status::Sent),
        ..twilio_sim::Patch::default()
    };
    assert!(app.simulator().patch(&sent, patch));
    pass_a_day(&app, 8).await;

    assert_eq!(app.simulator().message(&canceled).unwrap()["status"], "canceled");
    assert!(!app.simulator().message(&sent).unwrap()["date_sent"].is_null());
    assert_table_equals_truth(&app, &name).await;
}

fn half_a_year() -> AppBuilder {
    AppBuilder::default().simulator(|config| {
        config.messages = 5_000;
        config.history_days = 180;
    })
}

#[on_both_databases(half_a_year())]
async fn late_prices_of_older_messages_arrive_with_the_daily_lookback(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let prices = Mutation {
        seed: 3,
        share: 0.5,
        within_days: Some(25),
        kinds: vec![MutationKind::Price],
    };
    assert!(app.simulator().mutate(&prices).price > 100);

    pass_a_day(&app, 4).await;

    assert_table_equals_truth(&app, &name).await;
}
