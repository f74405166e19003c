//! Events reach the app's endpoints: what is sent, and what follows from each response.

use std::time::Duration;

use domain::EventType;
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use signature::{nango, standard};
use testkit::{Client, Receiver, TestApp, on_both_databases};
use wiremock::ResponseTemplate;

/// Creates an endpoint with further settings; returns it with its secret.
pub(crate) async fn endpoint(client: &Client, url: &str, more: Json) -> Json {
    let mut body = json!({ "url": url });
    if let (Some(body), Json::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let made = client.post("/webhook-endpoints", &body).await.expect(201);
    made.json()["data"].clone()
}

pub(crate) fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The states of all deliveries, newest first.
async fn states(client: &Client) -> Vec<(String, i64)> {
    let listed = client.get("/webhook-deliveries").await.expect(200).json();
    let rows = listed["deliveries"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|row| (text(&row["status"]), row["attempts"].as_i64().unwrap_or_default()))
        .collect()
}

#[on_both_databases]
async fn a_connection_and_its_first_runs_are_events_with_verified_signatures(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(app.admin(), &receiver.url(), json!({ "ed25519": true })).await;
    let secret = SecretString::from(text(&made["secret"]));
    let settings = app.admin().get("/environment/webhooks").await.expect(200).json();
    let signing_key = SecretString::from(text(&settings["data"]["signing_key"]));

    app.connect_twilio().await;
    app.run_due().await;

    // The backfill, and the run that follows it and reads the messages without a date.
    let types = ["connection.created", "sync.succeeded", "sync.succeeded"];
    assert_eq!(receiver.types(), types);
    for webhook in receiver.got() {
        let at: i64 = webhook.header("webhook-timestamp").parse().unwrap();
        let at = domain::Timestamp::from_micros(at * 1_000_000);
        let key = standard::SigningKey::parse(&secret).unwrap();
        let signed = standard::sign([&key], &webhook.id(), at, &webhook.body).unwrap();
        let sent: Vec<&str> = webhook.header("webhook-signature").split(' ').collect();
        assert!(sent.contains(&signed.signature.as_str()), "{sent:?}");
        assert!(sent.iter().any(|entry| entry.starts_with("v1a,")), "{sent:?}");
        for (name, value) in nango::sign(&signing_key, &webhook.body).headers() {
            assert_eq!(webhook.header(&name.to_lowercase()), value);
        }
    }
    let body = receiver.got()[1].json();
    assert_eq!(body["data"]["environment"], "dev");
    assert_eq!(body["data"]["connection_id"], "my-twilio");
    assert_eq!(body["data"]["provider_config_key"], "twilio");
    let models: Vec<Json> = receiver.got()[1..]
        .iter()
        .map(|webhook| webhook.json()["data"]["models"][0].clone())
        .collect();
    assert_eq!(models[0]["first_change"], 1);
    assert_eq!(models[0]["last_change"], models[0]["added"]);
    let added: u64 = models.iter().map(|model| model["added"].as_u64().unwrap()).sum();
    assert_eq!(added, app.simulator().live_count());
    let one = ("delivered".to_owned(), 1);
    assert_eq!(states(app.admin()).await, [one.clone(), one.clone(), one]);

    // A run that changes nothing is no event.
    app.advance(Duration::from_mins(6));
    app.run_due().await;
    assert_eq!(receiver.types(), types);
}

#[on_both_databases]
async fn an_endpoint_gets_only_what_it_asks_for(app: TestApp) {
    let receiver = Receiver::start().await;
    let other = Receiver::start().await;
    let settings = json!({ "events": ["sync.*"], "unchanged_runs": true, "integrations": ["twilio"] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    endpoint(app.admin(), &other.url(), json!({ "tags": { "plan": "pro" } })).await;
    endpoint(app.admin(), &other.url(), json!({ "integrations": ["stripe"] })).await;
    endpoint(app.admin(), &other.url(), json!({ "enabled": false })).await;

    app.connect_twilio().await;
    app.run_due().await;

    assert_eq!(receiver.types(), ["sync.succeeded", "sync.succeeded"]);
    app.advance(Duration::from_mins(6));
    app.run_due().await;
    assert_eq!(receiver.types().len(), 3, "it asks for runs that change nothing");
    assert!(other.got().is_empty());
}

#[on_both_databases]
async fn a_delivery_is_retried_by_its_schedule_and_fails_after_the_last_attempt(app: TestApp) {
    let receiver = Receiver::answering(|_, _| ResponseTemplate::new(400).set_body_string("no\0pe")).await;
    let settings = json!({ "retry_seconds": [0, 60, 600], "events": ["connection.created"] });
    let made = endpoint(app.admin(), &receiver.url(), settings).await;
    app.connect_twilio().await;

    app.run_due().await;
    assert_eq!(states(app.admin()).await, [("pending".to_owned(), 1)]);
    app.advance(Duration::from_secs(50));
    app.run_due().await;
    assert_eq!(receiver.got().len(), 1);
    app.advance(Duration::from_secs(20));
    app.run_due().await;
    assert_eq!(receiver.got().len(), 2);
    app.advance(Duration::from_secs(700));
    app.run_due().await;

    let got = receiver.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|webhook| webhook.id() == got[0].id()));
    assert_ne!(
        got[0].header("webhook-timestamp"),
        got[2].header("webhook-timestamp")
    );
    assert_eq!(states(app.admin()).await, [("failed".to_owned(), 3)]);

    let listed = app.admin().get("/webhook-deliveries").await.expect(200).json();
    let id = text(&listed["deliveries"][0]["id"]);
    let shown = app
        .admin()
        .get(&format!("/webhook-deliveries/{id}"))
        .await
        .expect(200)
        .json();
    let attempts = shown["data"]["attempt_list"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0]["status"], 400);
    assert_eq!(attempts[0]["response"], "no\u{fffd}pe");

    // A replay has the whole schedule again.
    let replay = format!("/webhook-endpoints/{}/replay", text(&made["id"]));
    let replayed = app
        .admin()
        .post(&replay, &json!({ "status": "failed" }))
        .await
        .expect(202);
    assert_eq!(replayed.json()["replayed"], 1);
    app.run_due().await;
    assert_eq!(states(app.admin()).await, [("pending".to_owned(), 4)]);
    app.advance(Duration::from_secs(70));
    app.run_due().await;
    assert_eq!(receiver.got().len(), 5);
}

