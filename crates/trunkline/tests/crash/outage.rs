//! PostgreSQL is killed and restarted during backfills.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use testkit::{Dialect, TestApp, TestServer, assert_table_equals_truth, wait_until};

use crate::kills::of;
use crate::processes::Sandbox;

/// Less than the lease, so the test fails if a run waits for its lease to expire.
const SECONDS: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_lose_their_database_continue_in_seconds_and_none_fails() {
    let Some(server) = TestServer::start() else { return };
    let builder = of(30_000).database(server.database());
    let app = builder.start(Dialect::Postgres).await.unwrap();
    app.expect_error("does not respond");
    let names = [
        app.connect_as(app.admin(), "one").await,
        app.connect_as(app.admin(), "two").await,
    ];
    let mut sandbox = Sandbox::new(&app);
    sandbox.set("TRUNKLINE_WORKER__LEASE_SECONDS", "300");
    let _worker = sandbox.start(&["worker"]);
    for kill in 0..2 {
        app.simulator().reset_requests();
        wait_until("pages are read", async || app.simulator().requests().total >= 8).await;
        let reading = runs(&app)
            .await
            .iter()
            .any(|run| run["kind"] == "backfill" && run["status"] == "running");
        assert!(reading, "first readings were over before kill {kill}");
        server.kill();
        server.start_again();
    }

    let began = Instant::now();
    wait_until("everything is read", async || {
        let runs = runs(&app).await;
        assert!(runs.iter().all(|run| run["status"] != "failed"), "{runs:#?}");
        runs.len() == 2 * names.len() && runs.iter().all(|run| run["status"] == "succeeded")
    })
    .await;
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    for name in &names {
        assert_table_equals_truth(&app, name).await;
    }
    let resumed: u64 = runs(&app)
        .await
        .iter()
        .map(|run| run["resumed"].as_u64().unwrap())
        .sum();
    assert!(resumed > 0, "no run lost its database");
}

/// Returns all runs, once this process can reach the database.
async fn runs(app: &TestApp) -> Vec<Json> {
    loop {
        let listed = app.admin().get("/sync/runs?limit=1000").await;
        if listed.status == 200 {
            return listed.json()["runs"].as_array().unwrap().clone();
        }
        assert_eq!(listed.status, 503, "{}", listed.text);
    }
}
