//! Connect sessions: created with a key, read and ended with their token.

use std::time::Duration;

use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{Client, TestApp, on_both_databases};

pub(crate) async fn session_token(app: &TestApp) -> String {
    made(app, "", &json!({ "end_user": { "id": "u1" } })).await["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) async fn made(app: &TestApp, which: &str, body: &Json) -> Json {
    let reply = app
        .admin()
        .post(&format!("/connect/sessions{which}"), body)
        .await
        .expect(201);
    reply.json()["data"].clone()
}

fn holder(app: &TestApp, session: &Json) -> Client {
    app.anonymous()
        .with_key(Some(session["token"].as_str().unwrap().to_owned()))
}

#[on_both_databases]
async fn a_session_lasts_half_an_hour_and_shows_its_options(app: TestApp) {
    let defaults = json!({ "twilio": { "user_scopes": "x", "connection_config": { "accountSid": "AC00000000000000000000000000000001" } } });
    let overrides = json!({ "twilio": { "docs_connect": "https://docs.example.com" } });
    let body = json!({
        "end_user": { "id": "u1", "email": "ann@example.com", "display_name": "Ann", "tags": { "a": "b" } },
        "organization": { "id": "o1", "display_name": "Acme" },
        "allowed_integrations": ["twilio"],
        "integrations_config_defaults": defaults,
        "overrides": overrides,
        "tags": { "plan": "pro" },
        "webhook_url_override": "https://app.example.com/hook",
    });

    let session = made(&app, "", &body).await;

    let token = session["token"].as_str().unwrap();
    assert!(
        token.starts_with("nango_connect_session_") && token.len() == 22 + 64,
        "{token}"
    );
    let link = session.get("connect_link").and_then(Json::as_str).unwrap();
    assert!(
        link.ends_with(&format!("/connect?session_token={token}")),
        "{link}"
    );
    let ends: domain::Timestamp = session["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(ends.since(app.clock().now()), Duration::from_mins(30));
    let client = holder(&app, &session);
    let shown = client.get("/connect/session").await.expect(200).json();
    let colour = json!({ "primary": "#00B2E3" });
    let wanted = json!({ "data": {
        "endUser": {
            "id": "u1", "display_name": "Ann", "email": "ann@example.com", "tags": { "a": "b" },
            "organization": { "id": "o1", "display_name": "Acme" },
        },
        "connectUISettings": {
            "theme": { "light": colour, "dark": colour }, "defaultTheme": "system", "showWatermark": false,
        },
        "allowed_integrations": ["twilio"],
        "integrations_config_defaults": defaults,
        "overrides": overrides,
        "isReconnecting": false,
    } });
    assert_eq!(shown, wanted);
    app.advance(Duration::from_secs(30 * 60 - 1));
    client.get("/connect/session").await.expect(200);
    app.advance(Duration::from_secs(1));
    let reply = client.get("/connect/session").await.expect(401);
    assert_eq!(reply.code(), "unknown_connect_session_token");
}

#[on_both_databases]
async fn a_session_can_be_ended_early(app: TestApp) {
    let session = made(&app, "", &json!({ "tags": { "plan": "pro" } })).await;
    let client = holder(&app, &session);
    let shown = client.get("/connect/session").await.expect(200).json();
    assert_eq!(shown["data"]["endUser"], json!(null));
    assert_eq!(shown["data"].get("allowed_integrations"), None);

    let reply = client.delete("/connect/session").await.expect(204);

    assert_eq!(reply.text, "");
    let reply = client.get("/connect/session").await.expect(401);
    assert_eq!(reply.code(), "unknown_connect_session_token");
}

#[on_both_databases]
async fn a_reconnect_session_is_for_one_integration(app: TestApp) {
    app.connect_twilio().await;
    let body = json!({ "connection_id": "my-twilio", "integration_id": "twilio" });

    let session = made(&app, "/reconnect", &body).await;

    let shown = holder(&app, &session)
        .get("/connect/session")
        .await
        .expect(200)
        .json();
    assert_eq!(shown["data"]["isReconnecting"], true);
    assert_eq!(shown["data"]["allowed_integrations"], json!(["twilio"]));
    // It is deleted with its connection.
    app.admin()
        .delete("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);
    let reply = holder(&app, &session).get("/connect/session").await.expect(401);
    assert_eq!(reply.code(), "unknown_connect_session_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_session_is_refused_with_the_reason() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let user = json!({ "id": "u1" });
    let cases = [
        ("", json!({}), "end_user"),
        ("", json!({ "end_user": {} }), "end_user.id"),
        (
            "",
            json!({ "end_user": { "id": "u", "email": "x" } }),
            "end_user.email",
        ),
        (
            "",
            json!({ "end_user": user, "allowed_integrations": ["twilio", "none"] }),
            "allowed_integrations.1",
        ),
        (
            "",
            json!({ "end_user": user, "allowed_integrations": [] }),
            "allowed_integrations",
        ),
        (
            "",
            json!({ "end_user": user, "integrations_config_defaults": { "none": {} } }),
            "integrations_config_defaults.none",
        ),
        (
            "",
            json!({ "end_user": user, "overrides": { "none": {} } }),
            "overrides.none",
        ),
        (
            "",
            json!({ "end_user": user, "webhook_url_override": "x" }),
            "webhook_url_override",
        ),
        ("", json!({ "end_user": user, "extra": 1 }), "extra"),
        (
            "/reconnect",
            json!({ "connection_id": "none", "integration_id": "twilio" }),
            "connection_id",
        ),
        (
            "/reconnect",
            json!({ "connection_id": "my-twilio", "integration_id": "none" }),
            "integration_id",
        ),
    ];
    for (which, body, field) in cases {
        let reply = app
            .admin()
            .post(&format!("/connect/sessions{which}"), &body)
            .await
            .expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", vec![field.to_owned()]),
            "{body}"
        );
        if body.to_string().contains("none") && which.is_empty() {
            let message = &reply.json()["error"]["errors"][0]["message"];
            assert_eq!(message, "Integration does not exist");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sees_all_providers_and_its_allowed_integrations() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    for key in ["ours", "others"] {
        let body = json!({ "provider": "twilio", "unique_key": key, "custom": { "plan": "internal" } });
        app.admin().post("/integrations", &body).await.expect(200);
    }
    let body = json!({ "end_user": { "id": "u1" }, "allowed_integrations": ["ours", "sendgrid"] });
    let holder = holder(&app, &made(&app, "", &body).await);

    let listed = holder.get("/integrations").await.expect(200).json();

    // A session may allow a provider under its own name, whether or not it was ever connected.
    let keys: Vec<&Json> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["unique_key"])
        .collect();
    assert_eq!(keys, ["ours", "sendgrid"]);
    // What the app keeps for itself is not shown to end users.
    assert_eq!(listed["data"][0]["custom"], json!({}));
    assert_eq!(listed["data"][0]["integration_config"], json!({}));
    let listed = app.admin().get("/integrations").await.expect(200).json();
    assert_eq!(listed["data"][0]["custom"], json!({ "plan": "internal" }));
    holder.get("/providers/twilio").await.expect(200);
    holder.get("/providers").await.expect(200);
    for path in ["/integrations/ours", "/providers/twilio/templates"] {
        assert_eq!(holder.get(path).await.expect(401).code(), "unknown_account");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_is_not_accepted_as_a_key_nor_a_key_as_a_token() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let token = session_token(&app).await;
    let with = |key: &str| app.anonymous().with_key(Some(key.to_owned()));
    let unknown = format!("nango_connect_session_{}", "0".repeat(64));
    let cases = [
        (
            app.anonymous().get("/connect/session").await,
            "missing_auth_header",
        ),
        (
            app.admin().get("/connect/session").await,
            "invalid_connect_session_token_format",
        ),
        (
            with("nonsense").get("/connect/session").await,
            "invalid_connect_session_token_format",
        ),
        (
            with("nango_connect_session_12").delete("/connect/session").await,
            "invalid_connect_session_token_format",
        ),
        (
            with(&unknown).get("/connect/session").await,
            "unknown_connect_session_token",
        ),
        (with(&token).get("/connections").await, "unknown_account"),
        (
            with(&token)
                .post("/connect/sessions", &json!({ "tags": {} }))
                .await,
            "unknown_account",
        ),
        (
            with(&unknown).get("/connections").await,
            "unknown_connect_session_token",
        ),
    ];
    for (reply, code) in cases {
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, code),
            "{}",
            reply.text
        );
        assert!(!reply.message().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_of_a_connect_page_is_accepted_with_an_empty_response() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let beacon = app
        .anonymous()
        .request(reqwest::Method::POST, "/connect/telemetry")
        .header("Content-Type", "text/plain;charset=UTF-8")
        .body("{\"token\":\"x\",\"event\":\"open\"}");

    let reply = app.anonymous().send(beacon).await.expect(204);

    assert_eq!(reply.text, "");
}
