//! Subscriptions at Twilio: what they set there, what comes of it, and what is there again afterwards.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, TestApp, on_both_databases, wait_until};
use twilio_sim::{InboundMessage, NewMessage, Patch, Status};
use url::form_urlencoded;

use crate::incoming::{NAME, connect, ready, status};
use crate::inspect::run_now;

const WEBHOOKS: &str = "/twilio/webhooks?connectionId=mine";

async fn subscribe(app: &TestApp, body: &Json) -> Json {
    let made = app.admin().post(WEBHOOKS, body).await.expect(201).json();
    assert_eq!(made["data"]["status"], "active");
    made["data"].clone()
}

/// Returns the state of the only subscription at the provider.
async fn provider_state(app: &TestApp) -> Json {
    let shown = app.admin().get(WEBHOOKS).await.expect(200).json();
    shown["data"]["subscriptions"][0]["provider_state"].clone()
}

/// Sends a request to the simulator as the account's owner would, and returns the response.
async fn at_twilio(app: &TestApp, path: &str, form: &[(&str, &str)]) -> Json {
    let known = app.simulator().credentials();
    let url = format!("{}{path}", app.simulator().url());
    let client = reqwest::Client::builder().build().unwrap();
    let request = if form.is_empty() {
        client.get(url)
    } else {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        client.post(url).header("Content-Type", kind).body(body)
    };
    let sent = request
        .basic_auth(&known.account_sid, Some(&known.auth_token))
        .send()
        .await
        .unwrap();
    assert!(sent.status().is_success(), "{}", sent.status());
    serde_json::from_str(&sent.text().await.unwrap()).unwrap()
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn event_streams_bring_changes_into_the_rows(app: TestApp) {
    ready(&app).await;
    let made = subscribe(&app, &json!({})).await;
    assert_eq!(made["subscription"], "event-streams");
    assert_eq!(provider_state(&app).await["state"], "as_set");
    // Asked for again, it is the same one.
    let again = app.admin().post(WEBHOOKS, &json!({})).await.expect(200).json();
    assert_eq!(again["data"]["id"], made["id"]);

    let sid = app.simulator().insert(NewMessage {
        status: Some(Status::Sent),
        ..NewMessage::default()
    });
    run_now(&app, NAME).await;
    let delivered = Patch {
        status: Some(Status::Delivered),
        ..Patch::default()
    };
    assert!(app.simulator().patch(&sid, delivered));
    wait_until("Twilio has sent the event", async || {
        app.simulator().webhooks_idle()
    })
    .await;
    app.run_due().await;
    assert_eq!(status(&app, &sid).await, "delivered");

    let sinks = at_twilio(&app, "/v1/Sinks", &[]).await;
    assert_eq!(sinks["sinks"].as_array().unwrap().len(), 1);
    let ended = app.admin().delete(WEBHOOKS).await.expect(200).json();
    assert_eq!(ended["data"][0]["ended_at_provider"], true);
    let sinks = at_twilio(&app, "/v1/Sinks", &[]).await;
    assert_eq!(sinks["sinks"], json!([]));
    assert_eq!(
        app.admin().get(WEBHOOKS).await.expect(200).json()["data"]["subscriptions"],
        json!([])
    );
}

async fn number(app: &TestApp) -> (String, String) {
    let account = app.simulator().credentials().account_sid;
    let list = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let listed = at_twilio(app, &list, &[]).await;
    let sid = listed["incoming_phone_numbers"][0]["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json");
    (sid, path)
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn the_former_webhook_of_a_number_is_shown_kept_and_restored(app: TestApp) {
    ready(&app).await;
    let (sid, path) = number(&app).await;
    let former = "https://user:secret-of-another-app@crm.example/sms";
    at_twilio(&app, &path, &[("SmsUrl", former), ("SmsMethod", "GET")]).await;

    let body = json!({ "subscription": "phone-number", "input": { "phoneNumberSid": sid } });
    let made = subscribe(&app, &body).await;
    assert_eq!(made["kept"]["former_url"], "https://user:****@crm.example/sms");
    assert_eq!(made["kept"]["former_method"], "GET");
    let own = app
        .admin()
        .get("/twilio/webhooks/address?connectionId=mine")
        .await
        .expect(200);
    let own = own.json()["data"]["url"].as_str().unwrap().to_owned();
    let set = at_twilio(&app, &path, &[]).await;
    assert_eq!(set["sms_url"], format!("{own}#rc=5&rp=all"));
    assert_eq!(provider_state(&app).await["state"], "as_set");

    let inbound = InboundMessage {
        to: set["phone_number"].as_str().map(str::to_owned),
        ..InboundMessage::default()
    };
    let received = app.simulator().receive(&inbound);
    wait_until("Twilio has sent the message", async || {
        app.simulator().webhooks_idle()
    })
    .await;
    app.run_due().await;
    assert_eq!(status(&app, &received).await, "received");

    // Of another connection to the same account, nothing could be restored.
    let account = app.simulator().credentials();
    let twin =
        json!({ "connectionId": "twin", "accountSid": account.account_sid, "authToken": account.auth_token });
    app.admin().post("/twilio/connect", &twin).await.expect(201);
    let refused = app
        .admin()
        .post("/twilio/webhooks?connectionId=twin", &body)
        .await
        .expect(424);
    assert!(
        refused
            .message()
            .contains("already sends these events to Trunkline"),
        "{}",
        refused.text
    );

    app.admin().delete(WEBHOOKS).await.expect(200);
    let restored = at_twilio(&app, &path, &[]).await;
    assert_eq!(
        (&restored["sms_url"], &restored["sms_method"]),
        (&json!(former), &json!("GET"))
    );
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn what_somebody_else_has_set_since_stays(app: TestApp) {
    ready(&app).await;
    let (sid, path) = number(&app).await;
    let body = json!({ "subscription": "phone-number", "input": { "phoneNumberSid": sid } });
    subscribe(&app, &body).await;
    let theirs = "https://crm.example/newer";
    at_twilio(&app, &path, &[("SmsUrl", theirs)]).await;
    let state = provider_state(&app).await;
    assert_eq!(state["state"], "changed");
    assert_eq!(state["differences"][0]["actual"], theirs);
    assert!(
        state["differences"][0]["expected"]
            .as_str()
            .unwrap()
            .contains("[secret]")
    );

    let ended = app.admin().delete(WEBHOOKS).await.expect(200).json();
    assert_eq!(ended["data"][0]["ended_at_provider"], false);
    assert_eq!(at_twilio(&app, &path, &[]).await["sms_url"], theirs);
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn a_conversations_service_gets_its_filters_back(app: TestApp) {
    ready(&app).await;
    let sid = app.simulator().assets().conversations_services[0].clone();
    let path = format!("/v1/Services/{sid}/Configuration/Webhooks");
    let former = [
        ("PostWebhookUrl", "https://crm.example/conversations"),
        ("Method", "POST"),
        ("Filters", "onMessageUpdated"),
        ("Filters", "onConversationStateUpdated"),
    ];
    let before = at_twilio(&app, &path, &former).await;
    let body = json!({ "subscription": "conversations", "input": { "conversationsServiceSid": sid } });
    let made = subscribe(&app, &body).await;
    assert_eq!(made["kept"]["former_filters"], before["filters"]);
    let set = at_twilio(&app, &path, &[]).await;
    assert_eq!(set["filters"].as_array().unwrap().len(), 7);
    app.admin().delete(WEBHOOKS).await.expect(200);
    let restored = at_twilio(&app, &path, &[]).await;
    for field in ["post_webhook_url", "method", "filters"] {
        assert_eq!(restored[field], before[field], "{field}");
    }
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn an_api_key_alone_gets_a_signing_key_and_its_messages_report_back(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let webhooks = "/twilio/webhooks?connectionId=my-twilio";
    let (own, other) = (app.simulator().assets().numbers[0].clone(), "+15005550006");
    let send = async || {
        let message = json!({ "from": own, "to": other, "body": "Hello" });
        let path = "/twilio/messages?connectionId=my-twilio";
        app.admin().post(path, &message).await.expect(200);
    };
    // What arrived could not be verified, so Twilio is asked for nothing.
    send().await;
    wait_until("Twilio is idle", async || app.simulator().webhooks_idle()).await;
    assert_eq!(app.simulator().webhooks().total, 0);

    let refused = app.admin().post(webhooks, &json!({})).await.expect(400);
    assert!(refused.message().contains("signing-key"), "{}", refused.text);
    let made = app
        .admin()
        .post(webhooks, &json!({ "subscription": "signing-key" }))
        .await
        .expect(201);
    assert!(!made.text.contains("secret\":\""), "{}", made.text);
    // Twilio uses the key after a minute.
    app.advance(Duration::from_secs(61));
    send().await;
    app.advance(Duration::from_mins(1));
    wait_until("Twilio has sent callbacks", async || {
        app.simulator().webhooks_idle() && app.simulator().webhooks().total > 0
    })
    .await;
    app.run_due().await;
    assert_eq!(
        app.admin().get("/webhook-events").await.expect(200).json()["events"][0]["status"],
        "processed"
    );
    app.admin().delete(webhooks).await.expect(200);
    let shown = app.admin().get(webhooks).await.expect(200).json();
    assert_eq!(shown["data"]["subscriptions"], json!([]));
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn deleting_a_connection_ends_its_subscriptions(app: TestApp) {
    connect(&app).await;
    subscribe(&app, &json!({})).await;
    app.admin()
        .delete("/connections/mine?provider_config_key=twilio")
        .await
        .expect(200);
    assert_eq!(at_twilio(&app, "/v1/Sinks", &[]).await["sinks"], json!([]));
}
