//! Messages that the provider deleted.

use std::time::Duration;

use domain::Value;
use serde_json::json;
use testkit::{AppBuilder, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::{Mutation, MutationKind};

use crate::inspect::{all_rows, newest_run, select};

fn three_days() -> AppBuilder {
    AppBuilder::default().simulator(|config| {
        config.messages = 500;
        config.history_days = 2;
    })
}

fn half_a_year() -> AppBuilder {
    AppBuilder::default().simulator(|config| config.history_days = 180)
}

fn deleting(share: f64) -> Mutation {
    Mutation {
        seed: 4,
        share,
        within_days: Some(3),
        kinds: vec![MutationKind::Delete],
    }
}

#[on_both_databases]
async fn a_deleted_message_keeps_its_key_and_loses_its_content(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let before = all_rows(&app, &name).await;
    let mut newest = None;
    app.simulator().for_each_truth(|message| {
        if message.date_sent.is_some() {
            newest.get_or_insert(message.sid);
        }
    });
    let sid = newest.unwrap();

    assert!(app.simulator().delete(&sid));
    app.advance(Duration::from_mins(10));
    app.run_due().await;

    let row = all_rows(&app, &name).await.remove(&sid).unwrap();
    let left: Vec<&Value> = row.values.iter().filter(|value| **value != Value::Null).collect();
    assert_eq!((left, &row.extra), (vec![&Value::Text(sid.clone())], &None));
    assert_eq!(row.deleted_at, Some(app.clock().now()));
    assert_eq!(row.first_seen_at, before[&sid].first_seen_at);
    assert!(row.cursor > before[&sid].cursor, "readers of changes learn of it");
    assert_eq!(newest_run(&app).await["deleted"], 1);
}

#[on_both_databases(three_days())]
async fn a_run_that_would_delete_too_much_marks_nothing(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let rows = app.rows(&name).await;

    let deleted = app.simulator().mutate(&deleting(0.6)).delete;
    assert!(deleted > 150, "{deleted}");
    app.advance(Duration::from_mins(10));
    app.simulator().reset_requests();
    app.run_due().await;

    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"], &run["deleted"]),
        (&json!("failed"), &json!("delete_guard"), &json!(0))
    );
    assert_eq!(app.rows(&name).await, rows, "nothing is marked");
    assert!(
        app.simulator().requests().total < 20,
        "and nothing is requested by key"
    );

    let mut anew = select(&name);
    anew["opts"] = json!({ "reset": true, "emptyCache": true });
    app.admin().post("/sync/trigger", &anew).await.expect(200);
    app.run_due().await;
    assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases(three_days())]
async fn deletions_are_marked_once_and_counted(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    // Undated rows are in no range, and are rechecked once a day.
    let mut dated = Vec::new();
    app.simulator().for_each_truth(|message| {
        if message.date_sent.is_some() {
            dated.push(message.sid);
        }
    });
    for sid in dated.iter().step_by(20) {
        assert!(app.simulator().delete(sid));
    }

    app.advance(Duration::from_mins(10));
    app.run_due().await;
    assert_eq!(newest_run(&app).await["deleted"], 25);
    app.advance(Duration::from_mins(10));
    app.run_due().await;

    assert_eq!(newest_run(&app).await["deleted"], 0);
    assert_eq!(app.rows(&name).await, 475);
}

#[on_both_databases(half_a_year())]
async fn a_reset_finds_older_deletions_only_with_an_empty_table(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let rows = app.rows(&name).await;
    let mut oldest = None;
    app.simulator().for_each_truth(|message| {
        if message.date_sent.is_some() {
            oldest = Some(message.sid);
        }
    });
    assert!(app.simulator().delete(&oldest.unwrap()));
    let mut reset = select(&name);

    reset["opts"] = json!({ "reset": true });
    app.admin().post("/sync/trigger", &reset).await.expect(200);
    app.run_due().await;
    app.advance(Duration::from_mins(10));
    app.run_due().await;
    assert_eq!(app.rows(&name).await, rows);

    reset["opts"] = json!({ "reset": true, "emptyCache": true });
    app.admin().post("/sync/trigger", &reset).await.expect(200);
    app.run_due().await;
    assert_eq!(app.rows(&name).await, rows - 1);
    assert_table_equals_truth(&app, &name).await;
}
