//! Connecting: both forms, and the errors for what is refused.

use std::time::Duration;

use domain::ProviderName;
use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{AppBuilder, Reply, TestApp, on_both_databases};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Returns a body with the account's SID and auth token.
fn token_body(app: &TestApp, name: &str) -> Json {
    let known = app.simulator().credentials();
    json!({ "connectionId": name, "accountSid": known.account_sid, "authToken": known.auth_token })
}

fn with(mut body: Json, field: &str, value: impl Into<Json>) -> Json {
    body[field] = value.into();
    body
}

async fn connections(app: &TestApp) -> usize {
    app.admin().get("/connections").await.expect(200).json()["connections"]
        .as_array()
        .unwrap()
        .len()
}

async fn refused(app: &TestApp, body: &Json) -> Reply {
    let reply = app.admin().post("/twilio/connect", body).await.expect(400);
    assert_eq!(connections(app).await, 0, "nothing is stored");
    reply
}

#[on_both_databases]
async fn an_api_key_connects_and_the_response_has_nangos_shape(app: TestApp) {
    let reply = app
        .admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);

    let wanted = json!({
        "success": true,
        "connection": { "id": "my-twilio", "provider_config_key": "twilio" },
        "message": "Twilio connection created successfully",
    });
    assert_eq!(reply.json(), wanted);
}

#[on_both_databases]
async fn an_account_sid_and_auth_token_connect_too(app: TestApp) {
    app.admin()
        .post("/twilio/connect", &token_body(&app, "by-token"))
        .await
        .expect(201);

    assert_eq!(connections(&app).await, 1);
}

#[on_both_databases]
async fn the_api_key_wins_where_both_forms_are_complete(app: TestApp) {
    let body = with(
        app.connect_body("both"),
        "authToken",
        "0123456789abcdef0123456789abcdef",
    );

    // The token is wrong: if it were used, the connection would be refused.
    app.admin().post("/twilio/connect", &body).await.expect(201);
}

#[on_both_databases]
async fn white_space_around_values_is_trimmed(app: TestApp) {
    let mut body = app.connect_body("spaced");
    let fields = body.as_object_mut().unwrap().iter_mut();
    for (_, value) in fields.filter(|(name, _)| *name != "connectionId") {
        *value = json!(format!(" {}\n", value.as_str().unwrap()));
    }

    let reply = app.admin().post("/twilio/connect", &body).await.expect(201);

    assert_eq!(reply.json()["connection"]["id"], "spaced");
}

#[on_both_databases]
async fn a_connection_without_a_name_gets_a_random_one(app: TestApp) {
    let mut body = app.connect_body("");
    body.as_object_mut().unwrap().remove("connectionId");

    let first = app
        .admin()
        .post("/twilio/connect", &body)
        .await
        .expect(201)
        .json()["connection"]["id"]
        .clone();
    let second = app
        .admin()
        .post("/twilio/connect", &body)
        .await
        .expect(201)
        .json()["connection"]["id"]
        .clone();

    assert_eq!(first.as_str().unwrap().len(), 36, "{first} is a UUID");
    assert_ne!(first, second);
}

#[on_both_databases]
async fn connecting_again_replaces_the_credentials_and_keeps_the_rows(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let before = app.rows(&name).await;
    assert!(before > 200, "{before}");

    let reply = app
        .admin()
        .post("/twilio/connect", &token_body(&app, &name))
        .await
        .expect(201);

    assert_eq!(reply.json()["message"], "Twilio connection updated successfully");
    assert_eq!(app.rows(&name).await, before);
    assert_eq!(connections(&app).await, 1);
    // The sync uses the new credentials, so the old key can be revoked.
    app.simulator()
        .revoke(&app.simulator().credentials().main_key_sid);
    app.run_due().await;
    let runs = app.admin().get("/sync/runs").await.expect(200).json();
    assert_eq!(runs["runs"][0]["status"], "succeeded", "{runs}");
}

#[on_both_databases]
async fn a_connection_cannot_change_to_another_account(app: TestApp) {
    let name = app.connect_twilio().await;
    let known = app.simulator().credentials();
    let other = json!({
        "connectionId": name,
        "accountSid": known.subaccount_sid,
        "authToken": known.subaccount_auth_token,
    });

    let reply = app.admin().post("/twilio/connect", &other).await.expect(400);

    assert_eq!(reply.code(), "invalid_body");
    assert_eq!(reply.fields(), ["accountSid"]);
    app.admin()
        .post("/twilio/connect", &with(other, "connectionId", "another"))
        .await
        .expect(201);
}

