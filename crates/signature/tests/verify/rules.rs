//! What the built-in files make of requests: types, ids, keys, challenges.

use super::sent::webhooks_of;
use registry::webhooks::{ConnectionMatch, Effect, NewerBy};
use signature::{Headers, Message, Request};

/// What the file of a provider makes of a request, event by event: type, id and key of the first rule.
fn read(provider: &str, headers: &[(&str, &str)], body: &str) -> Vec<[Option<String>; 3]> {
    let webhooks = webhooks_of(provider);
    let headers = Headers::new(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let (method, url) = ("POST", "https://hooks.example.com/x");
    let message = Message::new(Request {
        method,
        url,
        headers: &headers,
        body: body.as_bytes(),
    });
    let events = message.events(&webhooks);
    let event = |event: &signature::Event<'_>| {
        let kind = webhooks.kind.as_ref().and_then(|kind| event.text(kind));
        let id = webhooks.id.as_ref().and_then(|id| event.text(id));
        let rule = kind.as_deref().and_then(|kind| webhooks.rules(kind).first());
        let key = rule.and_then(|rule| match &rule.effect {
            Effect::Fields { key, .. } | Effect::Reread { key } | Effect::Delete { key } => event.text(key),
            Effect::Record { path, .. } => event
                .find(path)
                .and_then(|record| Some(record.get("id")?.to_string())),
            Effect::Run => Some("run".to_owned()),
        });
        [kind, id, key]
    };
    events.iter().map(event).collect()
}

