//! Webhook settings of numbers, Messaging Services and Conversations services: they are read, changed in part, and used.

use serde_json::Value;
use twilio_sim::{ConversationEvent, InboundMessage, Permission, SimConfig, Simulator};

use crate::client::{account_path, exchange, exchange_as, frozen, get, messages_path, send};
use crate::receiver::{settled, with_receiver};

fn first_number(simulator: &Simulator) -> (String, Value) {
    let listed = get(simulator, &account_path(simulator, "IncomingPhoneNumbers.json")).json();
    let number = listed["incoming_phone_numbers"][0].clone();
    let sid = number["sid"].as_str().unwrap();
    (
        account_path(simulator, &format!("IncomingPhoneNumbers/{sid}.json")),
        number,
    )
}

#[test]
fn an_update_of_a_number_changes_only_what_it_names() {
    let (simulator, _receiver) = with_receiver();
    let (path, before) = first_number(&simulator);
    let form =
        "SmsUrl=https%3A%2F%2Fa.example%2Fsms&SmsMethod=get&StatusCallback=https%3A%2F%2Fa.example%2Fs";
    let changed = send(&simulator, "POST", &path, form);
    assert_eq!(changed.status, 200, "{}", changed.text());
    let mut expected = before.clone();
    expected["sms_url"] = "https://a.example/sms".into();
    expected["sms_method"] = "GET".into();
    expected["status_callback"] = "https://a.example/s".into();
    expected["date_updated"] = "Fri, 20 Nov 2026 12:00:00 +0000".into();
    assert_eq!(changed.json(), expected);
    assert_eq!(get(&simulator, &path).json(), expected);
    let voice = send(
        &simulator,
        "POST",
        &path,
        "VoiceUrl=&VoiceCallerIdLookup=true&FriendlyName=Mine",
    )
    .json();
    assert_eq!(
        (&voice["voice_url"], &voice["sms_url"], &voice["friendly_name"]),
        (&"".into(), &"https://a.example/sms".into(), &"Mine".into())
    );
    let listed = get(
        &simulator,
        &account_path(&simulator, "IncomingPhoneNumbers.json?FriendlyName=Mine"),
    );
    assert_eq!(listed.json()["incoming_phone_numbers"][0], voice);

    for (form, code) in [
        ("SmsUrl=http%3A%2F%2F127.0.0.1%2Fx", 21402),
        ("SmsUrl=nowhere", 21402),
        ("VoiceMethod=PUT", 21403),
        ("VoiceCallerIdLookup=perhaps", 20001),
    ] {
        assert_eq!(send(&simulator, "POST", &path, form).refusal(), (400, code));
    }
    assert_eq!(get(&simulator, &path).json(), voice);
    let other = account_path(
        &simulator,
        &format!("IncomingPhoneNumbers/PN{}.json", "0".repeat(32)),
    );
    assert_eq!(
        send(&simulator, "POST", &other, "SmsUrl=").refusal(),
        (404, 20404)
    );
}

#[test]
fn a_messaging_services_settings_are_used_where_the_request_and_the_number_leave_it_to_them() {
    let (simulator, receiver) = with_receiver();
    let service = simulator.assets().messaging_services[0].clone();
    let path = format!("/v1/Services/{service}");
    let form = "StatusCallback=https%3A%2F%2Fhooks.example.com%2Fservice";
    assert_eq!(
        send(&simulator, "POST", &path, form).json()["status_callback"],
        "https://hooks.example.com/service"
    );
    let messages = messages_path(&simulator, ".json");
    let to = format!("To=%2B14155550100&Body=x&MessagingServiceSid={service}");
    send(&simulator, "POST", &messages, &to);
    let own = format!("{to}&StatusCallback=https%3A%2F%2Fhooks.example.com%2Fown");
    send(&simulator, "POST", &messages, &own);
    simulator.advance(chrono::Duration::seconds(8));
    settled(&simulator);
    let targets: Vec<_> = receiver
        .received()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert!(targets.contains(&"/service".to_owned()) && targets.contains(&"/own".to_owned()));

    let inbound = InboundMessage {
        messaging_service_sid: Some(service.clone()),
        ..InboundMessage::default()
    };
    let form = "InboundRequestUrl=https%3A%2F%2Fhooks.example.com%2Fin&InboundMethod=GET\
                &UseInboundWebhookOnNumber=false";
    assert_eq!(send(&simulator, "POST", &path, form).status, 200);
    simulator.receive(&inbound);
    settled(&simulator);
    let request = receiver.received().pop().unwrap();
    assert_eq!(
        (request.method.as_str(), request.parameter("MessagingServiceSid")),
        ("GET", Some(service))
    );
    assert!(request.target.starts_with("/in?") && request.is_signed(&simulator));
}