#[on_both_databases]
async fn metadata_and_tags_are_kept_until_they_are_replaced(app: TestApp) {
    let body = with(
        with(app.connect_body("noted"), "metadata", json!({ "team": 7 })),
        "tags",
        json!({ "Plan": "pro" }),
    );
    app.admin().post("/twilio/connect", &body).await.expect(201);
    app.connect_as(app.admin(), "noted").await;

    let kept = app
        .admin()
        .get("/connections/noted?provider_config_key=twilio")
        .await
        .expect(200)
        .json();

    assert_eq!(
        (&kept["metadata"], &kept["tags"]),
        (&json!({ "team": 7 }), &json!({ "plan": "pro" }))
    );
    app.admin()
        .post("/twilio/connect", &with(body, "metadata", json!({})))
        .await
        .expect(201);
    let changed = app
        .admin()
        .get("/connections/noted?provider_config_key=twilio")
        .await
        .expect(200)
        .json();
    assert_eq!(changed["metadata"], json!({}));
}

#[on_both_databases]
async fn a_standard_key_connects_although_it_may_not_read_accounts(app: TestApp) {
    let known = app.simulator().credentials();
    let body = json!({ "accountSid": known.account_sid, "apiKeySid": known.standard_key_sid, "apiKeySecret": known.standard_key_secret });

    app.admin().post("/twilio/connect", &body).await.expect(201);
}

#[on_both_databases]
async fn a_wrong_token_is_refused_with_a_clear_message_and_nothing_is_stored(app: TestApp) {
    let reply = refused(
        &app,
        &with(
            token_body(&app, "x"),
            "authToken",
            "0123456789abcdef0123456789abcdef",
        ),
    )
    .await;

    assert_eq!(reply.code(), "connection_test_failed");
    assert!(
        reply
            .message()
            .contains("Copy both again from the Twilio console"),
        "{}",
        reply.message()
    );
    assert_eq!(
        reply.json()["error"]["payload"],
        json!({ "provider_status": 401, "provider_code": "20003" })
    );
}

#[on_both_databases]
async fn test_credentials_are_recognised_and_refused(app: TestApp) {
    let known = app.simulator().credentials();
    let body = json!({ "accountSid": known.test_account_sid, "authToken": known.test_auth_token });

    let reply = refused(&app, &body).await;

    assert_eq!(reply.code(), "connection_test_failed");
    assert!(
        reply.message().contains("test credentials"),
        "{}",
        reply.message()
    );
}

#[on_both_databases]
async fn a_suspended_account_is_recognised_and_refused(app: TestApp) {
    let known = app.simulator().credentials();
    let body = json!({ "accountSid": known.suspended_account_sid, "authToken": known.suspended_auth_token });

    let reply = refused(&app, &body).await;

    assert_eq!(reply.code(), "connection_test_failed");
    assert!(reply.message().contains("suspended"), "{}", reply.message());
}

