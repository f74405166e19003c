//! Event Streams: sinks, subscriptions, and the events that they get.

use chrono::Duration;
use serde_json::Value;
use twilio_sim::{
    ConversationEvent, Faults, InboundMessage, NewMessage, Patch, Simulator, Status, WebhookFaults,
    WebhookOutcome,
};

use crate::client::{Answer, account_path, get, own_number, send};
use crate::receiver::{ORIGIN, Received, Receiver, Reply, settled, with_receiver};

const TYPES: [&str; 6] = [
    "com.twilio.messaging.message.sent",
    "com.twilio.messaging.message.delivered",
    "com.twilio.messaging.message.undelivered",
    "com.twilio.messaging.inbound-message.received",
    "com.twilio.voice.status-callback.call.completed",
    "com.twilio.conversations.message.added",
];

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn create_sink(simulator: &Simulator, destination: &str, batch: &str) -> Answer {
    let configuration = format!("{{\"destination\":\"{destination}\",\"method\":\"POST\"{batch}}}");
    let form = format!(
        "Description=d&SinkType=webhook&SinkConfiguration={}",
        encode(&configuration)
    );
    send(simulator, "POST", "/v1/Sinks", &form)
}

fn subscribe(simulator: &Simulator, sink: &str, types: &[&str]) -> Answer {
    let mut form = format!("Description=d&SinkSid={sink}");
    for name in types {
        form.push_str("&Types=");
        form.push_str(&encode(&format!("{{\"type\":\"{name}\"}}")));
    }
    send(simulator, "POST", "/v1/Subscriptions", &form)
}

fn subscribed(batch: &str) -> (Simulator, Receiver, String) {
    let (simulator, receiver) = with_receiver();
    let sink = create_sink(&simulator, &format!("{ORIGIN}/events?k=v"), batch).json();
    let sid = sink["sid"].as_str().unwrap().to_owned();
    let subscription = subscribe(&simulator, &sid, &TYPES);
    assert_eq!(subscription.status, 201, "{}", subscription.text());
    (simulator, receiver, sid)
}

fn events(request: &Received) -> Vec<Value> {
    serde_json::from_str(&request.body).unwrap()
}

fn patch(status: Status) -> Patch {
    Patch {
        status: Some(status),
        ..Patch::default()
    }
}

#[test]
fn sinks_and_subscriptions_are_created_listed_changed_and_deleted() {
    let (simulator, _receiver) = with_receiver();
    let created = create_sink(&simulator, "https://a.example/events", ",\"batch_events\":true");
    assert_eq!(created.status, 201, "{}", created.text());
    let sink = created.json();
    let sid = sink["sid"].as_str().unwrap();
    assert_eq!(
        (
            sid.get(..2),
            &sink["status"],
            &sink["sink_configuration"]["batch_events"]
        ),
        (Some("DG"), &"active".into(), &true.into())
    );
    assert_eq!(
        sink["links"]["sink_test"],
        format!("{}/v1/Sinks/{sid}/Test", simulator.url())
    );
    let path = format!("/v1/Sinks/{sid}");
    assert_eq!(get(&simulator, &path).json(), sink);
    assert_eq!(
        send(&simulator, "POST", &path, "Description=other").json()["description"],
        "other"
    );

    let created = subscribe(&simulator, sid, &TYPES[..2]);
    let subscription = created.json();
    let id = subscription["sid"].as_str().unwrap();
    assert_eq!((created.status, id.get(..2)), (201, Some("DF")));
    assert_eq!(subscribe(&simulator, sid, &TYPES[..1]).refusal(), (400, 20001));
    assert_eq!(send(&simulator, "DELETE", &path, "").refusal(), (400, 20001));
    let of = |query: &str| get(&simulator, query).json()["sinks"].as_array().unwrap().len();
    assert_eq!(
        (
            of("/v1/Sinks"),
            of("/v1/Sinks?InUse=false"),
            of("/v1/Sinks?Status=failed")
        ),
        (1, 0, 0)
    );

    let types = format!("/v1/Subscriptions/{id}/SubscribedEvents");
    let listed = get(&simulator, &types).json();
    assert_eq!(listed["meta"]["key"], "types");
    assert_eq!(
        (&listed["types"][0]["type"], &listed["types"][0]["schema_version"]),
        (&TYPES[0].into(), &8.into())
    );
    let added = send(
        &simulator,
        "POST",
        &types,
        &format!("Type={}&SchemaVersion=2", TYPES[3]),
    );
    assert_eq!((added.status, &added.json()["schema_version"]), (201, &2.into()));
    let one = format!("{types}/{}", TYPES[3]);
    assert_eq!(
        send(&simulator, "POST", &one, "SchemaVersion=3").json()["schema_version"],
        3
    );
    assert_eq!(
        send(&simulator, "POST", &one, "SchemaVersion=99").refusal(),
        (400, 20001)
    );
    assert_eq!(send(&simulator, "DELETE", &one, "").status, 204);
    assert_eq!(get(&simulator, &one).refusal(), (404, 20404));

    let path = format!("/v1/Subscriptions/{id}");
    assert_eq!(get(&simulator, &path).json()["sink_sid"], sid);
    assert_eq!(send(&simulator, "DELETE", &path, "").status, 204);
    assert_eq!(get(&simulator, &path).refusal(), (404, 20404));
    assert_eq!(
        send(&simulator, "DELETE", &format!("/v1/Sinks/{sid}"), "").status,
        204
    );
}