#[test]
fn a_conversations_service_calls_its_webhook_for_the_events_of_its_filter() {
    let (simulator, receiver) = with_receiver();
    let services = simulator.assets().conversations_services;
    let path = format!("/v1/Services/{}/Configuration/Webhooks", services[0]);
    let before = get(&simulator, &path).json();
    assert_eq!(
        (&before["post_webhook_url"], &before["filters"], &before["method"]),
        (&Value::Null, &Value::Array(vec![]), &"POST".into())
    );
    let form = "PostWebhookUrl=https%3A%2F%2Fhooks.example.com%2Fconv&Filters=onMessageAdded\
                &Filters=onConversationAdded&Filters=onConversationRemoved&Filters=onParticipantAdded\
                &Filters=onParticipantRemoved";
    let after = send(&simulator, "POST", &path, form).json();
    assert_eq!(after["filters"].as_array().unwrap().len(), 5);
    assert_eq!(after["chat_service_sid"], services[0].as_str());
    assert_eq!(get(&simulator, &path).json(), after);

    let event = |name: &str| ConversationEvent {
        event_type: name.to_owned(),
        ..ConversationEvent::default()
    };
    for name in ["onMessageAdded", "onConversationAdded", "onParticipantRemoved"] {
        assert!(simulator.conversation_event(&event(name)));
    }
    assert!(!simulator.conversation_event(&event("onUserAdded")));
    let other = ConversationEvent {
        chat_service_sid: Some(services[1].clone()),
        ..event("onMessageAdded")
    };
    assert!(!simulator.conversation_event(&other));
    settled(&simulator);
    assert_eq!(receiver.received().len(), 3);
    let mut types = receiver.parameters("EventType");
    types.sort();
    assert_eq!(
        types,
        ["onConversationAdded", "onMessageAdded", "onParticipantRemoved"]
    );
    let message = receiver
        .received()
        .into_iter()
        .find(|request| request.parameter("EventType").as_deref() == Some("onMessageAdded"))
        .unwrap();
    assert!(message.is_signed(&simulator));
    assert!(message.parameter("MessageSid").unwrap().starts_with("IM"));
    assert_eq!(
        message.parameter("ChatServiceSid").as_deref(),
        Some(services[0].as_str())
    );
}

#[test]
fn the_accounts_conversations_webhook_is_the_last_resort() {
    let (simulator, receiver) = with_receiver();
    let path = "/v1/Configuration/Webhooks";
    let form = "PreWebhookUrl=https%3A%2F%2Fhooks.example.com%2Fpre&Filters=onMessageAdd&Method=GET";
    let configured = send(&simulator, "POST", path, form).json();
    assert_eq!(
        (&configured["target"], &configured["method"]),
        (&"webhook".into(), &"GET".into())
    );
    assert!(simulator.conversation_event(&ConversationEvent {
        event_type: "onMessageAdd".to_owned(),
        ..ConversationEvent::default()
    }));
    settled(&simulator);
    assert!(
        receiver.received()[0]
            .target
            .starts_with("/pre?EventType=onMessageAdd&")
    );
}

#[test]
fn conversations_are_found_by_host_and_need_their_permission() {
    let simulator = Simulator::start(SimConfig {
        restricted: vec![Permission::Conversations],
        ..frozen(0, 5)
    })
    .unwrap();
    let known = simulator.credentials();
    let master = Some((known.account_sid.as_str(), known.auth_token.as_str()));
    let at = |host: &str| exchange_as(&simulator.url(), host, "GET", "/v1/Services", master, "", "").json();
    assert!(
        at("conversations.twilio.com")["services"][0]["sid"]
            .as_str()
            .unwrap()
            .starts_with("IS")
    );
    assert!(
        at("messaging.twilio.com")["services"][0]["sid"]
            .as_str()
            .unwrap()
            .starts_with("MG")
    );
    let restricted = Some((
        known.restricted_key_sid.as_str(),
        known.restricted_key_secret.as_str(),
    ));
    let get = |path: &str| exchange(&simulator.url(), "GET", path, restricted, "", "");
    assert_eq!(get("/v1/Configuration/Webhooks").status, 200);
    assert_eq!(get("/v1/Sinks").refusal(), (403, 70051));
}
