//! Actions: requests, responses, and refusals before anything is sent.

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{Client, Reply, TestApp, on_both_databases, wait_until};

pub(crate) const TO: &str = "+14155550100";

/// Triggers an action on the connection `my-twilio`, with further headers.
pub(crate) async fn trigger_with(
    client: &Client,
    name: &str,
    input: &Json,
    headers: &[(&str, &str)],
) -> Reply {
    let request = client
        .request(Method::POST, "/action/trigger")
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio")
        .header("Content-Type", "application/json")
        .body(json!({ "action_name": name, "input": input }).to_string());
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    client.send(request).await
}

pub(crate) async fn trigger(app: &TestApp, name: &str, input: &Json) -> Reply {
    trigger_with(app.admin(), name, input, &[]).await
}

/// Returns the input of a message that can be sent.
pub(crate) fn message(app: &TestApp, body: &str) -> Json {
    json!({ "to": TO, "from": app.simulator().assets().numbers[0], "body": body })
}

/// Returns how many messages the provider was sent.
pub(crate) fn sends(app: &TestApp) -> usize {
    let requests = app.simulator().requests();
    let sent = requests
        .entries
        .iter()
        .filter(|entry| entry.method == "POST" && entry.path.ends_with("/Messages.json"));
    sent.count()
}

/// Returns the rows of the connection's table with this key.
async fn rows(app: &TestApp, sid: &str) -> Vec<Json> {
    let page = app
        .admin()
        .get("/twilio/messages?connectionId=my-twilio&limit=1000")
        .await
        .expect(200)
        .json();
    let rows = page["messages"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| row["sid"] == sid).collect()
}

#[on_both_databases]
async fn a_sent_message_is_in_the_table_at_once_and_the_next_sync_does_not_duplicate_it(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let before = app.rows("my-twilio").await;

    let sent = trigger(&app, "send-message", &message(&app, "Your table is booked."))
        .await
        .expect(200)
        .json();

    let sid = sent["sid"].as_str().unwrap();
    assert_eq!(sent["status"], "queued");
    let row = &rows(&app, sid).await[0];
    assert_eq!(
        (&row["body"], &row["to"], &row["direction"]),
        (
            &json!("Your table is booked."),
            &json!(TO),
            &json!("outbound-api")
        )
    );
    assert_eq!(app.rows("my-twilio").await, before + 1);
    app.advance(std::time::Duration::from_mins(10));
    app.run_due().await;
    let after = rows(&app, sid).await;
    assert_eq!(after.len(), 1);
    assert_ne!(after[0]["status"], "queued", "the sync brought its later status");
    testkit::assert_table_equals_truth(&app, "my-twilio").await;
}

#[on_both_databases]
async fn reading_redacting_and_deleting_a_message_updates_the_table(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let sent = trigger(&app, "send-message", &message(&app, "secret words"))
        .await
        .expect(200)
        .json();
    let sid = sent["sid"].as_str().unwrap().to_owned();
    let input = json!({ "messageSid": sid });
    app.advance(std::time::Duration::from_mins(10));

    let read = trigger(&app, "get-message", &input).await.expect(200).json();
    assert_eq!(
        (&read["sid"], &read["body"]),
        (&json!(sid), &json!("secret words"))
    );
    assert_eq!(rows(&app, &sid).await[0]["status"], read["status"]);
    let redacted = trigger(&app, "redact-message", &input).await.expect(200).json();
    assert_eq!(redacted["body"], "");
    assert_eq!(rows(&app, &sid).await[0]["body"], "");
    let deleted = trigger(&app, "delete-message", &input).await.expect(200).json();
    assert_eq!(deleted, json!({ "success": true }));
    assert!(rows(&app, &sid).await.is_empty());
    assert!(app.simulator().message(&sid).is_none());

    let gone = trigger(&app, "get-message", &input).await.expect(424);
    assert_eq!(gone.code(), "script_http_error");
    assert_eq!(gone.json()["error"]["upstream"]["status"], 404);
    testkit::assert_table_equals_truth(&app, "my-twilio").await;
}