#[on_both_databases]
async fn an_unreachable_provider_is_a_503_and_nothing_is_stored(app: TestApp) {
    let dialect = app.store().dialect();
    let away = AppBuilder::default().upstream(|options| {
        let twilio: ProviderName = "twilio".parse().unwrap();
        // Nothing listens on port 9.
        options
            .base_urls
            .insert(twilio, "http://127.0.0.1:9".parse().unwrap());
        options.max_attempts = 2;
    });
    let away = away.start(dialect).await.unwrap();

    let reply = away
        .admin()
        .post("/twilio/connect", &away.connect_body("x"))
        .await
        .expect(503);

    assert_eq!(reply.code(), "provider_unavailable");
    assert!(
        reply.message().contains("Twilio") && reply.message().contains("nothing was stored"),
        "{}",
        reply.message()
    );
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(connections(&away).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_sent_are_a_400_that_says_why() {
    const ENTRY: &str = "\
house:
  display_name: House
  auth_mode: API_KEY
  credentials: { apiKey: {} }
  connection_config: { host: { type: string }, label: { type: string } }
  proxy:
    base_url: ${connectionConfig.host}
    headers: { x-key: \"${apiKey}\", x-label: \"${connectionConfig.label}\" }
    verification: { endpoints: [/me] }
";
    let app = AppBuilder::default()
        .provider_file("providers.yaml", ENTRY)
        .start(Dialect::Sqlite)
        .await;
    let app = app.unwrap();
    for (host, label, key, said) in [
        (
            "https://10.0.0.1",
            "a",
            "secret-key",
            "10.0.0.1 is not a public address",
        ),
        ("http://8.8.8.8", "a", "secret-key", "plain http"),
        ("https://8.8.8.8", "é\u{7}", "secret-key", "\"x-label\""),
        ("https://8.8.8.8", "a", "secret\nkey", "\"x-key\""),
    ] {
        let body = json!({ "connectionId": "mine", "host": host, "label": label, "apiKey": key });

        let reply = app.admin().post("/house/connect", &body).await.expect(400);

        assert_eq!(
            (reply.code().as_str(), reply.header("retry-after")),
            ("connection_validation_failed", None)
        );
        assert!(reply.message().contains(said), "{}", reply.message());
        assert!(!reply.text.contains("secret"), "{}", reply.text);
    }
    assert_eq!(connections(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_a_503_with_its_own_retry_after() {
    let provider = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(503).insert_header("Retry-After", "3600"))
        .mount(&provider)
        .await;
    let app = AppBuilder::default()
        .provider_url("twilio", &provider.uri())
        .upstream(|options| {
            options.max_wait = Duration::from_secs(1);
        });
    let app = app.start(Dialect::Sqlite).await.unwrap();

    let reply = app
        .admin()
        .post("/twilio/connect", &app.connect_body("x"))
        .await
        .expect(503);

    assert_eq!(
        (reply.code().as_str(), reply.header("retry-after")),
        ("provider_unavailable", Some("3600"))
    );
    assert_eq!(connections(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_field_is_named() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let good = app.connect_body("x");
    let cases = [
        (json!({}), vec!["accountSid", "apiKeySid", "apiKeySecret"]),
        (
            json!({ "accountSid": good["accountSid"] }),
            vec!["apiKeySid", "apiKeySecret"],
        ),
        (with(good.clone(), "accountSid", "AC123"), vec!["accountSid"]),
        (
            with(
                with(good.clone(), "accountSid", good["apiKeySid"].clone()),
                "apiKeySid",
                "nonsense",
            ),
            vec!["accountSid", "apiKeySid"],
        ),
        (with(good.clone(), "apiKeySecret", 5), vec!["apiKeySecret"]),
        (with(good.clone(), "apiKeySecret", "  "), vec!["apiKeySecret"]),
        (with(good.clone(), "account_sid", "AC1"), vec!["account_sid"]),
        (
            with(good.clone(), "connectionId", "a\u{e9}"),
            vec!["connectionId"],
        ),
        (with(good.clone(), "connectionId", 7), vec!["connectionId"]),
        (with(good.clone(), "metadata", "text"), vec!["metadata"]),
        (with(good.clone(), "tags", json!({ "1x": "y" })), vec!["tags.1x"]),
    ];
    for (body, fields) in cases {
        let reply = refused(&app, &body).await;
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", fields.iter().map(ToString::to_string).collect()),
            "{body}"
        );
        assert!(reply.message().len() > 10, "{}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_integration_is_a_404() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();

    let reply = app
        .admin()
        .post("/nobody/connect", &app.connect_body("x"))
        .await
        .expect(404);

    assert_eq!(reply.code(), "unknown_provider_config");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oauth_request_is_refused_with_the_way_to_connect() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let flow = json!({ "code": "abc", "redirect_uri": "https://example.com" });

    let replies = [
        app.admin().post("/twilio/connect", &flow).await,
        app.anonymous()
            .get("/oauth/connect/twilio?public_key=x&connection_id=y")
            .await,
        app.anonymous().post("/oauth/connect/twilio", &json!({})).await,
    ];

    for reply in replies {
        let reply = reply.expect(400);
        assert_eq!(reply.code(), "oauth_not_supported");
        assert!(
            reply
                .message()
                .contains("POST /twilio/connect with accountSid, apiKeySid, apiKeySecret"),
            "{}",
            reply.message()
        );
    }
    for path in [
        "/oauth/callback?code=1&state=2",
        "/oauth/anything",
        "/auth/oauth",
        "/auth/oauth2/x",
    ] {
        assert_eq!(
            app.anonymous().get(path).await.expect(400).code(),
            "oauth_not_supported",
            "{path}"
        );
    }
}
