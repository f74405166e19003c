//! Requests about syncs: invalid ones, and those of older clients.

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::TestApp;

use crate::syncs::{added, select};

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_has_nangos_error_response() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let with = |field: &str, value: Json| {
        let mut body = select();
        body[field] = value;
        body
    };
    let cases = [
        (
            json!({ "syncs": ["twilio-messages"] }),
            400,
            "missing_provider_config_key",
            "",
        ),
        (
            json!({ "provider_config_key": "twilio" }),
            400,
            "no_syncs_found",
            "",
        ),
        (with("syncs", json!([])), 400, "no_syncs_found", ""),
        (with("syncs", json!(["nothing"])), 400, "unknown_sync", ""),
        (with("syncs", json!([5])), 400, "invalid_body", "syncs.0"),
        (with("syncs", json!(["a b"])), 400, "invalid_body", "syncs.0"),
        (
            with("provider_config_key", json!("none")),
            400,
            "unknown_provider_config",
            "",
        ),
        (
            with("connection_id", json!("none")),
            404,
            "unknown_connection",
            "",
        ),
        (
            with("syncs", json!([{ "name": "twilio-messages", "variant": "none" }])),
            400,
            "unknown_sync",
            "",
        ),
        (
            with("syncs", json!(vec!["twilio-messages"; 257])),
            400,
            "invalid_body",
            "syncs",
        ),
        (with("surplus", json!(1)), 400, "invalid_body", "surplus"),
        (
            with("opts", json!({ "rest": true })),
            400,
            "invalid_body",
            "opts.rest",
        ),
        (
            with("opts", json!({ "emptyCache": true })),
            400,
            "invalid_body",
            "opts",
        ),
        (with("sync_mode", json!("all")), 400, "invalid_body", "sync_mode"),
    ];
    for (body, status, code, field) in cases {
        let reply = app.admin().post("/sync/trigger", &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{body}: {}",
            reply.text
        );
        if !field.is_empty() {
            assert_eq!(reply.fields(), [field], "{}", reply.text);
        }
    }
    let mut both = with("opts", json!({ "reset": true }));
    both["full_resync"] = json!(true);
    assert_eq!(
        app.admin().post("/sync/trigger", &both).await.expect(400).code(),
        "invalid_body"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_query_has_nangos_error_response() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    for path in [
        "/sync/status?provider_config_key=twilio",
        "/sync/status?syncs=*",
        "/sync/status?syncs=a%20b&provider_config_key=twilio",
        "/sync/runs?limit=0",
        "/sync/runs?cursor=x",
        "/sync/runs?connection=x",
    ] {
        assert_eq!(
            app.admin().get(path).await.expect(400).code(),
            "invalid_query_params",
            "{path}"
        );
    }
    let path = "/sync/status?syncs=*&provider_config_key=twilio&connection_id=none";
    assert_eq!(app.admin().get(path).await.expect(400).code(), "invalid_body");
    assert_eq!(
        app.admin().get("/sync/runs/run_0").await.expect(404).code(),
        "not_found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_older_clients_mean_the_same() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let headers = app
        .admin()
        .request(Method::POST, "/sync/trigger")
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio")
        .header("Content-Type", "application/json");
    app.run_due().await;
    let by_headers = app
        .admin()
        .send(
            headers.body(json!({ "syncs": [{ "name": "twilio-messages", "variant": "base" }] }).to_string()),
        )
        .await;
    assert_eq!(by_headers.expect(200).json()["runs"].as_array().unwrap().len(), 1);

    for (mode, anew) in [
        ("incremental", false),
        ("full_refresh", false),
        ("full_refresh_and_clear_cache", true),
    ] {
        app.run_due().await;
        let before = added(&app).await;
        let mut body = select();
        body["sync_mode"] = json!(mode);
        app.admin().post("/sync/trigger", &body).await.expect(200);
        app.run_due().await;
        let again = if anew { app.simulator().live_count() } else { 0 };
        assert_eq!(added(&app).await, before + again, "{mode}");
    }
}
