//! The life of a connection behind PgBouncer in transaction mode.

use serde_json::json;
use store::testing::TestDatabase;
use testkit::{AppBuilder, Dialect, assert_table_equals_truth};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_syncing_reading_and_deleting_work_behind_a_pooler() {
    let Some(database) = TestDatabase::behind_pooler() else {
        return;
    };
    let app = AppBuilder::default()
        .database(database)
        .start(Dialect::Postgres)
        .await
        .unwrap();
    let names = ["one", "two", "three"];
    for name in names {
        app.connect_as(app.admin(), name).await;
    }
    app.run_due().await;
    for name in names {
        assert_table_equals_truth(&app, name).await;
    }

    let mut requests = tokio::task::JoinSet::new();
    for number in 0..60 {
        let (client, name) = (app.admin().clone(), names[number % names.len()]);
        requests.spawn(async move {
            let listed = client
                .get(&format!("/twilio/messages?connectionId={name}&limit=10"))
                .await
                .expect(200);
            listed.json()["messages"].as_array().unwrap().len()
        });
    }
    while let Some(rows) = requests.join_next().await {
        assert_eq!(rows.unwrap(), 10);
    }
    let sent = json!({ "connectionId": "one", "from": app.simulator().assets().numbers[0], "to": "+14155550100", "body": "Hello" });
    app.admin().post("/twilio/messages", &sent).await.expect(200);
    app.admin()
        .delete("/connections/three?provider_config_key=twilio")
        .await
        .expect(200);
    app.admin().get("/ready").await.expect(200);
    let left = app
        .admin()
        .get("/twilio/messages?connectionId=two&limit=1000")
        .await
        .expect(200);
    assert_eq!(left.json()["messages"].as_array().unwrap().len(), 300);

    // Others use the sessions, too, so nothing of ours may stay in one.
    let kept = app.store().read(|c| {
        store::testing::run_sql(
            c,
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_prepared_statements) THEN RAISE 'a named statement'; END IF; END $$",
        )
    });
    kept.await.unwrap();
}
