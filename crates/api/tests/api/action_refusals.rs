//! Actions that Trunkline refuses before it sends anything, or that the provider refuses, and the errors that the caller gets.

use reqwest::Method;
use serde_json::json;
use store::Dialect;
use testkit::TestApp;

use crate::actions::{TO, message, sends, trigger, trigger_with};

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_phone_number_is_refused_before_the_request_with_the_right_format() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    for to in [
        "4155550100",
        "+1 415 555 0100",
        "0014155550100",
        "whatsapp:4155550100",
        "+1415",
    ] {
        let mut input = message(&app, "x");
        input["to"] = json!(to);
        let reply = trigger(&app, "send-message", &input).await.expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", vec!["input.to".to_owned()])
        );
        let message = reply.json()["error"]["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            message.contains("+15551234567") && message.contains("whatsapp:+15551234567"),
            "{message}"
        );
        assert!(!reply.text.contains(to), "the value is not echoed");
    }
    let mut short = message(&app, "x");
    short["connectionId"] = json!("my-twilio");
    short["to"] = json!("4155550100");
    let reply = app.admin().post("/twilio/messages", &short).await.expect(400);
    assert_eq!(reply.fields(), ["to"]);
    assert_eq!(sends(&app), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_provider_is_passed_on_with_advice() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    app.simulator().set_unreachable(TO, Some(21610));
    let reply = trigger(&app, "send-message", &message(&app, "x"))
        .await
        .expect(424);
    let error = &reply.json()["error"];
    assert_eq!(error["code"], "script_http_error");
    assert_eq!(
        (&error["upstream"]["status"], &error["upstream"]["body"]["code"]),
        (&json!(400), &json!(21610))
    );
    assert_eq!(error["payload"], error["upstream"]["body"]);
    assert!(
        error["upstream"]["headers"]["content-type"]
            .as_str()
            .unwrap()
            .starts_with("application/json")
    );
    assert!(
        reply.message().contains("opted out by replying STOP"),
        "{}",
        reply.message()
    );

    let known = app.simulator().credentials();
    app.simulator().revoke(&known.main_key_sid);
    let reply = trigger(&app, "get-balance", &json!({})).await.expect(424);
    assert!(reply.message().contains("Copy both again"), "{}", reply.message());
    let connection = app
        .admin()
        .get("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);
    assert_eq!(
        connection.json()["errors"][0]["type"],
        "auth",
        "{}",
        connection.text
    );
    let refused = app
        .admin()
        .post("/twilio/verify", &json!({ "connectionId": "my-twilio" }))
        .await
        .expect(400);
    assert_eq!(refused.code(), "invalid_credentials");

    app.simulator().restore(&known.main_key_sid);
    let good = app
        .admin()
        .post("/twilio/verify", &json!({ "connectionId": "my-twilio" }))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&good["success"], &good["verified"]),
        (&json!(true), &json!(true))
    );
    let connection = app
        .admin()
        .get("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);
    assert_eq!(connection.json()["errors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_things_are_reported_as_nango_reports_them() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let reply = trigger(&app, "send-pigeon", &json!({})).await.expect(404);
    assert_eq!(reply.code(), "not_found");
    assert!(reply.message().contains("send-message"), "{}", reply.message());
    let send = async |integration: Option<&str>, connection: Option<&str>| {
        let mut request = app
            .admin()
            .request(Method::POST, "/action/trigger")
            .header("Content-Type", "application/json");
        for (name, value) in [
            ("Provider-Config-Key", integration),
            ("Connection-Id", connection),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        app.admin()
            .send(request.body(json!({ "action_name": "get-balance" }).to_string()))
            .await
    };
    for (integration, connection, code) in [
        (None, Some("my-twilio"), "missing_provider_config_key"),
        (Some("twilio"), None, "missing_connection_id"),
        (Some("nothing"), Some("my-twilio"), "unknown_provider"),
        (Some("twilio"), Some("nobody"), "unknown_connection"),
    ] {
        assert_eq!(send(integration, connection).await.expect(400).code(), code);
    }
    send(Some("twilio"), Some("my-twilio")).await.expect(200);
    for (name, value) in [
        ("X-Async", "maybe"),
        ("X-Max-Retries", "6"),
        ("Idempotency-Key", "a b"),
    ] {
        let reply = trigger_with(app.admin(), "get-balance", &json!({}), &[(name, value)])
            .await
            .expect(400);
        assert_eq!(reply.code(), "invalid_headers");
        assert!(reply.message().contains(name));
    }
}
