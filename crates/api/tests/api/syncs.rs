//! Syncs and their runs: triggering, pausing, starting and listing them.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{TestApp, on_both_databases};

pub(crate) fn select() -> Json {
    json!({ "provider_config_key": "twilio", "connection_id": "my-twilio", "syncs": ["twilio-messages"] })
}

async fn runs(app: &TestApp) -> Vec<Json> {
    app.admin().get("/sync/runs").await.expect(200).json()["runs"]
        .as_array()
        .unwrap()
        .clone()
}

/// Returns what all runs together added: after the backfill, a separate run reads rows without a date.
pub(crate) async fn added(app: &TestApp) -> u64 {
    runs(app)
        .await
        .iter()
        .filter_map(|run| run["added"].as_u64())
        .sum()
}

async fn status(app: &TestApp) -> Json {
    let path = "/sync/status?syncs=twilio-messages::base&provider_config_key=twilio&connection_id=my-twilio";
    app.admin().get(path).await.expect(200).json()["syncs"][0].clone()
}

#[on_both_databases]
async fn the_first_run_starts_by_itself_and_shows_its_counts(app: TestApp) {
    let name = app.connect_twilio().await;

    app.run_due().await;

    testkit::assert_table_equals_truth(&app, &name).await;
    let run = runs(&app).await.pop().unwrap();
    let shown = app
        .admin()
        .get(&format!("/sync/runs/{}", run["id"].as_str().unwrap()))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["run"], run);
    assert_eq!(
        (&run["status"], &run["sync"], &run["connection_id"]),
        (
            &json!("succeeded"),
            &json!("twilio-messages"),
            &json!("my-twilio")
        )
    );
    assert_eq!(
        (&run["trigger"], &run["kind"]),
        (&json!("initial"), &json!("backfill"))
    );
    assert_eq!(added(&app).await, app.simulator().live_count());
    assert!(
        run["pages"].as_u64().unwrap() > 0 && run["finished_at"].is_string() && run["error"].is_null(),
        "{run}"
    );
}

#[on_both_databases]
async fn a_trigger_returns_its_run_and_a_second_one_says_that_it_is_active(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;

    let first = app
        .admin()
        .post("/sync/trigger", &select())
        .await
        .expect(200)
        .json();
    let second = app
        .admin()
        .post("/sync/trigger", &select())
        .await
        .expect(200)
        .json();

    let run = &first["runs"][0];
    assert_eq!(
        (&first["success"], &run["sync"], &run["already_active"]),
        (&json!(true), &json!("twilio-messages"), &json!(false))
    );
    assert!(first.get("message").is_none(), "{first}");
    assert_eq!(
        (&second["runs"][0]["id"], &second["runs"][0]["already_active"]),
        (&run["id"], &json!(true))
    );
    assert!(
        second["message"].as_str().unwrap().contains("already"),
        "{second}"
    );
    app.run_due().await;
    let done = app
        .admin()
        .get(&format!("/sync/runs/{}", run["id"].as_str().unwrap()))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&done["run"]["status"], &done["run"]["trigger"]),
        (&json!("succeeded"), &json!("api"))
    );
}

#[on_both_databases]
async fn a_reset_reads_everything_again_and_can_empty_the_table_first(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let all = app.simulator().live_count();
    let mut body = select();

    body["opts"] = json!({ "reset": true });
    app.admin().post("/sync/trigger", &body).await.expect(200);
    app.run_due().await;
    assert_eq!(
        added(&app).await,
        all,
        "what is there is read again and not added again"
    );
    body["opts"] = json!({ "reset": true, "emptyCache": true });
    app.admin().post("/sync/trigger", &body).await.expect(200);
    assert_eq!(app.rows(&name).await, 0);
    app.run_due().await;

    assert_eq!(added(&app).await, 2 * all);
    let kinds: Vec<Json> = runs(&app)
        .await
        .into_iter()
        .filter(|run| run["trigger"] == "api")
        .map(|run| run["kind"].clone())
        .collect();
    assert_eq!(kinds, ["backfill", "backfill"]);
    testkit::assert_table_equals_truth(&app, &name).await;
}

#[on_both_databases]
async fn a_paused_sync_runs_only_when_triggered(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    app.admin().post("/sync/pause", &select()).await.expect(200);
    let before = runs(&app).await.len();

    app.advance(Duration::from_hours(1));
    app.run_due().await;
    assert_eq!(
        (runs(&app).await.len(), &status(&app).await["status"]),
        (before, &json!("PAUSED"))
    );
    app.admin().post("/sync/trigger", &select()).await.expect(200);
    app.run_due().await;
    assert_eq!(
        (runs(&app).await.len(), &status(&app).await["status"]),
        (before + 1, &json!("PAUSED"))
    );

    app.admin().post("/sync/start", &select()).await.expect(200);
    app.run_due().await;
    assert_eq!(
        (runs(&app).await.len(), &status(&app).await["status"]),
        (before + 2, &json!("SUCCESS"))
    );
}

