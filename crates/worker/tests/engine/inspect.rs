//! What these tests read: runs, rows including deleted ones, and the requests that the provider got.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{ConnectionId, ProviderName, StoredRecord, SyncName, Variant};
use gateway::{ModelTable, SyncSelection, syncs};
use serde_json::{Value as Json, json};
use store::records::{self, ChangeQuery};
use testkit::{AppBuilder, TestApp, wait_until};
use twilio_sim::RequestEntry;

/// Returns a body that selects every sync of the connection.
pub(crate) fn select(connection: &str) -> Json {
    json!({ "provider_config_key": "twilio", "connection_id": connection, "syncs": ["twilio-messages"] })
}

/// Returns all runs, newest first.
pub(crate) async fn runs(app: &TestApp) -> Vec<Json> {
    let listed = app.admin().get("/sync/runs?limit=1000").await.expect(200);
    listed.json()["runs"].as_array().unwrap().clone()
}

pub(crate) async fn newest_run(app: &TestApp) -> Json {
    runs(app).await.remove(0)
}

/// Returns the sum of a count over all runs.
pub(crate) async fn total(app: &TestApp, count: &str) -> u64 {
    runs(app)
        .await
        .iter()
        .map(|run| run[count].as_u64().unwrap())
        .sum()
}

/// Triggers the sync and runs it, without moving the clock.
pub(crate) async fn run_now(app: &TestApp, connection: &str) {
    app.admin()
        .post("/sync/trigger", &select(connection))
        .await
        .expect(200);
    app.run_due().await;
}

/// Advances the clock by a day in `steps`, and runs what is due after each.
pub(crate) async fn pass_a_day(app: &TestApp, steps: u32) {
    for _ in 0..steps {
        app.advance(Duration::from_hours(24) / steps);
        app.run_due().await;
    }
}

/// Waits until the simulator got `more` further requests.
pub(crate) async fn requests(app: &TestApp, more: u64) {
    let goal = app.simulator().requests().total + more;
    wait_until("the provider gets more requests", async || {
        app.simulator().requests().total >= goal
    })
    .await;
}

/// Returns the pages of a dated list that were read, and how often each was.
pub(crate) fn dated_pages(app: &TestApp) -> HashMap<String, usize> {
    let mut pages = HashMap::new();
    let log = app.simulator().requests();
    assert_eq!(
        log.total,
        u64::try_from(log.entries.len()).unwrap(),
        "the log is whole"
    );
    let is_page = |entry: &RequestEntry| {
        entry.status == 200 && entry.method == "GET" && entry.path.contains("DateSent")
    };
    for entry in log.entries.into_iter().filter(is_page) {
        *pages.entry(entry.path).or_default() += 1;
    }
    pages
}

/// Returns every row of the connection's messages by key, including those marked deleted.
pub(crate) async fn all_rows(app: &TestApp, connection: &str) -> HashMap<String, StoredRecord> {
    rows_of(app, "twilio", "twilio-messages", connection).await
}

/// Returns every row of a sync by key, including those marked deleted.
pub(crate) async fn rows_of(
    app: &TestApp,
    provider: &str,
    sync: &str,
    connection: &str,
) -> HashMap<String, StoredRecord> {
    let (table, connection) = table_of(app, provider, sync, connection).await;
    let query = ChangeQuery {
        limit: i64::MAX,
        ..ChangeQuery::default()
    };
    let rows = app
        .store()
        .read(move |c| records::changes(c, &table.sql, connection, &query));
    let rows = rows.await.unwrap();
    rows.into_iter()
        .map(|row| (row.position.key.clone(), row))
        .collect()
}

/// Returns the table of a sync and the id of the connection.
pub(crate) async fn table_of(
    app: &TestApp,
    provider: &str,
    sync: &str,
    connection: &str,
) -> (Arc<ModelTable>, ConnectionId) {
    let (provider, sync): (ProviderName, SyncName) = (provider.parse().unwrap(), sync.parse().unwrap());
    let gateway = app.gateway();
    let table = gateway
        .table(&provider, &sync, &Variant::base())
        .await
        .unwrap()
        .unwrap();
    let selection = SyncSelection {
        integration: provider.to_string(),
        connection: Some(connection.to_owned()),
        syncs: Vec::new(),
    };
    let states = syncs::status(gateway, &app.caller().await, &selection).await;
    (table, states.unwrap().remove(0).sync.connection)
}

/// An app with pages of 50 messages, so that there are many.
pub(crate) fn small_pages() -> AppBuilder {
    AppBuilder::default().twilio_file(|file| {
        let changed = file.replace("limit: 1000\n", "limit: 50\n");
        assert_ne!(changed, file);
        changed
    })
}