#[on_both_databases]
async fn short_routes_do_the_same_as_the_trigger(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let mut body = message(&app, "by the short way");
    body["connectionId"] = json!("my-twilio");
    let sent = app
        .admin()
        .post("/twilio/messages", &body)
        .await
        .expect(200)
        .json();
    let sid = sent["sid"].as_str().unwrap();
    assert_eq!(rows(&app, sid).await.len(), 1);
    let path = format!("/twilio/messages/{sid}?connectionId=my-twilio");
    assert_eq!(app.admin().get(&path).await.expect(200).json()["sid"], sid);
    let redact = json!({ "connectionId": "my-twilio" });
    let redacted = app
        .admin()
        .post(&format!("/twilio/messages/{sid}/redact"), &redact)
        .await
        .expect(200);
    assert_eq!(redacted.json()["body"], "");
    app.admin().delete(&path).await.expect(200);
    assert!(rows(&app, sid).await.is_empty());

    let numbers = app
        .admin()
        .get("/twilio/phone-numbers?connectionId=my-twilio")
        .await
        .expect(200)
        .json();
    let owned: Vec<&str> = numbers
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number["phone_number"].as_str().unwrap())
        .collect();
    let mut assets = app.simulator().assets().numbers;
    assets.sort();
    let mut owned: Vec<String> = owned.into_iter().map(str::to_owned).collect();
    owned.sort();
    assert_eq!(owned, assets);
    let lookup = format!("/twilio/lookup/{TO}?connection_id=my-twilio");
    assert_eq!(
        app.admin().get(&lookup).await.expect(200).json()["phone_number"],
        TO
    );

    let nobody = app.admin().get("/twilio/phone-numbers").await.expect(400);
    assert_eq!(nobody.fields(), ["connectionId"]);
    let other = app.admin().get("/twilio/messages?connectionId=my-twilio").await;
    assert!(
        other.expect(200).json()["messages"].is_array(),
        "the list of the model is still there"
    );
    assert_eq!(
        app.admin()
            .get("/twilio/nothing?connectionId=my-twilio")
            .await
            .status,
        404
    );
    assert_eq!(
        app.admin()
            .get("/sendgrid/balance?connectionId=x")
            .await
            .expect(404)
            .code(),
        "not_found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_inputs_are_checked_at_once_and_accepted_in_any_spelling() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let wrong = json!({ "to": TO, "boddy": "x", "mediaUrl": ["no address"], "validityPeriod": 0, "shortenUrls": "perhaps" });
    let reply = trigger(&app, "send-message", &wrong).await.expect(400);
    let mut fields = reply.fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "input.boddy",
            "input.from",
            "input.mediaUrl",
            "input.shortenUrls",
            "input.validityPeriod"
        ]
    );
    assert!(
        reply.text.contains("did you mean \\\"body\\\"?"),
        "{}",
        reply.text
    );
    let nothing = trigger(&app, "send-message", &json!({ "to": TO, "from": "Acme" }))
        .await
        .expect(400);
    assert_eq!(nothing.fields(), ["input.body"]);
    assert_eq!(sends(&app), 0);

    let from = &app.simulator().assets().numbers[0];
    let media = json!(["https://example.com/a.png", "https://example.com/b.png"]);
    let spelt =
        json!({ "To": TO, "From": from, "Body": "hello", "media_url": media, "statusCallback": null });
    let sent = trigger(&app, "send-message", &spelt).await.expect(200).json();
    assert_eq!(
        (&sent["body"], &sent["num_media"]),
        (&json!("hello"), &json!("2"))
    );
    assert!(sent["sid"].as_str().unwrap().starts_with("MM"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_be_scheduled_and_cancelled() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let at = (app.simulator().now() + chrono::Duration::days(2))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let service = &app.simulator().assets().messaging_services[0];
    let input = json!({ "to": TO, "messagingServiceSid": service, "body": "later", "sendAt": at });
    let sent = trigger(&app, "send-message", &input).await.expect(200).json();
    assert_eq!(sent["status"], "scheduled");
    let sid = sent["sid"].as_str().unwrap();
    assert_eq!(rows(&app, sid).await[0]["status"], "scheduled");
    let cancelled = trigger(&app, "cancel-message", &json!({ "messageSid": sid }))
        .await
        .expect(200)
        .json();
    assert_eq!(cancelled["status"], "canceled");
    assert_eq!(rows(&app, sid).await[0]["status"], "canceled");
    let without =
        json!({ "to": TO, "from": app.simulator().assets().numbers[0], "body": "later", "sendAt": at });
    let refused = trigger(&app, "send-message", &without).await.expect(424);
    assert!(
        refused.message().contains("Set messagingServiceSid"),
        "{}",
        refused.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_for_calls_codes_lookups_numbers_balance_and_usage_work() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let assets = app.simulator().assets();
    let call =
        json!({ "to": TO, "from": assets.numbers[0], "twiml": "<Response><Say>Hello</Say></Response>" });
    let placed = trigger(&app, "create-call", &call).await.expect(200).json();
    assert_eq!(placed["status"], "queued");
    let over = trigger(&app, "hang-up", &json!({ "callSid": placed["sid"] }))
        .await
        .expect(200)
        .json();
    assert!(
        ["completed", "canceled"].contains(&over["status"].as_str().unwrap()),
        "{over}"
    );
    let silent = trigger(
        &app,
        "create-call",
        &json!({ "to": TO, "from": assets.numbers[0] }),
    )
    .await
    .expect(400);
    assert_eq!(silent.fields(), ["input.url"]);

    let service = &assets.verify_services[0];
    let started = trigger(
        &app,
        "start-verification",
        &json!({ "serviceSid": service, "to": TO }),
    )
    .await;
    assert_eq!(started.expect(200).json()["status"], "pending");
    let code = app.simulator().verifications()[0].code.clone();
    let check = |code: &str| json!({ "serviceSid": service, "to": TO, "code": code });
    let wrong = trigger(&app, "check-verification", &check("0001"))
        .await
        .expect(200)
        .json();
    assert_eq!(wrong["valid"], false);
    let right = trigger(&app, "check-verification", &check(&code))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&right["status"], &right["valid"]),
        (&json!("approved"), &json!(true))
    );
    let over = trigger(&app, "check-verification", &check(&code))
        .await
        .expect(424);
    assert_eq!(over.json()["error"]["upstream"]["body"]["code"], 20404);

    let known = trigger(
        &app,
        "lookup",
        &json!({ "phoneNumber": TO, "fields": "line_type_intelligence" }),
    )
    .await;
    let known = known.expect(200).json();
    assert_eq!(
        (&known["country_code"], &known["valid"]),
        (&json!("US"), &json!(true))
    );
    assert!(known["line_type_intelligence"].is_object());
    let found = trigger(
        &app,
        "search-phone-numbers",
        &json!({ "country": "US", "smsEnabled": true, "limit": 3 }),
    )
    .await;
    assert_eq!(found.expect(200).json().as_array().unwrap().len(), 3);
    assert_eq!(
        trigger(&app, "search-phone-numbers", &json!({ "country": "usa" }))
            .await
            .expect(400)
            .fields(),
        ["input.country"]
    );
    let balance = trigger(&app, "get-balance", &json!({})).await.expect(200).json();
    assert!(
        balance["balance"].is_string() && balance["currency"] == "USD",
        "{balance}"
    );
    let usage = trigger(
        &app,
        "get-usage",
        &json!({ "period": "ThisMonth", "category": "sms" }),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(usage[0]["category"], "sms");
}

#[on_both_databases]
async fn closing_waits_for_an_action_whose_client_is_gone(app: TestApp) {
    app.connect_twilio().await;
    let mut faults = app.simulator().faults();
    faults.latency_ms = 300;
    app.simulator().set_faults(faults);
    let in_flight = async |store: &store::Store| {
        let count = store.read(store::lease::count_held::<domain::ActionJob>);
        count.await.unwrap()
    };
    let input = message(&app, "late");
    let key = [("Idempotency-Key", "order-1")];
    tokio::select! {
        _ = trigger_with(app.admin(), "send-message", &input, &key) => panic!("the provider takes longer"),
        () = wait_until("the action is stored", async || in_flight(app.store()).await == 1) => {}
    }

    app.gateway().close().await;

    assert_eq!(in_flight(&app.database().store().await).await, 0);
    assert_eq!(sends(&app), 1);
}
