//! The character U+0000, which PostgreSQL accepts neither as text nor in JSON functions: wherever a client sends text, it is
//! refused or stored without harm.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};
use testkit::{TestApp, on_both_databases};

use crate::connect_sessions::made;

const NUL: &str = "a\0b";
const HOOK: &str = "https://app.example.com/\0hook";

type Sent = (Method, &'static str, Json);

/// Returns an end user and metadata that contain the text.
fn user_and_notes() -> (Json, Json) {
    (
        json!({ "id": NUL, "email": NUL, "display_name": NUL, "tags": { "a": NUL } }),
        json!({ NUL: NUL, "list": [NUL, { NUL: NUL }] }),
    )
}

/// Returns bodies about connections with the text in each of their fields.
fn about_connections(app: &TestApp) -> Vec<Sent> {
    let connect = |field: &str, value: Json| {
        let mut body = app.connect_body("nul");
        body[field] = value;
        (Method::POST, "/twilio/connect", body)
    };
    let credentials = {
        let known = app.simulator().credentials();
        json!({ "type": "BASIC", "username": known.main_key_sid, "password": known.main_key_secret })
    };
    let import = |field: &str, value: Json| {
        let account = &app.simulator().credentials().account_sid;
        let mut body = json!({
            "provider_config_key": "twilio", "connection_id": "nul", "credentials": credentials,
            "connection_config": { "accountSid": account },
        });
        body[field] = value;
        (Method::POST, "/connections", body)
    };
    let patch = |body: Json| {
        (
            Method::PATCH,
            "/connections/my-twilio?provider_config_key=twilio",
            body,
        )
    };
    let (user, notes) = user_and_notes();
    let post = |path, body| (Method::POST, path, body);
    vec![
        connect("connectionId", json!(NUL)),
        connect("accountSid", json!(NUL)),
        connect("apiKeySecret", json!(NUL)),
        connect(NUL, json!("x")),
        connect("metadata", notes.clone()),
        connect("tags", json!({ "a": NUL })),
        connect("tags", json!({ NUL: "a" })),
        connect("end_user", user.clone()),
        connect("organization", json!({ "id": NUL })),
        import("provider_config_key", json!(NUL)),
        import("connection_id", json!(NUL)),
        import("credentials", json!({ "type": NUL, "username": NUL })),
        import("connection_config", json!({ "accountSid": NUL, NUL: NUL })),
        import("metadata", notes.clone()),
        import("tags", json!({ "a": NUL })),
        import("end_user", user.clone()),
        import("webhook_url_override", json!(HOOK)),
        patch(json!({ "tags": { NUL: NUL } })),
        patch(json!({ "end_user": user })),
        patch(json!({ "metadata": notes })),
        patch(json!({ "webhook_url_override": HOOK })),
        patch(json!({ "connection_config": { NUL: NUL } })),
        patch(json!({ "connection_config": { "accountSid": NUL } })),
        post(
            "/connections/metadata",
            json!({ "provider_config_key": "twilio", "connection_id": "my-twilio", "metadata": notes }),
        ),
        post(
            "/connections/metadata",
            json!({ "provider_config_key": NUL, "connection_id": [NUL], "metadata": {} }),
        ),
    ]
}

/// Returns the other bodies.
fn about_the_rest() -> Vec<Sent> {
    let integration = |field: &str, value: Json| {
        let mut body = json!({ "provider": "twilio", "unique_key": "nul" });
        body[field] = value;
        (Method::POST, "/integrations", body)
    };
    let session = |field: &str, value: Json| {
        let mut body = json!({ "end_user": { "id": "u1" } });
        body[field] = value;
        (Method::POST, "/connect/sessions", body)
    };
    let (user, _) = user_and_notes();
    let post = |path, body| (Method::POST, path, body);
    vec![
        integration("unique_key", json!(NUL)),
        integration("provider", json!(NUL)),
        integration("display_name", json!(NUL)),
        integration("custom", json!({ "a": NUL })),
        integration("custom", json!({ NUL: "a" })),
        integration("integration_config", json!({ NUL: NUL })),
        (
            Method::PATCH,
            "/integrations/twilio",
            json!({ "display_name": NUL, "custom": { NUL: NUL } }),
        ),
        session("end_user", user),
        session("organization", json!({ "id": "o", "display_name": NUL })),
        session("tags", json!({ "a": NUL })),
        session("allowed_integrations", json!([NUL])),
        session("overrides", json!({ NUL: {} })),
        session(
            "overrides",
            json!({ "twilio": { "docs_connect": NUL, NUL: NUL } }),
        ),
        session(
            "integrations_config_defaults",
            json!({ "twilio": { "connection_config": { NUL: NUL } } }),
        ),
        session("webhook_url_override", json!(HOOK)),
        post("/environments", json!({ "name": NUL })),
        post(
            "/environments/dev/api-keys",
            json!({ "name": NUL, "scopes": ["environment:*"] }),
        ),
        post(
            "/environments/dev/api-keys",
            json!({ "name": "a", "scopes": [NUL] }),
        ),
        post(
            "/sync/trigger",
            json!({ "provider_config_key": "twilio", "connection_id": NUL, "syncs": [NUL] }),
        ),
        post(
            "/sync/pause",
            json!({ "provider_config_key": NUL, "connection_id": "my-twilio", "syncs": ["twilio-messages"] }),
        ),
        (
            Method::PUT,
            "/sync/update-connection-frequency",
            json!({ "provider_config_key": "twilio", "connection_id": NUL, "sync_name": NUL, "frequency": NUL }),
        ),
        post("/twilio/verify", json!({ "connectionId": NUL })),
        post(
            "/twilio/messages",
            json!({ "connectionId": "my-twilio", "to": NUL, "body": NUL }),
        ),
    ]
}

/// Returns URLs with the text in each of their parts.
const ADDRESSES: [&str; 22] = [
    "/connections?tags[a%00b]=x",
    "/connections?tags[a]=a%00b",
    "/connections?search=a%00b",
    "/connections?connectionId=a%00b",
    "/connections?endUserId=a%00b",
    "/connections?endUserOrganizationId=a%00b",
    "/connections?integrationId=a%00b",
    "/connections?a%00b=x",
    "/connections/a%00b?provider_config_key=twilio",
    "/connections/my-twilio?provider_config_key=a%00b",
    "/connection?connectionId=a%00b",
    "/integrations/a%00b",
    "/integrations/twilio/functions/a%00b?type=sync",
    "/integrations/twilio/functions?search=a%00b",
    "/providers?search=a%00b",
    "/providers/a%00b",
    "/environments/a%00b/api-keys",
    "/sync/runs/a%00b",
    "/sync/status?provider_config_key=twilio&connection_id=a%00b&syncs=a%00b",
    "/twilio/messages?connectionId=my-twilio&from=a%00b",
    "/twilio/messages?connectionId=my-twilio&cursor=a%00b",
    "/a%00b/messages?connectionId=my-twilio",
];

fn with(request: RequestBuilder, body: &Json) -> RequestBuilder {
    request
        .header("Content-Type", "application/json")
        .body(body.to_string())
}

#[on_both_databases]
async fn text_with_nul_characters_never_causes_an_internal_error(app: TestApp) {
    app.connect_twilio().await;
    let mut failed = Vec::new();
    for (method, path, body) in about_connections(&app).into_iter().chain(about_the_rest()) {
        let request = with(app.admin().request(method.clone(), path), &body);
        let reply = app.admin().send(request).await;
        if reply.status >= 500 {
            failed.push(format!("{method} {path} {body}: {}", reply.text));
        }
    }
    for path in ADDRESSES {
        let reply = app.admin().get(path).await;
        if reply.status >= 500 {
            failed.push(format!("GET {path}: {}", reply.text));
        }
    }
    for (path, body) in [
        ("/action/trigger", json!({ "action_name": NUL, "input": {} })),
        (
            "/action/trigger",
            json!({ "action_name": "send-message", "input": { "to": NUL, NUL: NUL } }),
        ),
    ] {
        for later in ["true", "false"] {
            let request = with(app.admin().request(Method::POST, path), &body);
            let request = request
                .header("Connection-Id", "my-twilio")
                .header("Provider-Config-Key", "twilio")
                .header("X-Async", later);
            let reply = app.admin().send(request).await;
            if reply.status >= 500 {
                failed.push(format!("POST {path} {body}: {}", reply.text));
            }
        }
    }
    let session = made(&app, "", &json!({ "end_user": { "id": "u1" } })).await;
    let token = session["token"].as_str().unwrap();
    for query in ["&params[accountSid]=a%00b", "&params[a%00b]=c"] {
        let path = format!("/api-auth/basic/twilio?connect_session_token={token}{query}");
        let body = json!({ "username": NUL, "password": NUL });
        let reply = app.anonymous().post(&path, &body).await;
        if reply.status >= 500 {
            failed.push(format!("POST {path}: {}", reply.text));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));

    let hook = json!({ "webhook_url_override": "https://app.example.com/\nhook" });
    let path = "/connections/my-twilio?provider_config_key=twilio";
    let refused = app.admin().patch(path, &hook).await.expect(400);
    assert_eq!(refused.fields(), ["webhook_url_override"]);
}
