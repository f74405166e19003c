//! What clients ask the gateway about an integration: forms, tables, and runs by a prefix of their id.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value as Json, json};
use testkit::{TestApp, on_both_databases};

#[on_both_databases]
async fn an_integration_shows_its_connect_forms(app: TestApp) {
    let body = json!({ "provider": "twilio", "unique_key": "twilio-eu" });
    app.admin().post("/integrations", &body).await.expect(200);
    for integration in ["twilio", "twilio-eu"] {
        let shown = app
            .admin()
            .get(&format!("/{integration}/connect"))
            .await
            .expect(200);
        let shown = &shown.json()["data"];
        assert_eq!(
            (&shown["integration"], &shown["provider"], &shown["display_name"]),
            (&json!(integration), &json!("twilio"), &json!("Twilio"))
        );
        let form = &shown["forms"][1];
        assert_eq!(form["title"], "Account SID and auth token");
        let fields: Vec<&Json> = form["fields"].as_array().unwrap().iter().collect();
        assert_eq!(fields[0]["name"], "accountSid");
        assert_eq!(
            (
                &fields[1]["name"],
                &fields[1]["secret"],
                &fields[1]["required"],
                &fields[1]["env"]
            ),
            (
                &json!("authToken"),
                &json!(true),
                &json!(true),
                &json!("TWILIO_AUTH_TOKEN")
            )
        );
    }
    let refused = app.admin().get("/nobody/connect").await.expect(404);
    assert_eq!(refused.code(), "unknown_provider_config");
    let refused = app.admin().get("/twilio/connect?x=1").await.expect(400);
    assert_eq!(refused.code(), "invalid_query_params");
}

#[on_both_databases]
async fn a_sync_shows_how_its_table_is_queried(app: TestApp) {
    app.connect_twilio().await;
    let list = app
        .admin()
        .get("/integrations/twilio/functions?limit=100")
        .await
        .expect(200)
        .json();
    let functions = list["data"].as_array().unwrap();
    let sync = functions.iter().find(|one| one["type"] == "sync").unwrap();
    let table = &sync["table"];
    assert_eq!(
        (&table["name"], &table["plural"], &table["key"]),
        (&json!("twilio_messages"), &json!("messages"), &json!("sid"))
    );
    assert_eq!(table["newest_by"], json!(["date_sent", "date_created"]));
    assert!(table["filters"].as_array().unwrap().contains(&json!("status")));
    assert!(
        table["columns"]
            .as_array()
            .unwrap()
            .contains(&json!({ "name": "date_sent", "type": "timestamp" }))
    );
    // The list has each column and filter that is shown.
    let filter = table["filters"][0].as_str().unwrap();
    let query =
        format!("/twilio/messages?connectionId=my-twilio&{filter}=x&date_sent_after=2026-01-01T00:00:00Z");
    app.admin().get(&query).await.expect(200);
    let action = functions.iter().find(|one| one["type"] == "action").unwrap();
    assert_eq!(action["table"], Json::Null);
}

#[on_both_databases]
async fn runs_are_found_by_a_prefix_of_their_id(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let ids = |list: Json| -> Vec<String> {
        let runs = list["runs"].as_array().unwrap().iter();
        runs.map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(app.admin().get("/sync/runs").await.expect(200).json());
    for id in &all {
        let found = app
            .admin()
            .get(&format!("/sync/runs?id_prefix={id}"))
            .await
            .expect(200);
        assert_eq!(ids(found.json()), [id.as_str()]);
        let upper = format!("run_{}", id.trim_start_matches("run_").to_uppercase());
        let found = app
            .admin()
            .get(&format!("/sync/runs?id_prefix={upper}"))
            .await
            .expect(200);
        assert_eq!(ids(found.json()), [id.as_str()]);
        let beginning = id.get(..7).unwrap();
        let found = app
            .admin()
            .get(&format!("/sync/runs?id_prefix={beginning}"))
            .await
            .expect(200);
        assert_eq!(ids(found.json()), all);
    }
    let none = app.admin().get("/sync/runs?id_prefix=run_ffff").await.expect(200);
    assert_eq!(ids(none.json()), Vec::<String>::new());
    for bad in ["run_", "ffff", "run_xyz", "run_%25"] {
        let refused = app
            .admin()
            .get(&format!("/sync/runs?id_prefix={bad}"))
            .await
            .expect(400);
        assert_eq!(refused.code(), "invalid_query_params", "{bad}");
    }
    let theirs = app.environment("theirs").await;
    let found = theirs
        .get(&format!("/sync/runs?id_prefix={}", all[0]))
        .await
        .expect(200);
    assert_eq!(ids(found.json()), Vec::<String>::new());
}

#[on_both_databases]
async fn the_log_line_of_a_request_names_operation_integration_and_connection(app: TestApp) {
    // Only lines of this test: the log is that of all tests of the process.
    static TESTS: AtomicU32 = AtomicU32::new(0);
    let connection = format!("logged-{}", TESTS.fetch_add(1, Ordering::Relaxed));
    app.connect_as(app.admin(), &connection).await;
    let secret = format!("secret-{connection}");
    let sent = [
        (
            format!("/twilio/messages?connectionId={connection}"),
            200,
            "list_twilio_messages",
            true,
        ),
        (
            format!("/connections/{connection}?provider_config_key=twilio"),
            200,
            "get_connection",
            true,
        ),
        (
            format!("/sync/status?syncs=*&provider_config_key=twilio&connection_id={connection}"),
            200,
            "sync_status",
            true,
        ),
        (
            format!("/twilio/messages?connectionId={secret}"),
            404,
            "list_twilio_messages",
            false,
        ),
        (
            format!("/{secret}/messages?connectionId={connection}"),
            404,
            "list_records",
            false,
        ),
        (format!("/{secret}/connect"), 404, "get_connect_forms", false),
    ];
    for (path, status, operation, known) in sent {
        let reply = app.admin().get(&path).await.expect(status);
        let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
        let logs = app.logs();
        let line = logs
            .lines()
            .find(|line| line.contains(&id) && line.contains("answered"))
            .unwrap();
        assert!(line.contains(&format!("operation=\"{operation}\"")), "{line}");
        assert_eq!(
            line.contains(&format!("connection=\"{connection}\"")),
            known,
            "{line}"
        );
        assert!(!known || line.contains("integration=\"twilio\""), "{line}");
        assert!(!line.contains(&secret) && !line.contains('{'), "{line}");
    }
}