#[test]
fn types_and_schemas_are_described_and_invalid_requests_refused() {
    let (simulator, _receiver) = with_receiver();
    let listed = get(&simulator, "/v1/Types?PageSize=100").json();
    let names: Vec<_> = listed["types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["type"])
        .collect();
    assert!(TYPES.iter().all(|name| names.contains(&&Value::from(*name))));
    assert_eq!(
        get(&simulator, &format!("/v1/Types/{}", TYPES[1])).json()["schema_id"],
        "Messaging.MessageStatus"
    );
    let versions = get(&simulator, "/v1/Schemas/Messaging.MessageStatus/Versions").json();
    assert_eq!(versions["schema_versions"].as_array().unwrap().len(), 8);
    assert_eq!(
        get(&simulator, "/v1/Schemas/Messaging.MessageStatus").json()["latest_version"],
        8
    );

    let form = |configuration: &str, kind: &str| {
        format!(
            "Description=d&SinkType={kind}&SinkConfiguration={}",
            encode(configuration)
        )
    };
    for form in [
        "SinkType=webhook&SinkConfiguration=%7B%7D".to_owned(),
        form("{}", "webhook"),
        form("not json", "webhook"),
        form("{\"destination\":\"http://127.0.0.1/x\"}", "webhook"),
        form(
            "{\"destination\":\"https://a.example\",\"method\":\"PUT\"}",
            "webhook",
        ),
        form(
            "{\"destination\":\"https://a.example\",\"batch_events\":\"yes\"}",
            "webhook",
        ),
        form("{\"destination\":\"https://a.example\"}", "kinesis"),
    ] {
        assert_eq!(
            send(&simulator, "POST", "/v1/Sinks", &form).refusal(),
            (400, 20001),
            "{form}"
        );
    }
    let sink = create_sink(&simulator, "https://a.example/", "").json();
    assert_eq!(sink["sink_configuration"]["batch_events"], false);
    let sid = sink["sid"].as_str().unwrap();
    assert_eq!(
        subscribe(&simulator, sid, &["com.twilio.none"]).refusal(),
        (400, 20001)
    );
    let array = format!(
        "Description=d&SinkSid={sid}&Types={}",
        encode("[{\"type\":\"x\"}]")
    );
    assert_eq!(
        send(&simulator, "POST", "/v1/Subscriptions", &array).refusal(),
        (400, 20001)
    );
}

#[test]
fn a_sink_is_validated_by_the_id_in_its_test_event() {
    let (simulator, receiver, sid) = subscribed("");
    let tested = send(&simulator, "POST", &format!("/v1/Sinks/{sid}/Test"), "");
    assert_eq!(
        (tested.status, &tested.json()["result"]),
        (201, &"submitted".into())
    );
    settled(&simulator);
    let event = events(&receiver.received()[0]).remove(0);
    assert_eq!(event["type"], "com.twilio.eventstreams.test-event");
    let id = event["data"]["test_id"].as_str().unwrap();
    let path = format!("/v1/Sinks/{sid}/Validate");
    assert_eq!(
        send(&simulator, "POST", &path, "TestId=x").refusal(),
        (400, 20001)
    );
    assert_eq!(
        send(&simulator, "POST", &path, &format!("TestId={id}")).json()["result"],
        "valid"
    );
}

#[test]
fn every_message_of_the_account_is_reported_without_a_status_callback() {
    let (simulator, receiver, _) = subscribed("");
    let sid = simulator.insert(NewMessage::default());
    simulator.patch(&sid, patch(Status::Sent));
    simulator.patch(
        &sid,
        Patch {
            error_code: Some(Some(30005)),
            ..patch(Status::Undelivered)
        },
    );
    settled(&simulator);
    let all: Vec<Value> = receiver.received().iter().flat_map(events).collect();
    assert_eq!(all.len(), 2);
    let find = |name: &str| all.iter().find(|event| event["type"] == name).unwrap();
    let sent = find(TYPES[0]);
    assert_eq!(sent["specversion"], "1.0");
    assert_eq!(
        sent["dataschema"],
        "https://events-schemas.twilio.com/Messaging.MessageStatus/8"
    );
    assert!(sent["id"].as_str().unwrap().starts_with("EZ"));
    assert_eq!(sent["time"], "2026-11-20T12:00:00.000Z");
    assert!(
        sent["source"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/Messages/{sid}.json"))
    );
    assert_eq!(
        (
            &sent["data"]["messageStatus"],
            &sent["data"]["messageSid"],
            &sent["data"]["numberOfSegments"]
        ),
        (&"SENT".into(), &sid.as_str().into(), &1.into())
    );
    assert!(sent["data"].get("errorCode").is_none() && sent["data"].get("price").is_none());
    let undelivered = find(TYPES[2]);
    assert_eq!(undelivered["data"]["errorCode"], 30005);
    assert_eq!(undelivered["data"]["rawDlrDoneDate"], "2611201200");
    for request in receiver.received() {
        assert_eq!(request.header("content-type"), "application/json");
        assert!(request.target.starts_with("/events?k=v&bodySHA256="));
        let url = format!("{ORIGIN}{}", request.target);
        assert_eq!(simulator.sign(&url, &[]), request.header("x-twilio-signature"));
    }
}

#[test]
fn messages_that_were_on_their_way_before_the_subscription_are_reported_too() {
    let (simulator, receiver) = with_receiver();
    simulator.insert(NewMessage::default());
    let sink = create_sink(&simulator, &format!("{ORIGIN}/events"), "").json();
    let subscription = subscribe(&simulator, sink["sid"].as_str().unwrap(), &TYPES).json();
    simulator.advance(Duration::days(30));
    settled(&simulator);
    // Events have no order.
    let all: Vec<Value> = receiver.received().iter().flat_map(events).collect();
    assert!(all.iter().any(|event| event["type"] == TYPES[0]), "{all:?}");

    let before = receiver.received().len();
    let path = format!("/v1/Subscriptions/{}", subscription["sid"].as_str().unwrap());
    assert_eq!(send(&simulator, "DELETE", &path, "").status, 204);
    simulator.insert(NewMessage::default());
    simulator.advance(Duration::days(30));
    settled(&simulator);
    assert_eq!(receiver.received().len(), before);
}

#[test]
fn a_batch_sink_gets_an_array_and_another_one_event_a_request() {
    let (simulator, receiver, _) = subscribed(",\"batch_events\":true");
    for _ in 0..3 {
        simulator.insert(NewMessage::default());
    }
    simulator.advance(Duration::seconds(10));
    settled(&simulator);
    let batch = events(&receiver.received()[0]);
    assert!(batch.len() >= 3, "{}", batch.len());

    let (simulator, receiver, _) = subscribed("");
    simulator.set_faults(Faults {
        webhooks: WebhookFaults {
            bare_events: true,
            ..WebhookFaults::default()
        },
        ..Faults::default()
    });
    let sid = simulator.insert(NewMessage::default());
    simulator.patch(&sid, patch(Status::Sent));
    settled(&simulator);
    let bare: Value = serde_json::from_str(&receiver.received()[0].body).unwrap();
    assert_eq!(bare["type"], TYPES[0]);
}

#[test]
fn inbound_messages_calls_and_conversations_are_streamed() {
    let (simulator, receiver, _) = subscribed("");
    let sid = simulator.receive(&InboundMessage::default());
    let form = format!(
        "To=%2B14155550100&From={}&Twiml=%3CResponse%2F%3E&StatusCallback={}",
        own_number(&simulator),
        encode(&format!("{ORIGIN}/call"))
    );
    send(&simulator, "POST", &account_path(&simulator, "Calls.json"), &form);
    simulator.conversation_event(&ConversationEvent {
        event_type: "onMessageAdded".to_owned(),
        body: Some("hi".to_owned()),
        ..ConversationEvent::default()
    });
    simulator.advance(Duration::minutes(10));
    settled(&simulator);
    let all: Vec<Value> = receiver
        .received()
        .iter()
        .filter(|request| request.target.starts_with("/events"))
        .flat_map(events)
        .collect();
    let find = |name: &str| all.iter().find(|event| event["type"] == name).unwrap();
    let inbound = find(TYPES[3]);
    assert_eq!(
        (&inbound["data"]["messageSid"], &inbound["data"]["numMedia"]),
        (&sid.as_str().into(), &0.into())
    );
    let call = find(TYPES[4]);
    assert!(call["id"].as_str().unwrap().starts_with("VW"));
    assert_eq!(call["data"]["eventSid"], call["id"]);
    assert_eq!(call["data"]["request"]["parameters"]["CallStatus"], "completed");
    assert_eq!(find(TYPES[5])["data"]["MessageBody"], "hi");
}

#[test]
fn a_failed_event_comes_again_with_the_same_id_and_a_400_discards_it() {
    let (simulator, receiver, _) = subscribed("");
    receiver.reply_with([500, 429, 200].map(Reply::status));
    let sid = simulator.insert(NewMessage::default());
    simulator.patch(&sid, patch(Status::Sent));
    settled(&simulator);
    assert!(simulator.webhooks().entries.is_empty());
    for _ in 0..2 {
        simulator.advance(Duration::seconds(5));
        settled(&simulator);
    }
    let entry = settled(&simulator).remove(0);
    assert_eq!(
        (entry.outcome, entry.attempts.len()),
        (WebhookOutcome::Delivered, 3)
    );
    let ids: std::collections::HashSet<_> = receiver
        .received()
        .iter()
        .map(|request| events(request)[0]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);

    receiver.reply_with([Reply::status(400)]);
    simulator.patch(&sid, patch(Status::Delivered));
    let entry = settled(&simulator).pop().unwrap();
    assert_eq!((entry.outcome, entry.attempts.len()), (WebhookOutcome::Failed, 1));
}

#[test]
fn credentials_in_a_destination_are_sent_at_once() {
    let (simulator, receiver) = with_receiver();
    let sink = create_sink(&simulator, "https://user:pw@hooks.example.com/events", "").json();
    assert_eq!(
        subscribe(&simulator, sink["sid"].as_str().unwrap(), &TYPES).status,
        201
    );
    simulator.receive(&InboundMessage::default());
    settled(&simulator);
    assert_eq!(
        receiver.received()[0].header("authorization"),
        "Basic dXNlcjpwdw=="
    );
}
