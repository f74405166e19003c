//! How webhooks are sent: retries, timeouts, credentials, connections, and the log.

use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use twilio_sim::{CustomWebhook, InboundMessage, SimConfig, Simulator, WebhookEntry, WebhookOutcome};

use crate::client::{exchange, frozen, get};
use crate::receiver::{ORIGIN, Reply, configured, settled, wait_until, with_receiver};
use crate::webhooks::send_message;

fn custom(simulator: &Simulator, fragment: &str) -> Vec<WebhookEntry> {
    simulator.reset_webhooks();
    simulator.send_webhook(CustomWebhook {
        url: format!("{ORIGIN}/x{fragment}"),
        parameters: vec![("a".to_owned(), "b".to_owned())],
        ..CustomWebhook::default()
    });
    settled(simulator)
}

#[test]
fn connection_overrides_say_when_a_webhook_is_sent_again() {
    let (simulator, receiver) = with_receiver();
    receiver.reply_with([500; 1].map(Reply::status));
    assert_eq!(custom(&simulator, "")[0].outcome, WebhookOutcome::Failed);
    assert_eq!(receiver.received().len(), 1);

    receiver.reply_with([500, 404, 0, 503].map(Reply::status));
    let entry = custom(&simulator, "#rc=5&rp=all").remove(0);
    let statuses: Vec<_> = entry.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(404), None, Some(503), Some(204)]);
    assert_eq!(entry.outcome, WebhookOutcome::Delivered);
    let requests = receiver.received().split_off(1);
    let first = &requests[0];
    assert_eq!((requests.len(), first.target.as_str()), (5, "/x"));
    for request in &requests {
        for name in ["i-twilio-idempotency-token", "x-twilio-signature"] {
            assert_eq!(request.header(name), first.header(name));
        }
    }

    receiver.reply_with([404].map(Reply::status));
    assert_eq!(custom(&simulator, "#rc=2&rp=5xx,ct")[0].attempts.len(), 1);
    receiver.reply_with([500, 500, 500].map(Reply::status));
    assert_eq!(custom(&simulator, "#rc=2&rp=5xx")[0].attempts.len(), 3);
}

#[test]
fn timeouts_end_an_attempt_and_the_total_ends_them_all() {
    let (simulator, receiver) = with_receiver();
    let slow = Reply(200, "", Wait::from_millis(400));
    receiver.reply_with([slow]);
    let entry = custom(&simulator, "#rt=100").remove(0);
    assert_eq!((entry.status(), entry.attempts.len()), (None, 1));
    assert!(
        entry.attempts[0]
            .error
            .as_deref()
            .unwrap()
            .contains("no response")
    );
    receiver.reply_with([slow; 5]);
    let entry = custom(&simulator, "#rt=100&rc=5&rp=rt&tt=250").remove(0);
    assert!((2..=3).contains(&entry.attempts.len()), "{:?}", entry.attempts);
}

#[test]
fn a_refused_connection_is_retried_once_by_default() {
    let (simulator, receiver) = with_receiver();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    simulator.route_webhooks(ORIGIN, &format!("http://{free}"));
    let entry = custom(&simulator, "").remove(0);
    assert_eq!((entry.attempts.len(), entry.outcome), (2, WebhookOutcome::Failed));
    simulator.route_webhooks("https://elsewhere.example", "https://tls.example");
    assert!(receiver.received().is_empty());
}

#[test]
fn basic_credentials_of_a_url_are_sent_only_when_asked_for() {
    let (simulator, receiver) = with_receiver();
    receiver.reply_with([Reply(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", Wait::ZERO)]);
    simulator.send_webhook(CustomWebhook {
        url: "https://user:pa%40ss@hooks.example.com/x".to_owned(),
        parameters: vec![("a".to_owned(), "b".to_owned())],
        ..CustomWebhook::default()
    });
    let entries = settled(&simulator);
    let requests = receiver.received();
    assert_eq!((requests.len(), requests[0].header("authorization")), (2, ""));
    assert_eq!(requests[1].header("authorization"), "Basic dXNlcjpwYUBzcw==");
    assert!(requests[1].is_signed(&simulator));
    assert_eq!(entries[0].outcome, WebhookOutcome::Delivered);
}

#[test]
fn many_webhooks_share_few_connections_and_local_urls_need_permission() {
    let (simulator, receiver) = configured(SimConfig {
        local_webhooks: true,
        webhooks_in_flight: 8,
        ..frozen(0, 5)
    });
    let local = receiver.url.replace(':', "%3A").replace('/', "%2F");
    send_message(&simulator, &format!("StatusCallback={local}%2Fstatus"));
    for number in 0..500 {
        simulator.send_webhook(CustomWebhook {
            url: format!("{ORIGIN}/{number}"),
            subject: format!("SM{number}"),
            ..CustomWebhook::default()
        });
    }
    simulator.advance(Duration::seconds(10));
    settled(&simulator);
    let log = simulator.webhooks();
    assert!(
        log.total >= 502 && log.by_outcome.len() == 1,
        "{:?}",
        log.by_outcome
    );
    assert!(receiver.connections() <= 16, "{}", receiver.connections());
}

#[test]
fn webhooks_for_twilio_itself_are_not_sent_and_the_log_is_in_the_control_api() {
    let (simulator, receiver) = with_receiver();
    simulator.receive(&InboundMessage::default());
    let entry = settled(&simulator).remove(0);
    assert_eq!(entry.outcome, WebhookOutcome::Dropped);
    assert!(receiver.received().is_empty());
    let body = format!("{{\"url\":\"{ORIGIN}/y\",\"json\":{{\"a\":1}}}}");
    let posted = exchange(
        &simulator.url(),
        "POST",
        "/_sim/webhooks",
        None,
        "Content-Type: application/json\r\n",
        &body,
    );
    assert_eq!(posted.status, 202);
    settled(&simulator);
    let request = receiver.received().remove(0);
    assert_eq!(
        (request.body.as_str(), request.header("content-type")),
        ("{\"a\":1}", "application/json")
    );
    assert_eq!(
        request.target,
        "/y?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    );
    let log = get(&simulator, "/_sim/webhooks").json();
    assert_eq!(
        (&log["total"], &log["entries"][1]["outcome"]),
        (&2.into(), &"delivered".into())
    );
    let at = log["entries"][1]["attempts"][0]["at"].as_str().unwrap();
    assert_eq!(at.parse::<DateTime<Utc>>().unwrap(), simulator.now());
    assert_eq!(get(&simulator, "/_sim/webhooks/state").json()["idle"], true);
}

#[test]
fn a_simulator_ends_while_webhooks_are_in_flight() {
    let (simulator, receiver) = with_receiver();
    receiver.reply_with([Reply(200, "", Wait::from_secs(5))]);
    simulator.send_webhook(CustomWebhook {
        url: format!("{ORIGIN}/x"),
        ..CustomWebhook::default()
    });
    wait_until("the webhook arrived", || !receiver.received().is_empty());
    assert!(!simulator.webhooks_idle());
    drop(simulator);
}