#[on_both_databases]
async fn a_pause_does_not_stop_a_queued_run(app: TestApp) {
    app.connect_twilio().await;
    let waiting = runs(&app).await.remove(0);
    assert_eq!(
        (&waiting["status"], &waiting["trigger"]),
        (&json!("queued"), &json!("initial"))
    );

    app.admin().post("/sync/pause", &select()).await.expect(200);
    app.run_due().await;

    let run = runs(&app).await.remove(0);
    assert_eq!(
        (&run["id"], &run["status"]),
        (&waiting["id"], &json!("succeeded"))
    );
    assert_eq!(status(&app).await["status"], "PAUSED");
}

#[on_both_databases]
async fn the_status_is_in_nangos_shape(app: TestApp) {
    app.connect_twilio().await;
    let fresh = status(&app).await;
    app.run_due().await;

    let settled = status(&app).await;

    assert_eq!(
        (&fresh["type"], &fresh["recordCount"]),
        (&json!("INITIAL"), &json!({ "Message": 0 }))
    );
    let all = app.simulator().live_count();
    assert_eq!(settled["recordCount"], json!({ "Message": all }));
    let newest = &runs(&app).await[0];
    let counts =
        json!({ "added": newest["added"], "updated": newest["updated"], "deleted": newest["deleted"] });
    assert_eq!(settled["latestResult"], json!({ "Message": counts }));
    assert_eq!(settled["type"], "INCREMENTAL");
    assert_eq!(
        (
            &settled["status"],
            &settled["latestExecutionStatus"],
            &settled["variant"]
        ),
        (&json!("SUCCESS"), &json!("SUCCESS"), &json!("base"))
    );
    assert!(
        settled["nextScheduledSyncAt"].is_string() && settled["finishedAt"].is_string(),
        "{settled}"
    );
    assert!(settled["frequency"].as_str().unwrap().contains('5'), "{settled}");
    let all_of_them = app
        .admin()
        .get("/sync/status?syncs=*&provider_config_key=twilio")
        .await
        .expect(200)
        .json();
    assert_eq!(all_of_them["syncs"][0], settled);
}

#[on_both_databases]
async fn runs_are_listed_in_pages_newest_first(app: TestApp) {
    app.connect_twilio().await;
    for _ in 0..5 {
        app.run_due().await;
        app.admin().post("/sync/trigger", &select()).await.expect(200);
    }
    let all: Vec<Json> = runs(&app)
        .await
        .into_iter()
        .map(|run| run["id"].clone())
        .collect();

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app
            .admin()
            .get(&format!("/sync/runs?limit=2&connection_id=my-twilio{cursor}"))
            .await
            .expect(200)
            .json();
        paged.extend(
            page["runs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|run| run["id"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }

    assert!(all.len() >= 6, "{}", all.len());
    assert_eq!(paged, all);
    let there = format!("/sync/runs?cursor={}", all[0].as_str().unwrap());
    let other = app.environment("prod").await;
    let refused = other.get(&there).await.expect(400);
    assert_eq!(
        (refused.code().as_str(), refused.fields()),
        ("invalid_query_params", vec!["cursor".to_owned()])
    );
    let none = app.admin().get("/sync/runs?sync=other").await.expect(200).json();
    assert_eq!(none["runs"], json!([]));
}

#[on_both_databases]
async fn a_revoked_key_is_reported_by_the_run_and_the_connection(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    app.simulator()
        .revoke(&app.simulator().credentials().main_key_sid);
    app.admin().post("/sync/trigger", &select()).await.expect(200);
    app.run_due().await;

    let run = runs(&app).await.remove(0);
    assert_eq!(run["status"], "failed");
    assert!(
        run["error"]["code"].is_string() && run["error"]["hint"].as_str().unwrap().contains("Twilio console"),
        "{run}"
    );
    let shown = app
        .admin()
        .get("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200)
        .json();
    assert_eq!(shown["errors"][0]["type"], "auth", "{shown}");
    // New credentials clear the problem.
    app.simulator()
        .restore(&app.simulator().credentials().main_key_sid);
    app.connect_twilio().await;
    app.run_due().await;
    assert_eq!(runs(&app).await.remove(0)["status"], "succeeded");
    let shown = app
        .admin()
        .get("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200)
        .json();
    assert_eq!(shown["errors"], json!([]));
}
