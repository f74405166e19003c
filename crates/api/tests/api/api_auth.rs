//! What Nango's front-end library does: connect with a session's token, from a page of another origin.

use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, Reply, TestApp, on_both_databases};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::connect_sessions::{made, session_token};

fn basic(app: &TestApp) -> Json {
    let known = app.simulator().credentials();
    json!({ "username": known.main_key_sid, "password": known.main_key_secret })
}

fn token_of(session: &Json) -> &str {
    session["token"].as_str().unwrap()
}

/// Connects like the library does.
async fn connect(app: &TestApp, token: &str, query: &str, body: &Json) -> Reply {
    let path = format!("/api-auth/basic/twilio?connect_session_token={token}{query}");
    app.anonymous().post(&path, body).await
}

async fn shown(app: &TestApp, name: &str) -> Json {
    app.admin()
        .get(&format!("/connections/{name}?provider_config_key=twilio"))
        .await
        .expect(200)
        .json()
}

#[on_both_databases]
async fn a_front_end_connects_with_a_session_and_the_connection_belongs_to_the_end_user(app: TestApp) {
    let body = json!({
        "end_user": { "id": "u1", "email": "ann@example.com" },
        "organization": { "id": "o1" },
        "tags": { "plan": "pro" },
        "webhook_url_override": "https://app.example.com/hook",
    });
    let session = made(&app, "", &body).await;
    let account = &app.simulator().credentials().account_sid;

    let query = format!("&params[accountSid]={account}&params[webhook_url]=x&hmac=&user_scope=a");
    let reply = connect(&app, token_of(&session), &query, &basic(&app))
        .await
        .expect(200);

    let response = reply.json();
    assert_eq!(response.as_object().unwrap().len(), 2, "{response}");
    assert_eq!(response["providerConfigKey"], "twilio");
    let name = response["connectionId"].as_str().unwrap();
    assert_eq!(name.len(), 36);
    let reported = shown(&app, name).await;
    assert_eq!(reported["end_user"]["organization"]["id"], "o1");
    assert_eq!(
        reported["tags"],
        json!({ "end_user_email": "ann@example.com", "end_user_id": "u1", "organization_id": "o1", "plan": "pro" })
    );
    assert_eq!(reported["webhook_url_override"], "https://app.example.com/hook");
    assert_eq!(reported["connection_config"], json!({ "accountSid": account }));
    app.run_due().await;
    assert!(app.rows(name).await > 200);
    // The session can still be used.
    let again = connect(&app, token_of(&session), &query, &basic(&app))
        .await
        .expect(200);
    assert_ne!(again.json()["connectionId"], name);
}

#[on_both_databases]
async fn values_of_the_session_override_those_of_the_front_end(app: TestApp) {
    let known = app.simulator().credentials();
    let body = json!({
        "tags": { "plan": "pro" },
        "integrations_config_defaults": { "twilio": { "connection_config": { "accountSid": known.account_sid } } },
    });
    let session = made(&app, "", &body).await;

    let query = format!("&params[accountSid]={}", known.subaccount_sid);
    let reply = connect(&app, token_of(&session), &query, &basic(&app))
        .await
        .expect(200);

    let reported = shown(&app, reply.json()["connectionId"].as_str().unwrap()).await;
    assert_eq!(
        reported["connection_config"],
        json!({ "accountSid": known.account_sid })
    );
}

#[on_both_databases]
async fn a_reconnect_session_replaces_the_credentials_of_its_connection(app: TestApp) {
    let mut body = app.connect_body("my-twilio");
    body["tags"] = json!({ "plan": "pro" });
    app.admin().post("/twilio/connect", &body).await.expect(201);
    let known = app.simulator().credentials();
    app.simulator().revoke(&known.main_key_sid);
    let body =
        json!({ "connection_id": "my-twilio", "integration_id": "twilio", "end_user": { "id": "u1" } });
    let session = made(&app, "/reconnect", &body).await;
    let token = json!({ "username": known.account_sid, "password": known.auth_token });
    let refused = connect(&app, token_of(&session), "", &basic(&app))
        .await
        .expect(400);
    assert_eq!(refused.code(), "connection_test_failed");

    let reply = connect(&app, token_of(&session), "", &token).await.expect(200);

    assert_eq!(
        reply.json(),
        json!({ "connectionId": "my-twilio", "providerConfigKey": "twilio" })
    );
    let reported = shown(&app, "my-twilio").await;
    assert_eq!(reported["credentials"]["username"], json!(known.account_sid));
    assert_eq!(reported["tags"], json!({ "end_user_id": "u1", "plan": "pro" }));
    let list = app.admin().get("/connections").await.expect(200).json();
    assert_eq!(list["connections"].as_array().unwrap().len(), 1);
    // Credentials of another account would mix two sources, so the configuration stays unchanged.
    let other = json!({ "username": known.subaccount_sid, "password": known.subaccount_auth_token });
    connect(&app, token_of(&session), "", &other).await.expect(400);
}

