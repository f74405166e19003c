//! Faults of webhooks: each is visible to the receiver as it would be at Twilio's.

use std::time::{Duration as Wait, Instant};

use chrono::Duration;
use twilio_sim::{
    CustomWebhook, Faults, NewMessage, Patch, SignedUrl, Simulator, Status, WebhookFaults, WebhookKind,
    WebhookMethod, WebhookOutcome,
};

use crate::client::exchange;
use crate::receiver::{ORIGIN, Receiver, settled, with_receiver};

fn with(webhooks: WebhookFaults) -> (Simulator, Receiver) {
    let (simulator, receiver) = with_receiver();
    simulator.set_faults(Faults {
        webhooks,
        ..Faults::default()
    });
    (simulator, receiver)
}

fn message(simulator: &Simulator) -> String {
    simulator.insert(NewMessage {
        status_callback: Some(format!("{ORIGIN}/status")),
        ..NewMessage::default()
    })
}

fn set(simulator: &Simulator, sid: &str, status: Status) {
    let patch = Patch {
        status: Some(status),
        ..Patch::default()
    };
    assert!(simulator.patch(sid, patch));
}

fn custom(simulator: &Simulator, url: &str, method: WebhookMethod) {
    simulator.send_webhook(CustomWebhook {
        url: url.to_owned(),
        method,
        parameters: vec![("a".to_owned(), "1".to_owned())],
        subject: "one".to_owned(),
        ..CustomWebhook::default()
    });
}

#[test]
fn a_lost_webhook_is_only_in_the_log() {
    let (simulator, receiver) = with(WebhookFaults {
        lost: 1.0,
        only: vec!["delivered".to_owned()],
        ..WebhookFaults::default()
    });
    let sid = message(&simulator);
    set(&simulator, &sid, Status::Sent);
    set(&simulator, &sid, Status::Delivered);
    set(&simulator, &sid, Status::Read);
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["sent", "read"]);
    let log = simulator.webhooks();
    let lost = log
        .entries
        .iter()
        .find(|entry| entry.outcome == WebhookOutcome::Lost)
        .unwrap();
    assert_eq!(
        (lost.state.as_str(), lost.kind, lost.faults.clone()),
        ("delivered", WebhookKind::MessageStatus, vec!["lost".to_owned()])
    );
}

#[test]
fn a_webhook_is_doubled_with_two_tokens_or_repeated_with_one() {
    for (faults, tokens) in [
        (
            WebhookFaults {
                doubled: 1.0,
                ..WebhookFaults::default()
            },
            2,
        ),
        (
            WebhookFaults {
                repeated: 1.0,
                ..WebhookFaults::default()
            },
            1,
        ),
    ] {
        let (simulator, receiver) = with(faults);
        let sid = message(&simulator);
        set(&simulator, &sid, Status::Sent);
        settled(&simulator);
        let requests = receiver.received();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].body, requests[1].body);
        let distinct: std::collections::HashSet<_> = requests
            .iter()
            .map(|request| request.header("i-twilio-idempotency-token"))
            .collect();
        assert_eq!(distinct.len(), tokens);
    }
}

#[test]
fn a_late_webhook_comes_when_its_time_has_come() {
    let (simulator, receiver) = with(WebhookFaults {
        late: 1.0,
        late_seconds: 90,
        ..WebhookFaults::default()
    });
    let sid = message(&simulator);
    set(&simulator, &sid, Status::Sent);
    settled(&simulator);
    simulator.advance(Duration::seconds(89));
    assert!(settled(&simulator).is_empty() && receiver.received().is_empty());
    simulator.advance(Duration::seconds(1));
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["sent"]);
}

