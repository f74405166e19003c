//! Imports with `POST /connections`, which takes credentials by their stored names.

use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{Reply, TestApp, on_both_databases};

fn key_body(app: &TestApp, name: &str) -> Json {
    let known = app.simulator().credentials();
    json!({
        "provider_config_key": "twilio",
        "connection_id": name,
        "credentials": { "type": "BASIC", "username": known.main_key_sid, "password": known.main_key_secret },
        "connection_config": { "accountSid": known.account_sid },
    })
}

fn with(mut body: Json, pointer: &str, value: impl Into<Json>) -> Json {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[field] = value.into();
    body
}

async fn import(app: &TestApp, body: &Json) -> Reply {
    app.admin().post("/connections", body).await
}

#[on_both_databases]
async fn an_import_returns_the_whole_connection_and_starts_its_syncs(app: TestApp) {
    let body = key_body(&app, "moved");
    let body = with(body, "/metadata", json!({ "team": 7 }));
    let body = with(body, "/tags", json!({ "Plan": "pro" }));
    let body = with(
        body,
        "/end_user",
        json!({ "id": "u1", "email": "ann@example.com" }),
    );
    let body = with(body, "/webhook_url_override", "https://app.example.com/hook");

    let made = import(&app, &body).await.expect(201).json();

    assert_eq!(made["connection_id"], "moved");
    assert_eq!(made["provider"], "twilio");
    assert_eq!(made["credentials"], body["credentials"]);
    assert_eq!(made["connection_config"], body["connection_config"]);
    assert_eq!(made["metadata"], body["metadata"]);
    assert_eq!(made["webhook_url_override"], "https://app.example.com/hook");
    assert_eq!(
        made["tags"],
        json!({ "end_user_email": "ann@example.com", "end_user_id": "u1", "plan": "pro" })
    );
    assert_eq!(made["end_user"]["id"], "u1");
    assert_eq!(
        (&made["errors"], &made["last_fetched_at"]),
        (&json!([]), &json!(null))
    );
    for time in ["created_at", "updated_at"] {
        assert!(made[time].as_str().unwrap().ends_with('Z'), "{made}");
    }
    app.run_due().await;
    assert!(app.rows("moved").await > 200);
}

#[on_both_databases]
async fn a_form_of_the_file_fills_what_an_import_leaves_out(app: TestApp) {
    let known = app.simulator().credentials();
    let token = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });
    let body = json!({ "provider_config_key": "twilio", "credentials": token });

    let made = import(&app, &body).await.expect(201).json();

    assert_eq!(made["connection_id"].as_str().unwrap().len(), 36, "{made}");
    assert_eq!(
        made["connection_config"],
        json!({ "accountSid": known.account_sid })
    );
    // The account cannot be read from an API key, so it is required here.
    let mut key = key_body(&app, "key");
    key.as_object_mut().unwrap().remove("connection_config");
    let reply = import(&app, &key).await.expect(400);
    assert_eq!(reply.fields(), ["connection_config.accountSid"]);
    // The token of an account that reads another one. No form has these fields, but they are complete.
    let below = with(
        json!({ "provider_config_key": "twilio", "credentials": token }),
        "/connection_config",
        json!({ "accountSid": known.subaccount_sid }),
    );
    import(&app, &below).await.expect(201);
}

#[on_both_databases]
async fn importing_again_replaces_the_credentials_and_keeps_fields_that_are_left_out(app: TestApp) {
    let body = with(key_body(&app, "moved"), "/tags", json!({ "plan": "pro" }));
    let first = import(&app, &body).await.expect(201).json();
    let known = app.simulator().credentials();
    let token = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });

    let again = with(key_body(&app, "moved"), "/credentials", token.clone());
    let second = import(&app, &again).await.expect(201).json();

    assert_eq!(second["id"], first["id"]);
    assert_eq!(second["credentials"], token);
    assert_eq!(second["tags"], json!({ "plan": "pro" }));
    // Its rows belong to one account, which cannot change.
    let other =
        json!({ "type": "BASIC", "username": known.subaccount_sid, "password": known.subaccount_auth_token });
    let other = json!({ "provider_config_key": "twilio", "connection_id": "moved", "credentials": other });
    let reply = import(&app, &other).await.expect(400);
    assert_eq!(reply.fields(), ["connection_config.accountSid"]);
}

#[on_both_databases]
async fn an_import_that_the_provider_refuses_is_not_stored(app: TestApp) {
    let body = with(
        key_body(&app, "moved"),
        "/credentials/password",
        "0123456789abcdef0123456789abcdef",
    );

    let reply = import(&app, &body).await.expect(400);

    assert_eq!(reply.code(), "connection_test_failed");
    let list = app.admin().get("/connections").await.expect(200).json();
    assert_eq!(list["connections"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_field_of_an_import_is_named() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let good = key_body(&app, "x");
    let long = "x".repeat(1025);
    let cases = [
        ("/connection_id", json!("a\u{e9}"), "connection_id"),
        ("/credentials", json!("text"), "credentials"),
        (
            "/credentials",
            json!({ "type": "API_KEY", "apiKey": "k" }),
            "credentials.type",
        ),
        ("/credentials", json!({ "type": "NONE" }), "credentials.type"),
        ("/credentials/type", json!("basic"), "credentials.type"),
        ("/credentials/username", json!("AC12"), "credentials.username"),
        ("/credentials/password", json!(long), "credentials.password"),
        ("/credentials/password", json!(""), "credentials.password"),
        ("/credentials/password", json!(5), "credentials.password"),
        ("/credentials/apiKey", json!("k"), "credentials.apiKey"),
        (
            "/connection_config/accountSid",
            json!("SK12"),
            "connection_config.accountSid",
        ),
        (
            "/connection_config/account",
            json!("x".repeat(9_000)),
            "connection_config.account",
        ),
        ("/tags", json!({ "1x": "y" }), "tags.1x"),
        ("/tags", json!({ "end_user_email": "no" }), "tags.end_user_email"),
        ("/end_user", json!({ "id": "" }), "end_user.id"),
        ("/webhook_url_override", json!("ftp://x"), "webhook_url_override"),
        ("/metadata", json!("text"), "metadata"),
        ("/unknown", json!(1), "unknown"),
    ];
    for (pointer, value, field) in cases {
        let reply = import(&app, &with(good.clone(), pointer, value.clone()))
            .await
            .expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", vec![field.to_owned()]),
            "{pointer} {value}: {}",
            reply.text
        );
    }
    let reply = import(&app, &with(good, "/provider_config_key", "nobody"))
        .await
        .expect(404);
    assert_eq!(reply.code(), "not_found");
    assert!(
        reply.message().starts_with("Integration does not exist"),
        "{}",
        reply.text
    );
}