#[on_both_databases]
async fn retry_after_is_obeyed_within_a_ceiling(app: TestApp) {
    let receiver = Receiver::answering(|before, _| match before {
        0 => ResponseTemplate::new(429).insert_header("retry-after", "120"),
        1 => ResponseTemplate::new(503).insert_header("retry-after", "99999999"),
        _ => ResponseTemplate::new(200),
    })
    .await;
    let settings = json!({ "retry_seconds": [0, 5, 5, 5], "events": ["connection.created"] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    app.connect_twilio().await;
    app.run_due().await;
    app.advance(Duration::from_secs(100));
    app.run_due().await;
    assert_eq!(receiver.got().len(), 1);
    app.advance(Duration::from_secs(30));
    app.run_due().await;
    assert_eq!(receiver.got().len(), 2);
    app.advance(Duration::from_hours(6));
    app.run_due().await;
    assert_eq!(states(app.admin()).await, [("delivered".to_owned(), 3)]);
}

#[on_both_databases]
async fn a_receiver_can_end_a_delivery_and_disable_the_endpoint(app: TestApp) {
    let aborting = Receiver::answering(|_, _| {
        ResponseTemplate::new(500).insert_header("webhook-delivery", "abort-message")
    })
    .await;
    let gone = Receiver::answering(|_, _| ResponseTemplate::new(410)).await;
    let redirecting =
        Receiver::answering(|_, _| ResponseTemplate::new(307).insert_header("location", "/elsewhere")).await;
    let events = json!({ "events": ["connection.created"] });
    endpoint(app.admin(), &aborting.url(), events.clone()).await;
    let disabled = endpoint(app.admin(), &gone.url(), events.clone()).await;
    endpoint(app.admin(), &redirecting.url(), events).await;
    let watching = Receiver::start().await;
    endpoint(
        app.admin(),
        &watching.url(),
        json!({ "events": ["endpoint.disabled"] }),
    )
    .await;

    app.connect_twilio().await;
    app.run_due().await;

    let mut all = states(app.admin()).await;
    all.sort();
    let of = |status: &str| (status.to_owned(), 1);
    assert_eq!(
        all,
        [of("aborted"), of("aborted"), of("delivered"), of("pending")]
    );
    assert_eq!(redirecting.got().len(), 1);
    assert_eq!(watching.types(), ["endpoint.disabled"]);
    let path = format!("/webhook-endpoints/{}", text(&disabled["id"]));
    let shown = app.admin().get(&path).await.expect(200).json();
    assert_eq!(shown["data"]["enabled"], false);
    assert!(text(&shown["data"]["disabled_reason"]).contains("410"));
    let feed = app
        .admin()
        .get("/events?types=endpoint.disabled")
        .await
        .expect(200)
        .json();
    assert_eq!(feed["events"][0]["data"]["endpoint_id"], disabled["id"]);
}

#[on_both_databases]
async fn an_endpoint_that_only_fails_for_five_days_is_disabled_and_loses_nothing(app: TestApp) {
    let works = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let decides = std::sync::Arc::clone(&works);
    let receiver = Receiver::answering(move |_, _| {
        ResponseTemplate::new(if decides.load(std::sync::atomic::Ordering::Relaxed) {
            200
        } else {
            500
        })
    })
    .await;
    let made = endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.*"] }),
    )
    .await;
    app.connect_twilio().await;
    for _ in 0..12 {
        app.run_due().await;
        app.advance(Duration::from_hours(12));
        app.admin()
            .post("/twilio/connect", &app.connect_body("my-twilio"))
            .await
            .expect(201);
    }
    app.run_due().await;
    let path = format!("/webhook-endpoints/{}", text(&made["id"]));
    let shown = app.admin().get(&path).await.expect(200).json();
    assert_eq!(shown["data"]["enabled"], false, "{shown}");
    let before = receiver.got().len();

    works.store(true, std::sync::atomic::Ordering::Relaxed);
    app.connect_as(app.admin(), "later").await;
    app.run_due().await;
    assert_eq!(receiver.got().len(), before);
    app.admin()
        .patch(&path, &json!({ "enabled": true }))
        .await
        .expect(200);
    app.run_due().await;
    let created = |webhook: &testkit::Webhook| webhook.json()["data"]["connection_id"] == "later";
    assert!(receiver.got().iter().skip(before).any(created));
}

#[on_both_databases]
async fn nangos_two_addresses_and_a_connections_own_url_get_nangos_bodies(app: TestApp) {
    let (primary, secondary, own) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let settings = json!({ "primary_url": primary.url(), "secondary_url": secondary.url() });
    app.admin()
        .put("/environment/webhooks", &settings)
        .await
        .expect(200);
    app.connect_twilio().await;
    app.run_due().await;
    let kinds = ["auth", "sync", "sync"];
    assert_eq!(primary.types(), kinds);
    assert_eq!(secondary.types(), kinds);
    let auth = primary.got()[0].json();
    assert_eq!(auth["operation"], "creation");
    assert_eq!(
        (&auth["authMode"], &auth["success"]),
        (&json!("BASIC"), &json!(true))
    );
    let sync = primary.got()[1].json();
    assert!(sync["responseResults"]["added"].as_u64() > Some(200));
    assert_eq!(sync["responseResults"]["deleted"], 0);
    assert_eq!(sync["syncType"], "INITIAL");

    let change = json!({ "webhook_url_override": own.url() });
    app.admin()
        .patch("/connections/my-twilio?provider_config_key=twilio", &change)
        .await
        .expect(200);
    app.admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);
    app.run_due().await;
    assert_eq!(own.types(), ["auth"]);
    assert_eq!(own.got()[0].json()["operation"], "override");
    assert_eq!(primary.got().len(), 3);
    assert_eq!(secondary.got().len(), 3);
}