#[on_both_databases]
async fn the_token_of_an_ended_session_connects_nothing(app: TestApp) {
    let token = session_token(&app).await;
    app.advance(std::time::Duration::from_mins(30));

    let reply = connect(&app, &token, "", &basic(&app)).await.expect(401);

    assert_eq!(reply.code(), "unknown_connect_session_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_a_code_and_a_message() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let token = session_token(&app).await;
    let only = made(
        &app,
        "",
        &json!({ "tags": { "a": "b" }, "allowed_integrations": ["sendgrid"] }),
    )
    .await;
    let only = token_of(&only);
    let known = app.simulator().credentials();
    let wrong = json!({ "username": known.account_sid, "password": "0123456789abcdef0123456789abcdef" });
    let at = |path: &str, token: &str| format!("{path}?connect_session_token={token}");
    let basic_path = at("/api-auth/basic/twilio", &token);
    let never = format!("nango_connect_session_{}", "0".repeat(64));
    let at_basic = |token: &str| at("/api-auth/basic/twilio", token);
    let by_public_key = "/api-auth/basic/twilio?public_key=x&hmac=y".to_owned();
    let (named, other) = (
        format!("{basic_path}&connection_id=mine"),
        format!("{basic_path}&other=1"),
    );
    let none = at("/api-auth/basic/none", &token);
    let api_key = at("/api-auth/api-key/twilio", &token);
    let bare = |token: &str| at("/auth/unauthenticated/twilio", token);
    let bad = json!({ "username": "x", "password": "y" });
    let (good, empty) = (basic(&app), json!({}));
    let cases = [
        (
            "/api-auth/basic/twilio".to_owned(),
            &empty,
            401,
            "missing_auth_header",
        ),
        (by_public_key, &empty, 401, "deprecated_authentication"),
        (
            at_basic("x"),
            &json!("no object"),
            401,
            "invalid_connect_session_token_format",
        ),
        (at_basic(&never), &empty, 401, "unknown_connect_session_token"),
        (named, &good, 400, "invalid_query_params"),
        (other, &good, 400, "invalid_query_params"),
        (none, &good, 404, "unknown_provider_config"),
        (at_basic(only), &good, 400, "integration_not_allowed"),
        (api_key, &json!({ "apiKey": "x" }), 400, "invalid_auth_mode"),
        (bare(&token), &empty, 400, "invalid_auth_mode"),
        (bare(only), &empty, 400, "integration_not_allowed"),
        (basic_path.clone(), &empty, 400, "connection_validation_failed"),
        (basic_path.clone(), &bad, 400, "connection_validation_failed"),
        (basic_path.clone(), &wrong, 400, "connection_test_failed"),
        (basic_path.clone(), &json!("text"), 400, "invalid_body"),
    ];
    for (path, body, status, code) in cases {
        let reply = app.anonymous().post(&path, body).await;
        let reported = (reply.status, reply.code());
        assert_eq!(reported, (status, code.to_owned()), "{}", reply.text);
        assert!(reply.message().len() > 10, "{}", reply.text);
    }
    // Without a body, like the library sends it.
    let bare = app.anonymous().request(Method::POST, &bare(&token));
    assert_eq!(app.anonymous().send(bare).await.code(), "invalid_auth_mode");
    let reply = app.anonymous().post(&basic_path, &bad).await;
    assert_eq!(reply.fields(), ["username"]);
    assert!(
        reply.message().contains("username must be AC or SK followed by"),
        "{}",
        reply.text
    );
    let logs = app.logs();
    assert!(
        logs.contains("connect_with_basic"),
        "the operation is logged: {logs}"
    );
    for token in [token.as_str(), only] {
        assert!(!logs.contains(token), "the log holds a session's token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_key_connects_a_provider_that_takes_one() {
    let provider = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "scopes": [] })))
        .mount(&provider)
        .await;
    let builder = AppBuilder::default().provider_url("sendgrid", &provider.uri());
    let app = builder.start(Dialect::Sqlite).await.unwrap();
    let token = session_token(&app).await;
    let path = format!(
        "/api-auth/api-key/sendgrid?connect_session_token={token}&params[hostname]=api.eu.sendgrid.com"
    );

    let reply = app
        .anonymous()
        .post(&path, &json!({ "apiKey": "SG.abcdefghijklmnopqrstuv.wxyz" }))
        .await
        .expect(200);

    assert_eq!(reply.json()["providerConfigKey"], "sendgrid");
    let list = app.admin().get("/connections").await.expect(200).json();
    assert_eq!(list["connections"][0]["tags"], json!({ "end_user_id": "u1" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_send_these_requests_from_any_page() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let preflights = [
        (
            "POST",
            "/api-auth/api-key/sendgrid?connect_session_token=x",
            "content-type",
        ),
        (
            "POST",
            "/api-auth/basic/twilio?connect_session_token=x",
            "content-type",
        ),
        ("POST", "/auth/unauthenticated/twilio", "content-type"),
        ("GET", "/connect/session", "authorization,content-type"),
        ("DELETE", "/connect/session", "authorization,content-type"),
        ("POST", "/connect/sessions", "authorization,content-type"),
        ("PATCH", "/connections/x", "authorization,content-type"),
        ("PUT", "/connections/x", "authorization,content-type"),
        (
            "DELETE",
            "/connections/x",
            "authorization,content-type,connection-id,provider-config-key",
        ),
    ];
    for (method, path, headers) in preflights {
        let preflight = app
            .anonymous()
            .request(Method::OPTIONS, path)
            .header("Origin", "https://app.example.com")
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", headers);
        let reply = app.anonymous().send(preflight).await.expect(200);
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("*"),
            "{method} {path}"
        );
        let allowed = |name: &str| reply.header(name).unwrap_or_default().to_ascii_lowercase();
        let methods = allowed("access-control-allow-methods");
        assert!(
            methods.contains(&method.to_ascii_lowercase()),
            "{method}: {methods}"
        );
        let known = allowed("access-control-allow-headers");
        assert!(
            headers.split(',').all(|header| known.contains(header)),
            "{headers}: {known}"
        );
    }
    // The page can read a refusal, too.
    let refused = app
        .anonymous()
        .request(Method::POST, "/api-auth/basic/twilio")
        .header("Origin", "https://app.example.com")
        .header("Content-Type", "application/json")
        .body("{}");
    let reply = app.anonymous().send(refused).await.expect(401);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.code(), "missing_auth_header");
}
