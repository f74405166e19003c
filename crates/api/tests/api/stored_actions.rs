//! Stored actions: asynchronous ones, and those with an idempotency key.

use std::time::Duration;

use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{AppBuilder, TestApp, on_both_databases};

use crate::actions::{TO, message, sends, trigger_with};

const LATER: (&str, &str) = ("X-Async", "true");

async fn result(app: &TestApp, id: &str) -> testkit::Reply {
    app.admin().get(&format!("/action/{id}")).await
}

async fn store(app: &TestApp, name: &str, input: &Json, headers: &[(&str, &str)]) -> String {
    let mut all = vec![LATER];
    all.extend_from_slice(headers);
    let reply = trigger_with(app.admin(), name, input, &all).await.expect(202);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.json()["statusUrl"], format!("/action/{id}"));
    assert_eq!(reply.header("location"), Some(format!("/action/{id}").as_str()));
    id
}

#[on_both_databases]
async fn an_asynchronous_action_is_stored_before_the_response_and_its_result_is_kept(app: TestApp) {
    app.connect_twilio().await;
    let id = store(&app, "send-message", &message(&app, "later"), &[]).await;
    let waiting = result(&app, &id).await.expect(404);
    assert_eq!(waiting.code(), "not_found");
    assert_eq!(waiting.json()["error"]["payload"], json!({ "status": "queued" }));
    assert_eq!(sends(&app), 0);

    app.run_due().await;

    let sent = result(&app, &id).await.expect(200).json();
    assert_eq!(sent["body"], "later");
    assert_eq!(sends(&app), 1);
    let theirs = app.environment("theirs").await;
    let hidden = theirs.get(&format!("/action/{id}")).await.expect(404);
    assert_eq!(hidden.json()["error"].get("payload"), None);
    app.advance(std::time::Duration::from_hours(6 * 24));
    app.run_due().await;
    assert_eq!(
        result(&app, &id).await.expect(404).json()["error"].get("payload"),
        None
    );
}

#[on_both_databases]
async fn the_same_idempotency_key_gets_the_first_response_and_sends_once(app: TestApp) {
    app.connect_twilio().await;
    let key = ("Idempotency-Key", "order-42");
    let first = trigger_with(app.admin(), "send-message", &message(&app, "once"), &[key])
        .await
        .expect(200);
    let again = trigger_with(app.admin(), "send-message", &message(&app, "once"), &[key])
        .await
        .expect(200);
    assert_eq!(again.text, first.text);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(sends(&app), 1);
    let other = trigger_with(app.admin(), "send-message", &message(&app, "another"), &[key])
        .await
        .expect(422);
    assert_eq!(other.code(), "idempotency_key_reused");
    let elsewhere = trigger_with(app.admin(), "get-balance", &json!({}), &[key]).await;
    elsewhere.expect(200);

    app.simulator().set_unreachable(TO, Some(21610));
    let key = ("Idempotency-Key", "order-43");
    let refused = trigger_with(app.admin(), "send-message", &message(&app, "no"), &[key])
        .await
        .expect(424);
    app.simulator().set_unreachable(TO, None);
    let again = trigger_with(app.admin(), "send-message", &message(&app, "no"), &[key])
        .await
        .expect(424);
    assert_eq!(
        again.text, refused.text,
        "the first response, even if it was a refusal"
    );

    let key = ("Idempotency-Key", "order-44");
    let id = store(&app, "send-message", &message(&app, "later"), &[key]).await;
    let busy = trigger_with(app.admin(), "send-message", &message(&app, "later"), &[key])
        .await
        .expect(409);
    assert_eq!(
        (busy.code().as_str(), busy.header("retry-after")),
        ("idempotency_key_in_use", Some("1"))
    );
    assert_eq!(
        store(&app, "send-message", &message(&app, "later"), &[key]).await,
        id
    );
    app.run_due().await;
    let replayed = trigger_with(app.admin(), "send-message", &message(&app, "later"), &[key])
        .await
        .expect(200);
    assert_eq!(replayed.json(), result(&app, &id).await.expect(200).json());
    assert_eq!(sends(&app), 3, "once, no and later");
}