fn some(texts: [&str; 3]) -> [Option<String>; 3] {
    texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, [&'a str; 3]);

fn check(cases: &[Case<'_>]) {
    for (provider, headers, body, expected) in cases {
        assert_eq!(
            read(provider, headers, body),
            [some(*expected)],
            "{provider}: {body}"
        );
    }
}

#[test]
fn events_have_their_type_id_and_key() {
    check(&[
        (
            "stripe",
            &[],
            r#"{"id":"evt_1","type":"charge.refunded","data":{"object":{"id":"ch_1"}}}"#,
            ["charge.refunded", "evt_1", "\"ch_1\""],
        ),
        (
            "stripe",
            &[],
            r#"{"id":"evt_1","type":"charge.dispute.created","data":{"object":{"id":"dp_1","charge":"ch_1"}}}"#,
            ["charge.dispute.created", "evt_1", "ch_1"],
        ),
        (
            "stripe",
            &[],
            r#"{"id":"evt_1","type":"invoice.paid"}"#,
            ["invoice.paid", "evt_1", ""],
        ),
        (
            "github",
            &[("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "d1")],
            r#"{"action":"deleted","issue":{"id":12345678901234567890}}"#,
            ["issues.deleted", "d1", "12345678901234567890"],
        ),
        (
            "github",
            &[("X-GitHub-Event", "ping"), ("X-GitHub-Delivery", "d1")],
            "{}",
            ["ping", "d1", ""],
        ),
        (
            "shopify",
            &[("shopify-topic", "orders/updated"), ("shopify-event-id", "e1")],
            r#"{"id":7}"#,
            ["orders/updated", "e1", "7"],
        ),
    ]);
}

#[test]
fn events_of_further_providers_have_them_too() {
    check(&[
        (
            "mailgun",
            &[],
            r#"{"event-data":{"id":"e1","event":"failed","severity":"permanent","reason":"bounce"}}"#,
            ["failed.permanent.bounce", "e1", "run"],
        ),
        (
            "mailgun",
            &[],
            r#"{"event-data":{"id":"e1","event":"opened"}}"#,
            ["opened", "e1", ""],
        ),
        (
            "postmark",
            &[],
            r#"{"RecordType":"Bounce","MessageID":"m1","BouncedAt":"2026-01-01T00:00:00Z"}"#,
            ["Bounce", "Bounce:m1:2026-01-01T00:00:00Z", ""],
        ),
        (
            "airtable",
            &[],
            r#"{"base":{"id":"app1"},"webhook":{"id":"ach1"},"timestamp":"2026-01-01T00:00:00.000Z"}"#,
            ["ping", "ach1:2026-01-01T00:00:00.000Z", "run"],
        ),
        (
            "close",
            &[],
            r#"{"event":{"id":"ev1","object_type":"lead","action":"deleted","object_id":"lead_1"}}"#,
            ["lead.deleted", "ev1", "lead_1"],
        ),
        (
            "resend",
            &[("svix-id", "msg_1")],
            r#"{"type":"email.bounced","data":{"email_id":"e1"}}"#,
            ["email.bounced", "msg_1", "e1"],
        ),
        (
            "sentry",
            &[("Sentry-Hook-Resource", "issue"), ("Request-ID", "r1")],
            r#"{"action":"resolved","data":{"issue":{"id":"1"}}}"#,
            ["issue.resolved", "r1", "1"],
        ),
    ]);
}

#[test]
fn callbacks_without_a_type_are_told_apart_by_their_fields() {
    check(&[
        (
            "twilio",
            &[FORM, ("I-Twilio-Idempotency-Token", "t1")],
            "MessageSid=SM1&MessageStatus=sent&SmsStatus=sent",
            ["message.sent", "t1", "SM1"],
        ),
        (
            "twilio",
            &[FORM],
            "MessageSid=SM1&MessageStatus=sent&SmsStatus=sent",
            ["message.sent", "SM1:sent", "SM1"],
        ),
        (
            "twilio",
            &[FORM],
            "MessageSid=SM1&SmsStatus=received&Body=Hi",
            ["message.received", "SM1:received", "SM1"],
        ),
        (
            "twilio",
            &[FORM],
            "CallSid=CA1&CallStatus=ringing&SequenceNumber=1",
            ["call.ringing", "CA1:ringing:1", ""],
        ),
        (
            "twilio",
            &[FORM, ("I-Twilio-Idempotency-Token", "t1")],
            "EventType=onMessageAdded&MessageSid=IM1",
            ["conversation.onMessageAdded", "t1", ""],
        ),
        // The order of values that differ is not signed, so none of them counts.
        (
            "twilio",
            &[FORM],
            "MessageSid=SM1&MessageSid=SM2&MessageStatus=sent",
            ["message.sent", "", ""],
        ),
    ]);
}

#[test]
fn a_list_brings_several_events() {
    let body = r#"[{"sg_event_id":"a","event":"bounce","type":"bounce","email":"x@example.com"},{"sg_event_id":"b","event":"open"}]"#;
    let expected = [
        some(["bounce.bounce", "a", "x@example.com"]),
        some(["open", "b", ""]),
    ];
    assert_eq!(read("sendgrid", &[], body), expected);
    let body = r#"{"data":[{"external_id":"1","topic":"event:a"},{"external_id":"2","topic":"event:b"}]}"#;
    let expected = [some(["event:a", "1", ""]), some(["event:b", "2", ""])];
    assert_eq!(read("klaviyo", &[], body), expected);
    let body =
        r#"[{"id":"EZ1","type":"com.twilio.messaging.message.delivered","data":{"messageSid":"SM1"}}]"#;
    assert_eq!(
        read("twilio", &[], body),
        [some(["com.twilio.messaging.message.delivered", "EZ1", "SM1"])]
    );
    assert_eq!(read("sendgrid", &[], "[]"), Vec::<[Option<String>; 3]>::new());
}

#[test]
fn a_connection_is_found_by_a_value_of_the_first_event() {
    let find = |provider: &str, headers: &[(&str, &str)], body: &str| {
        let ConnectionMatch { from, config } = webhooks_of(provider).connection.unwrap();
        let headers = Headers::new(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let (method, url) = ("POST", "https://hooks.example.com/x");
        let message = Message::new(Request {
            method,
            url,
            headers: &headers,
            body: body.as_bytes(),
        });
        let value = message.text(&from)?;
        let field = super::sent::REGISTRY.get(provider).unwrap().connection_config[&config].clone();
        Some((config, field.bare(&value).to_owned()))
    };
    let found = |config: &str, value: &str| Some((config.to_owned(), value.to_owned()));
    assert_eq!(
        find("shopify", &[("X-Shopify-Shop-Domain", "acme.myshopify.com")], "x"),
        found("shop", "acme")
    );
    assert_eq!(
        find("twilio", &[FORM], "AccountSid=AC1&MessageSid=SM1"),
        found("accountSid", "AC1")
    );
    assert_eq!(
        find("twilio", &[], r#"[{"data":{"accountSid":"AC1"}}]"#),
        found("accountSid", "AC1")
    );
    assert_eq!(find("twilio", &[], "[]"), None);
}

#[test]
fn a_first_request_brings_the_secret() {
    let webhooks = webhooks_of("notion");
    let headers = Headers::default();
    let respond = |body: &str| {
        let (method, url) = ("POST", "https://hooks.example.com/x");
        let message = Message::new(Request {
            method,
            url,
            headers: &headers,
            body: body.as_bytes(),
        });
        message.challenge(&webhooks)
    };
    let response = respond(r#"{"verification_token":"secret_1"}"#).unwrap();
    assert!(response.secret.is_some() && response.body.is_empty());
    assert!(!format!("{response:?}").contains("secret_1"));
    assert!(respond(r#"{"id":"1","type":"page.created"}"#).is_none() && respond("").is_none());
}

#[test]
fn a_rank_orders_the_states_of_a_message() {
    let webhooks = webhooks_of("twilio");
    let newer = webhooks.rules("message.sent")[0].newer_by.clone().unwrap();
    assert!(matches!(&newer, NewerBy::Rank { column, .. } if column.as_str() == "status"));
    let rank = |state: &str| newer.rank(state).unwrap();
    assert!(rank("accepted") < rank("queued") && rank("sent") < rank("delivered"));
    assert!(rank("delivered") == rank("failed") && rank("delivered") < rank("read"));
    assert_eq!(newer.rank("received"), None);
}
