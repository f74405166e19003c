//! Events of providers reach the rows: verified, once, and never over newer data.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Value;
use ring::hmac;
use serde_json::{Value as Json, json};
use testkit::{Receiver, Reply, TestApp, assert_table_equals_truth, on_both_databases};
use twilio_sim::{NewMessage, Patch, Status};
use url::form_urlencoded;

use crate::inspect::run_now;
use crate::webhooks::endpoint;

/// The connection, which has the account's auth token.
pub(crate) const NAME: &str = "mine";

/// Connects the simulator's account with its auth token, with which Twilio signs.
pub(crate) async fn connect(app: &TestApp) {
    let known = app.simulator().credentials();
    let body =
        json!({ "connectionId": NAME, "accountSid": known.account_sid, "authToken": known.auth_token });
    app.admin().post("/twilio/connect", &body).await.expect(201);
}

/// Returns the URL of the integration's address.
async fn address(app: &TestApp) -> String {
    let shown = app.admin().get("/integrations/twilio?include=webhook").await;
    let url = shown.expect(200).json()["data"]["webhook_url"].clone();
    url.as_str().unwrap().to_owned()
}

/// Signs as <https://www.twilio.com/docs/usage/security#validating-requests> says: the URL, and each parameter's name and value in the order
/// of the names.
pub(crate) fn sign(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let sorted: BTreeMap<_, _> = form.iter().copied().collect();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// Sends a form to a webhook address.
pub(crate) async fn send(
    app: &TestApp,
    url: &str,
    form: &[(&str, &str)],
    signature: &str,
    token: Option<&str>,
) -> Reply {
    let url = url::Url::parse(url).unwrap();
    let path = &url[url::Position::BeforePath..];
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut request = app
        .anonymous()
        .request(reqwest::Method::POST, path)
        .header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
        .header("X-Twilio-Signature", signature)
        .body(body);
    if let Some(token) = token {
        request = request.header("I-Twilio-Idempotency-Token", token);
    }
    app.anonymous().send(request).await
}

/// Sends a genuine status callback to the integration's address.
pub(crate) async fn callback(app: &TestApp, sid: &str, status: &str, token: Option<&str>) -> Reply {
    let known = app.simulator().credentials();
    let url = address(app).await;
    let form = [
        ("AccountSid", known.account_sid.as_str()),
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("To", "+15005550006"),
    ];
    let signature = sign(&known.auth_token, &url, &form);
    send(app, &url, &form, &signature, token).await
}

/// Returns the events that came in, newest first.
async fn events(app: &TestApp) -> Vec<Json> {
    let listed = app.admin().get("/webhook-events").await.expect(200).json();
    listed["events"].as_array().unwrap().clone()
}

pub(crate) async fn states(app: &TestApp) -> Vec<String> {
    let all = events(app).await;
    let state = |event: &Json| event["status"].as_str().unwrap().to_owned();
    all.iter().map(state).collect()
}

/// Returns the status of a message's row.
pub(crate) async fn status(app: &TestApp, sid: &str) -> String {
    let mut found = String::new();
    app.for_each_row(NAME, |model, record| {
        if record.key == sid {
            let column = model.columns.get_index_of("status").unwrap();
            let Value::Text(text) = &record.values[column] else {
                panic!("a status is text");
            };
            found.clone_from(text);
        }
    })
    .await;
    found
}

/// Makes a message with a fixed status, and syncs it.
pub(crate) async fn message(app: &TestApp, status: Status) -> String {
    let new = NewMessage {
        status: Some(status),
        ..NewMessage::default()
    };
    let sid = app.simulator().insert(new);
    run_now(app, NAME).await;
    sid
}

pub(crate) fn become_(app: &TestApp, sid: &str, status: Status) {
    let patch = Patch {
        status: Some(status),
        ..Patch::default()
    };
    assert!(app.simulator().patch(sid, patch));
}

pub(crate) async fn ready(app: &TestApp) {
    connect(app).await;
    app.run_due().await;
}

#[on_both_databases]
async fn a_status_callback_changes_its_row_and_is_forwarded(app: TestApp) {
    let receiver = Receiver::start().await;
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    let settings = json!({ "events": ["provider.event", "sync.succeeded"] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    become_(&app, &sid, Status::Delivered);

    let reply = callback(&app, &sid, "delivered", Some("t1")).await.expect(200);
    assert_eq!(reply.text, "");
    app.run_due().await;

    assert_eq!(status(&app, &sid).await, "delivered");
    assert_eq!(states(&app).await, ["processed"]);
    let event = events(&app).await.remove(0);
    assert_eq!(event["connection_id"], NAME);
    assert_eq!(
        (&event["type"], &event["verified"]),
        (&json!("message.delivered"), &json!(true))
    );
    let mut got: Vec<Json> = receiver.got().iter().map(testkit::Webhook::json).collect();
    got.sort_by_key(|body| body["type"].as_str().unwrap().to_owned());
    assert_eq!(got[0]["type"], "provider.event");
    assert_eq!(got[0]["data"]["type"], "message.delivered");
    assert_eq!(got[0]["data"]["payload"]["MessageSid"], sid.as_str());
    assert_eq!(got[0]["data"]["connection_id"], NAME);
    let run = &got[1]["data"];
    assert_eq!((&run["kind"], &run["run_id"]), (&json!("webhook"), &Json::Null));
    assert_eq!(run["models"][0]["updated"], 1);
    assert_table_equals_truth(&app, NAME).await;
}

#[on_both_databases]
async fn a_forged_callback_is_refused_and_stores_nothing(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    let known = app.simulator().credentials();
    let url = address(&app).await;
    let form = [
        ("AccountSid", known.account_sid.as_str()),
        ("MessageSid", sid.as_str()),
        ("MessageStatus", "delivered"),
    ];
    let other = sign("another token", &url, &form);
    let of_another_url = sign(&known.auth_token, "https://example.com/", &form);
    for signature in [other.as_str(), of_another_url.as_str(), "", "not base64"] {
        let reply = send(&app, &url, &form, signature, None).await.expect(401);
        assert_eq!(
            (reply.code().as_str(), reply.message().as_str()),
            ("webhook_refused", "the request is not accepted")
        );
    }
    let genuine = sign(&known.auth_token, &url, &form);
    let altered = [form[0], form[1], ("MessageStatus", "failed")];
    send(&app, &url, &altered, &genuine, None).await.expect(401);
    app.anonymous().get("/webhook/dev/nothing").await.expect(404);
    app.anonymous().get("/webhook/nowhere/twilio").await.expect(404);
    app.anonymous().get("/webhook/0123456789").await.expect(404);
    app.run_due().await;

    assert!(events(&app).await.is_empty());
    assert_eq!(status(&app, &sid).await, "sent");
    assert!(app.logs().contains("wrong_signature"));

    // Of no account: kept, as it cannot be verified.
    let no_account = [("AccountSid", "\0"), form[1], form[2]];
    assert!(send(&app, &url, &no_account, &genuine, None).await.status < 500);
}

#[on_both_databases]
async fn a_body_that_is_too_large_is_refused(app: TestApp) {
    ready(&app).await;
    let url = address(&app).await;
    let long = "x".repeat(257 << 10);
    let form = [("AccountSid", "AC1"), ("Body", long.as_str())];
    let reply = send(&app, &url, &form, "x", None).await.expect(413);
    assert_eq!(reply.code(), "body_too_large");
}

#[on_both_databases]
async fn a_repeated_callback_does_nothing(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    become_(&app, &sid, Status::Delivered);
    for _ in 0..3 {
        callback(&app, &sid, "delivered", Some("same")).await.expect(200);
    }
    app.run_due().await;
    callback(&app, &sid, "delivered", Some("same")).await.expect(200);
    app.run_due().await;

    assert_eq!(states(&app).await, ["processed"]);
    assert_eq!(status(&app, &sid).await, "delivered");
}

#[on_both_databases]
async fn an_old_status_does_not_replace_a_newer_one(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Queued).await;
    become_(&app, &sid, Status::Delivered);
    callback(&app, &sid, "delivered", Some("2")).await.expect(200);
    app.run_due().await;
    // The provider would still say so; the event alone decides.
    app.simulator().reset_requests();
    callback(&app, &sid, "sent", Some("1")).await.expect(200);
    app.run_due().await;

    assert_eq!(status(&app, &sid).await, "delivered");
    assert_eq!(states(&app).await, ["processed", "processed"]);
    assert_eq!(app.simulator().requests().total, 0, "an old event reads nothing");
}

#[on_both_databases]
async fn several_events_of_a_message_make_one_request(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Queued).await;
    become_(&app, &sid, Status::Delivered);
    app.simulator().reset_requests();
    for (token, status) in [("1", "sending"), ("2", "sent"), ("3", "delivered")] {
        callback(&app, &sid, status, Some(token)).await.expect(200);
    }
    app.run_due().await;

    assert_eq!(states(&app).await, ["processed"; 3]);
    assert_eq!(app.simulator().requests().total, 1);
    assert_table_equals_truth(&app, NAME).await;
}

#[on_both_databases]
async fn an_event_without_a_connection_is_kept_and_processed_once_there_is_one(app: TestApp) {
    let made = json!({ "provider": "twilio", "unique_key": "twilio" });
    app.admin().post("/integrations", &made).await.expect(200);
    let sid = app.simulator().insert(NewMessage::default());
    callback(&app, &sid, "sent", Some("a")).await.expect(200);
    app.run_due().await;
    let event = events(&app).await.remove(0);
    assert_eq!(
        (&event["status"], &event["verified"]),
        (&json!("unmatched"), &json!(false))
    );
    let path = format!("/webhook-events/{}", event["id"].as_str().unwrap());
    let shown = app.admin().get(&path).await.expect(200).json();
    assert!(
        shown["data"]["body"]
            .as_str()
            .unwrap()
            .contains("MessageStatus=sent")
    );
    let feed = app.admin().get("/events?types=provider.event").await.expect(200);
    assert_eq!(
        feed.json()["events"],
        json!([]),
        "what is not verified is not forwarded"
    );

    app.admin()
        .post(&format!("{path}/replay"), &json!({}))
        .await
        .expect(202);
    app.run_due().await;
    assert_eq!(states(&app).await, ["unmatched"]);

    ready(&app).await;
    app.admin()
        .post(&format!("{path}/replay"), &json!({}))
        .await
        .expect(202);
    app.run_due().await;
    let event = events(&app).await.remove(0);
    assert_eq!(
        (&event["status"], &event["connection_id"]),
        (&json!("processed"), &json!(NAME))
    );
    assert_eq!(event["verified"], true);
    assert_table_equals_truth(&app, NAME).await;
}

#[on_both_databases]
async fn a_forged_event_that_was_kept_fails_and_does_not_keep_the_genuine_one_away(app: TestApp) {
    let made = json!({ "provider": "twilio", "unique_key": "twilio" });
    app.admin().post("/integrations", &made).await.expect(200);
    let sid = app.simulator().insert(NewMessage {
        status: Some(Status::Sent),
        ..NewMessage::default()
    });
    let url = address(&app).await;
    let account = app.simulator().credentials().account_sid;
    let form = [
        ("AccountSid", account.as_str()),
        ("MessageSid", sid.as_str()),
        ("MessageStatus", "sent"),
    ];
    let signature = sign("guessed", &url, &form);
    send(&app, &url, &form, &signature, Some("token"))
        .await
        .expect(200);
    callback(&app, &sid, "sent", Some("token")).await.expect(200);
    ready(&app).await;
    for event in events(&app).await {
        let path = format!("/webhook-events/{}/replay", event["id"].as_str().unwrap());
        app.admin().post(&path, &json!({})).await.expect(202);
    }
    app.run_due().await;

    let all = events(&app).await;
    let [genuine, forged] = all.as_slice() else {
        panic!("{all:#?}");
    };
    assert_eq!(
        (&genuine["status"], &genuine["connection_id"]),
        (&json!("processed"), &json!(NAME))
    );
    assert_eq!(
        (&forged["status"], &forged["connection_id"]),
        (&json!("failed"), &Json::Null)
    );
    assert!(forged["error"].as_str().unwrap().contains("signature"));
    // It is known by its own id now.
    callback(&app, &sid, "sent", Some("token")).await.expect(200);
    assert_eq!(events(&app).await.len(), 2);
}

#[on_both_databases]
async fn a_replayed_event_reads_its_record_again(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    become_(&app, &sid, Status::Delivered);
    callback(&app, &sid, "delivered", None).await.expect(200);
    app.run_due().await;
    become_(&app, &sid, Status::Read);
    let path = format!(
        "/webhook-events/{}/replay",
        events(&app).await[0]["id"].as_str().unwrap()
    );
    app.admin().post(&path, &json!({})).await.expect(202);
    app.run_due().await;
    assert_eq!(status(&app, &sid).await, "read");
}

#[on_both_databases]
async fn the_address_of_a_connection_stays_the_same_and_gets_its_events(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    become_(&app, &sid, Status::Delivered);
    let show = "/twilio/webhooks/address?connectionId=mine";
    let shown = app.admin().get(show).await.expect(200).json();
    let url = shown["data"]["url"].as_str().unwrap().to_owned();
    let again = app.admin().get(show).await.expect(200).json();
    assert_eq!(shown, again);
    // Without the account in it: the address alone says whose it is.
    let form = [("MessageSid", sid.as_str()), ("MessageStatus", "delivered")];
    let token = app.simulator().credentials().auth_token;
    send(&app, &url, &form, &sign(&token, &url, &form), None)
        .await
        .expect(200);
    send(&app, &url, &form, &sign("wrong", &url, &form), None)
        .await
        .expect(401);
    app.run_due().await;
    assert_eq!(status(&app, &sid).await, "delivered");

    let event = events(&app).await.remove(0);
    let path = format!("/webhook-events/{}", event["id"].as_str().unwrap());
    app.admin()
        .delete("/connections/mine?provider_config_key=twilio")
        .await
        .expect(200);
    let shown = app.admin().get(&path).await.expect(200).json();
    assert_eq!(
        (&shown["data"]["body"], &shown["data"]["headers"]),
        (&Json::Null, &json!({}))
    );
    app.admin()
        .post(&format!("{path}/replay"), &json!({}))
        .await
        .expect(404);
    send(&app, &url, &form, &sign(&token, &url, &form), None)
        .await
        .expect(404);
}

#[on_both_databases]
async fn a_record_that_is_missing_counts_as_deleted_at_the_second_look(app: TestApp) {
    ready(&app).await;
    let sid = message(&app, Status::Sent).await;
    assert!(app.simulator().delete(&sid));
    callback(&app, &sid, "delivered", None).await.expect(200);
    app.run_due().await;
    assert_eq!(
        (states(&app).await, status(&app, &sid).await),
        (vec!["pending".to_owned()], "delivered".to_owned())
    );
    app.advance(Duration::from_secs(11));
    app.run_due().await;
    assert_eq!(
        (states(&app).await, status(&app, &sid).await),
        (vec!["processed".to_owned()], String::new())
    );
}