#[on_both_databases]
async fn many_asynchronous_actions_run_concurrently(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let mut faults = app.simulator().faults();
    faults.latency_ms = 50;
    app.simulator().set_faults(faults);
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(
            store(
                &app,
                "send-message",
                &message(&app, &format!("number {number}")),
                &[],
            )
            .await,
        );
    }
    app.simulator().reset_requests();
    app.run_due().await;
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(
            result(&app, id).await.expect(200).json()["body"],
            format!("number {number}")
        );
    }
    assert_eq!(sends(&app), 20);
    assert!(app.simulator().requests().max_concurrency > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_connection_does_not_delay_others() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    app.connect_as(app.admin(), "other").await;
    for number in 0..40 {
        store(
            &app,
            "send-message",
            &message(&app, &format!("backlog {number}")),
            &[],
        )
        .await;
    }
    let body = json!({ "connectionId": "other", "to": TO, "from": app.simulator().assets().numbers[0], "body": "quick" });
    let request = app
        .admin()
        .request(reqwest::Method::POST, "/twilio/messages")
        .header("X-Async", "true")
        .header("Content-Type", "application/json");
    app.admin().send(request.body(body.to_string())).await.expect(202);
    let now = app.clock().now();
    let first = app
        .store()
        .write(move |c| store::actions::claim(c, now, now.plus(Duration::from_secs(1)), "w1", 32))
        .await
        .unwrap();
    assert_eq!(
        first.len(),
        9,
        "eight of the backlog and the one of the other connection"
    );
    assert_eq!(
        first
            .iter()
            .filter(|row| row.input.as_ref().unwrap()["body"] == "quick")
            .count(),
        1
    );
    let second = app
        .store()
        .write(move |c| store::actions::claim(c, now, now.plus(Duration::from_secs(1)), "w2", 32))
        .await
        .unwrap();
    assert!(
        second.is_empty(),
        "the connection has as many under way as it may"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_a_dead_process_is_repeated_only_if_it_is_safe() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let begun = store(&app, "send-message", &message(&app, "begun"), &[]).await;
    let read = store(&app, "get-balance", &json!({}), &[]).await;
    let claimed = store(&app, "send-message", &message(&app, "claimed"), &[]).await;
    let now = app.clock().now();
    app.store()
        .write(move |c| {
            for row in store::actions::claim(c, now, now.plus(Duration::from_secs(1)), "dead", 32)? {
                if row
                    .input
                    .as_ref()
                    .is_none_or(|input| input.get("body") != Some(&json!("claimed")))
                {
                    assert!(store::actions::begin(
                        c,
                        &store::Lease::new(row.number, "dead"),
                        0,
                        now
                    )?);
                    assert!(
                        !store::actions::begin(c, &store::Lease::new(row.number, "dead"), 0, now)?,
                        "once a claim"
                    );
                }
            }
            Ok(())
        })
        .await
        .unwrap();

    app.advance(std::time::Duration::from_secs(2));
    app.run_due().await;

    let unknown = result(&app, &begun).await.expect(424);
    assert_eq!(unknown.code(), "action_outcome_unknown");
    assert!(
        unknown
            .message()
            .contains("Look at the provider before you send it again")
    );
    assert!(result(&app, &read).await.expect(200).json()["balance"].is_string());
    assert_eq!(result(&app, &claimed).await.expect(200).json()["body"], "claimed");
    assert_eq!(sends(&app), 1, "what had begun is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_without_effect_is_retried_and_frees_its_idempotency_key() {
    let app = AppBuilder::default()
        .upstream(|options| options.max_attempts = 1)
        .start(Dialect::Sqlite)
        .await
        .unwrap();
    app.connect_twilio().await;
    app.run_due().await;
    let faults = app.simulator().faults();
    let mut busy = faults.clone();
    busy.rate_429 = 1.0;
    app.simulator().set_faults(busy);
    let key = ("Idempotency-Key", "order-1");
    let refused = trigger_with(app.admin(), "send-message", &message(&app, "x"), &[key])
        .await
        .expect(429);
    assert_eq!(refused.code(), "rate_limited");
    assert!(refused.header("retry-after").is_some());
    let later = store(
        &app,
        "send-message",
        &message(&app, "y"),
        &[("X-Max-Retries", "2")],
    )
    .await;
    app.run_due().await;
    assert_eq!(
        result(&app, &later).await.expect(404).json()["error"]["payload"]["status"],
        "queued"
    );

    app.simulator().set_faults(faults);
    trigger_with(app.admin(), "send-message", &message(&app, "x"), &[key])
        .await
        .expect(200);
    app.advance(std::time::Duration::from_mins(2));
    app.run_due().await;
    assert_eq!(result(&app, &later).await.expect(200).json()["body"], "y");
}
