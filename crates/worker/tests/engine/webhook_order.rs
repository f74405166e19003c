//! The order of deliveries, replays, and the feed of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::{Receiver, TestApp, Webhook, on_both_databases};
use wiremock::ResponseTemplate;

use crate::webhooks::endpoint;

fn operation(webhook: &Webhook) -> (String, String) {
    let body = webhook.json();
    let text = |name: &str| body["data"][name].as_str().unwrap_or_default().to_owned();
    (
        text("connection_id"),
        body["type"].as_str().unwrap_or_default().to_owned(),
    )
}

#[on_both_databases]
async fn an_ordered_endpoint_holds_back_later_events_of_the_connection_only(app: TestApp) {
    let works = Arc::new(AtomicBool::new(false));
    let decides = Arc::clone(&works);
    let receiver = Receiver::answering(move |_, webhook| {
        let refused = operation(webhook).0 == "one" && !decides.load(Ordering::Relaxed);
        ResponseTemplate::new(if refused { 500 } else { 200 })
    })
    .await;
    let settings = json!({ "ordered": true, "events": ["connection.created", "connection.updated"], "retry_seconds": [0, 60, 60] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    for name in ["one", "two", "one", "two", "one"] {
        let sent = app.admin().post("/twilio/connect", &app.connect_body(name)).await;
        assert!(matches!(sent.status, 200 | 201));
    }
    app.run_due().await;
    let of = |name: &str| {
        let got = receiver.got();
        let theirs = got
            .iter()
            .map(operation)
            .filter(|(connection, _)| connection == name);
        theirs.map(|(_, event_type)| event_type).collect::<Vec<_>>()
    };
    assert_eq!(of("two"), ["connection.created", "connection.updated"]);
    assert_eq!(of("one"), ["connection.created"]);

    works.store(true, Ordering::Relaxed);
    app.advance(Duration::from_secs(70));
    app.run_due().await;
    let all = [
        "connection.created",
        "connection.created",
        "connection.updated",
        "connection.updated",
    ];
    assert_eq!(of("one"), all);
}

#[on_both_databases]
async fn a_delivery_that_has_failed_for_good_lets_the_next_one_go(app: TestApp) {
    let receiver = Receiver::answering(|_, webhook| {
        let created = operation(webhook).1 == "connection.created";
        ResponseTemplate::new(if created { 500 } else { 200 })
    })
    .await;
    let settings = json!({ "ordered": true, "events": ["connection.*"], "retry_seconds": [0, 30] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    app.connect_twilio().await;
    app.admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);
    app.run_due().await;
    assert_eq!(receiver.got().len(), 1);
    app.advance(Duration::from_secs(40));
    app.run_due().await;
    assert_eq!(
        receiver.types(),
        ["connection.created", "connection.created", "connection.updated"]
    );
}

#[on_both_databases]
async fn a_replay_since_a_time_sends_delivered_events_again_in_order(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.*"] }),
    )
    .await;
    app.connect_as(app.admin(), "first").await;
    app.run_due().await;
    app.advance(Duration::from_secs(10));
    let since = app.clock().now();
    for name in ["second", "third"] {
        app.connect_as(app.admin(), name).await;
    }
    app.run_due().await;
    let path = format!("/webhook-endpoints/{}/replay", made["id"].as_str().unwrap());
    app.admin()
        .post(&path, &json!({ "since": since.to_string() }))
        .await
        .expect(202);
    app.run_due().await;

    let got: Vec<String> = receiver
        .got()
        .iter()
        .map(|webhook| operation(webhook).0)
        .collect();
    assert_eq!(got.len(), 5, "{got:?}");
    let mut again = got[3..].to_vec();
    again.sort();
    assert_eq!(again, ["second", "third"]);
    let ids: Vec<String> = receiver.got().iter().map(Webhook::id).collect();
    assert!(ids[3..].iter().all(|id| ids[1..3].contains(id)));
}

#[on_both_databases]
async fn a_replay_from_a_change_number_begins_with_the_run_that_wrote_it(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["sync.succeeded"] }),
    )
    .await;
    app.connect_twilio().await;
    app.run_due().await;
    assert_eq!(receiver.got().len(), 2);
    let second = receiver.got()[1].json()["data"]["models"][0]["first_change"].clone();
    let path = format!("/webhook-endpoints/{}/replay", made["id"].as_str().unwrap());
    app.admin()
        .post(&path, &json!({ "from_change": second }))
        .await
        .expect(202);
    app.run_due().await;
    assert_eq!(receiver.got().len(), 3);
    assert_eq!(receiver.got()[2].id(), receiver.got()[1].id());
    app.admin()
        .post(&path, &json!({ "from_change": 10_000 }))
        .await
        .expect(202);
    app.run_due().await;
    assert_eq!(receiver.got().len(), 3);
}