#[test]
fn a_webhook_out_of_order_comes_after_the_next_one() {
    let (simulator, receiver) = with(WebhookFaults {
        out_of_order: 1.0,
        only: vec!["sent".to_owned(), "read".to_owned()],
        ..WebhookFaults::default()
    });
    let sid = message(&simulator);
    set(&simulator, &sid, Status::Sent);
    set(&simulator, &sid, Status::Delivered);
    set(&simulator, &sid, Status::Read);
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["delivered", "sent"]);
    // There is no next one, so it comes a minute later.
    simulator.advance(Duration::seconds(60));
    settled(&simulator);
    assert_eq!(
        receiver.parameters("MessageStatus"),
        ["delivered", "sent", "read"]
    );
}

#[test]
fn a_wrong_signature_and_an_altered_body_do_not_verify() {
    for faults in [
        WebhookFaults {
            wrong_signature: 1.0,
            ..WebhookFaults::default()
        },
        WebhookFaults {
            altered: 1.0,
            ..WebhookFaults::default()
        },
    ] {
        let altered = faults.altered > 0.0;
        let (simulator, receiver) = with(faults);
        custom(&simulator, &format!("{ORIGIN}/x"), WebhookMethod::Post);
        custom(&simulator, &format!("{ORIGIN}/x"), WebhookMethod::Get);
        simulator.send_webhook(CustomWebhook {
            url: format!("{ORIGIN}/x"),
            json: Some(serde_json::json!({"a": 1})),
            subject: "one".to_owned(),
            ..CustomWebhook::default()
        });
        settled(&simulator);
        let requests = receiver.received();
        assert!(!requests[0].is_signed(&simulator) && !requests[1].is_signed(&simulator));
        assert_eq!(requests[0].body, if altered { "a=10" } else { "a=1" });
        assert_eq!(requests[2].body, if altered { "{\"a\":1} " } else { "{\"a\":1}" });
        // Of an altered JSON body, the signature of the URL is right and the hash in it is not.
        let url = format!("{ORIGIN}{}", requests[2].target);
        assert_eq!(
            simulator.sign(&url, &[]) == requests[2].header("x-twilio-signature"),
            altered
        );
    }
}

#[test]
fn a_slow_body_arrives_whole() {
    let (simulator, receiver) = with(WebhookFaults {
        slow: 1.0,
        slow_ms: 150,
        ..WebhookFaults::default()
    });
    let started = Instant::now();
    custom(&simulator, &format!("{ORIGIN}/x"), WebhookMethod::Post);
    settled(&simulator);
    assert!(started.elapsed() >= Wait::from_millis(150));
    assert!(receiver.received()[0].is_signed(&simulator));
}

#[test]
fn the_signed_form_of_the_url_is_chosen() {
    let (simulator, receiver) = with(WebhookFaults {
        signed_url: SignedUrl::WithPort,
        ..WebhookFaults::default()
    });
    custom(&simulator, &format!("{ORIGIN}/x"), WebhookMethod::Post);
    let entries = settled(&simulator);
    assert_eq!(entries[0].signed_url, "https://hooks.example.com:443/x");
    let request = receiver.received().remove(0);
    assert!(!request.is_signed(&simulator));
    assert_eq!(
        simulator.sign("https://hooks.example.com:443/x", &request.form()),
        request.header("x-twilio-signature")
    );
}

#[test]
fn faults_of_webhooks_are_set_by_the_control_api() {
    let (simulator, receiver) = with_receiver();
    let put = |body: &str| {
        let kind = "Content-Type: application/json\r\n";
        exchange(&simulator.url(), "PUT", "/_sim/faults", None, kind, body).status
    };
    assert_eq!(
        put("{\"webhooks\":{\"lost\":1.0,\"signed_url\":\"with_user_info\"}}"),
        204
    );
    custom(&simulator, &format!("{ORIGIN}/x"), WebhookMethod::Post);
    settled(&simulator);
    assert!(receiver.received().is_empty());
    assert_eq!(put("{\"webhooks\":{\"losst\":1.0}}"), 400);
    assert_eq!(simulator.faults().webhooks.signed_url, SignedUrl::WithUserInfo);
}