#[on_both_databases]
async fn deleting_a_connection_erases_its_events(app: TestApp) {
    let receiver = Receiver::answering(|before, _| match before {
        0 => ResponseTemplate::new(500).set_body_string("seen my-twilio, once"),
        _ => ResponseTemplate::new(200),
    })
    .await;
    endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.*"] }),
    )
    .await;
    app.connect_twilio().await;
    app.run_due().await;
    app.admin()
        .delete("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);
    app.run_due().await;

    assert_eq!(receiver.types(), ["connection.created", "connection.deleted"]);
    let feed = app.admin().get("/events").await.expect(200).json();
    let events = feed["events"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "connection.deleted");
    assert_eq!(
        states(app.admin()).await,
        [("delivered".to_owned(), 1), ("aborted".to_owned(), 1)]
    );
    let listed = app
        .admin()
        .get("/webhook-deliveries?status=aborted")
        .await
        .expect(200)
        .json();
    let path = format!("/webhook-deliveries/{}", text(&listed["deliveries"][0]["id"]));
    let shown = app.admin().get(&path).await.expect(200).json();
    assert_eq!(shown["data"]["attempt_list"][0]["status"], 500);
    assert_eq!(shown["data"]["attempt_list"][0]["response"], Json::Null);
}

#[on_both_databases]
async fn credentials_that_are_refused_and_work_again_are_two_events(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.error", "connection.recovered"] }),
    )
    .await;
    app.connect_twilio().await;
    app.run_due().await;
    let key = app.simulator().credentials().main_key_sid;
    app.simulator().revoke(&key);
    for _ in 0..3 {
        app.advance(Duration::from_hours(1));
        app.run_due().await;
    }
    assert_eq!(receiver.types(), ["connection.error"]);
    app.simulator().restore(&key);
    app.advance(Duration::from_hours(30));
    app.run_due().await;
    assert_eq!(receiver.types(), ["connection.error", "connection.recovered"]);
}

#[on_both_databases]
async fn every_type_has_an_example_that_is_signed_like_a_real_event(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(app.admin(), &receiver.url(), json!({})).await;
    let path = format!("/webhook-endpoints/{}/example", text(&made["id"]));
    for event_type in EventType::ALL {
        let sent = app
            .admin()
            .post(&path, &json!({ "type": event_type.as_str() }))
            .await
            .expect(200);
        assert_eq!(sent.json()["data"]["status"], 204);
    }
    let types: Vec<String> = EventType::ALL
        .iter()
        .map(|known| known.as_str().to_owned())
        .collect();
    assert_eq!(receiver.types(), types);
    assert!(
        receiver
            .got()
            .iter()
            .all(|webhook| webhook.header("webhook-signature").starts_with("v1,"))
    );
    assert!(states(app.admin()).await.is_empty());
}