#[on_both_databases]
async fn the_feed_has_the_same_ids_in_order_and_no_holes(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "ordered": true, "unchanged_runs": true }),
    )
    .await;
    for name in ["one", "two", "three"] {
        app.connect_as(app.admin(), name).await;
    }
    app.run_due().await;
    let (mut cursor, mut ids) = (String::from("0"), Vec::new());
    loop {
        let page = app
            .admin()
            .get(&format!("/events?limit=2&cursor={cursor}"))
            .await
            .expect(200)
            .json();
        let events = page["events"].as_array().unwrap().clone();
        let next = page["next_cursor"].as_str().unwrap().to_owned();
        if events.is_empty() {
            assert_eq!(next, cursor);
            break;
        }
        cursor = next;
        ids.extend(
            events
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
    }
    let mut got: Vec<String> = receiver.got().iter().map(Webhook::id).collect();
    assert_eq!(ids.len(), got.len());
    got.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(sorted, got);
    let other = app.environment("other").await;
    let page = other.get("/events").await.expect(200).json();
    assert_eq!(page["events"], json!([]));
}

#[on_both_databases]
async fn a_replay_of_a_pending_event_does_not_stall_its_connection(app: TestApp) {
    let works = Arc::new(AtomicBool::new(false));
    let decides = Arc::clone(&works);
    let receiver = Receiver::answering(move |_, _| {
        ResponseTemplate::new(if decides.load(Ordering::Relaxed) { 200 } else { 500 })
    })
    .await;
    let settings = json!({ "ordered": true, "events": ["connection.*"] });
    let made = endpoint(app.admin(), &receiver.url(), settings).await;
    let since = app.clock().now();
    app.connect_twilio().await;
    app.run_due().await;
    app.admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);
    app.run_due().await;
    works.store(true, Ordering::Relaxed);
    let path = format!("/webhook-endpoints/{}/replay", made["id"].as_str().unwrap());
    app.admin()
        .post(&path, &json!({ "since": since.to_string() }))
        .await
        .expect(202);
    app.run_due().await;
    let types = receiver.types();
    assert_eq!(
        types[types.len() - 2..],
        ["connection.created", "connection.updated"]
    );
    assert_nothing_pending(&app).await;
}

#[on_both_databases]
async fn an_endpoint_that_is_ordered_no_longer_sends_what_it_held_back(app: TestApp) {
    let receiver = Receiver::answering(|_, webhook| {
        let created = operation(webhook).1 == "connection.created";
        ResponseTemplate::new(if created { 500 } else { 200 })
    })
    .await;
    let settings = json!({ "ordered": true, "events": ["connection.*"] });
    let made = endpoint(app.admin(), &receiver.url(), settings).await;
    app.connect_twilio().await;
    app.admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);
    app.run_due().await;
    assert_eq!(receiver.types(), ["connection.created"]);
    let path = format!("/webhook-endpoints/{}", made["id"].as_str().unwrap());
    app.admin()
        .patch(&path, &json!({ "ordered": false }))
        .await
        .expect(200);
    app.run_due().await;
    assert_eq!(receiver.types(), ["connection.created", "connection.updated"]);
}

#[on_both_databases]
async fn a_held_back_event_goes_when_the_one_before_it_is_pruned(app: TestApp) {
    let receiver = Receiver::answering(|_, webhook| {
        let created = operation(webhook).1 == "connection.created";
        ResponseTemplate::new(if created { 500 } else { 200 })
    })
    .await;
    let settings = json!({ "ordered": true, "events": ["connection.*"] });
    endpoint(app.admin(), &receiver.url(), settings).await;
    app.connect_twilio().await;
    app.run_due().await;
    app.advance(Duration::from_secs(1));
    let before = app.clock().now();
    app.admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await
        .expect(201);
    app.run_due().await;
    assert_eq!(receiver.types(), ["connection.created"]);
    let now = app.clock().now();
    let pruned = app
        .store()
        .write(move |c| store::endpoints::prune_events(c, before, 100, now));
    assert!(pruned.await.unwrap() > 0);
    app.run_due().await;
    assert_eq!(receiver.types(), ["connection.created", "connection.updated"]);
}

async fn assert_nothing_pending(app: &TestApp) {
    let pending = app
        .admin()
        .get("/webhook-deliveries?status=pending")
        .await
        .expect(200);
    assert_eq!(pending.json()["deliveries"], json!([]));
}

#[on_both_databases]
async fn a_connection_that_is_deleted_twice_at_a_time_is_deleted_in_one_event(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.deleted"] }),
    )
    .await;
    for round in 0..5 {
        let name = format!("c{round}");
        app.connect_as(app.admin(), &name).await;
        let path = format!("/connections/{name}?provider_config_key=twilio");
        let (one, two) = tokio::join!(app.admin().delete(&path), app.admin().delete(&path));
        assert!([one.status, two.status].contains(&200));
    }
    app.run_due().await;
    assert_eq!(receiver.got().len(), 5);
}
