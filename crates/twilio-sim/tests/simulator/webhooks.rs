//! Webhooks of messages and calls: what they hold, their order and their signature.

use chrono::Duration;
use twilio_sim::{
    CustomWebhook, InboundMedia, InboundMessage, NewMessage, Patch, SimConfig, Simulator, Status,
    WebhookMethod, WebhookOutcome,
};

use crate::client::{account_path, frozen, get, messages_path, own_number, send, sid, truth};
use crate::receiver::{ORIGIN, Reply, configured, settled, wait_until, with_receiver};

const HOOK: &str = "https%3A%2F%2Fhooks.example.com%2Fstatus";

pub(crate) fn send_message(simulator: &Simulator, rest: &str) -> String {
    let form = format!("To=%2B14155550100&From={}&Body=x&{rest}", own_number(simulator));
    let response = send(simulator, "POST", &messages_path(simulator, ".json"), &form);
    assert_eq!(response.status, 201, "{}", response.text());
    sid(&response.json())
}

fn status_patch(status: Status) -> Patch {
    Patch {
        status: Some(status),
        ..Patch::default()
    }
}

#[test]
fn a_message_reports_each_status_after_the_first_in_order_and_signed() {
    let (simulator, receiver) = with_receiver();
    let sid = send_message(&simulator, &format!("StatusCallback={HOOK}"));
    assert!(settled(&simulator).is_empty());
    simulator.advance(Duration::days(30));
    let entries = settled(&simulator);
    let statuses = receiver.parameters("MessageStatus");
    assert_eq!(statuses[..2], ["sending", "sent"]);
    let last = simulator.message(&sid).unwrap()["status"].clone();
    assert_eq!(statuses.last().map(String::as_str), last.as_str());
    assert_eq!(entries.len(), statuses.len());
    for (entry, request) in entries.iter().zip(receiver.received()) {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/status")
        );
        assert!(request.is_signed(&simulator), "{request:?}");
        assert_eq!(request.header("host"), "hooks.example.com");
        assert_eq!(
            request.header("content-type"),
            "application/x-www-form-urlencoded; charset=UTF-8"
        );
        assert_eq!(
            request.header("i-twilio-idempotency-token"),
            entry.idempotency_token
        );
        assert_eq!(
            (entry.outcome, entry.status()),
            (WebhookOutcome::Delivered, Some(204))
        );
        assert_eq!((&entry.subject, &entry.body), (&sid, &request.body));
        for (name, value) in [
            ("MessageSid", sid.as_str()),
            ("SmsSid", sid.as_str()),
            ("AccountSid", simulator.credentials().account_sid.as_str()),
            ("From", simulator.assets().numbers[0].as_str()),
            ("To", "+14155550100"),
            ("ApiVersion", "2010-04-01"),
        ] {
            assert_eq!(request.parameter(name).as_deref(), Some(value));
        }
        assert_eq!(request.parameter("SmsStatus"), request.parameter("MessageStatus"));
        let done = ["delivered", "undelivered"].contains(&entry.state.as_str());
        assert_eq!(request.parameter("RawDlrDoneDate").is_some(), done);
        for unknown in ["Price", "Timestamp", "SequenceNumber", "Body"] {
            assert_eq!(request.parameter(unknown), None);
        }
    }
    let tokens: std::collections::HashSet<_> = entries.iter().map(|entry| &entry.idempotency_token).collect();
    assert_eq!(tokens.len(), entries.len());
}

#[test]
fn the_clock_sends_callbacks_without_help() {
    let (simulator, receiver) = configured(SimConfig {
        seed: 3,
        ..SimConfig::default()
    });
    let new = |to: &str| NewMessage {
        to: Some(to.to_owned()),
        status_callback: Some(format!("{ORIGIN}/status")),
        ..NewMessage::default()
    };
    simulator.insert(new("+14155550100"));
    wait_until("a callback came", || !receiver.received().is_empty());
    assert_eq!(receiver.parameters("MessageStatus")[0], "sending");
}

#[test]
fn a_changed_status_is_reported_at_once_and_only_if_it_is_new() {
    let (simulator, receiver) = with_receiver();
    let sid = send_message(&simulator, &format!("StatusCallback={HOOK}"));
    let failed = Patch {
        error_code: Some(Some(30007)),
        ..status_patch(Status::Undelivered)
    };
    assert!(simulator.patch(&sid, failed.clone()));
    assert!(simulator.patch(&sid, failed));
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["undelivered"]);
    assert_eq!(receiver.parameters("ErrorCode"), ["30007"]);
    assert_eq!(receiver.parameters("RawDlrDoneDate"), ["2611201200"]);
    // The status is fixed, so the clock changes nothing more.
    simulator.advance(Duration::days(30));
    assert_eq!(settled(&simulator).len(), 1);
    assert!(simulator.patch(&sid, status_patch(Status::Delivered)));
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["undelivered", "delivered"]);
}

#[test]
fn any_message_of_the_history_gets_a_callback_by_a_patch() {
    let (simulator, receiver) = configured(frozen(50, 5));
    let sid = truth(&simulator)
        .iter()
        .find(|message| message["status"] == "delivered" && message["to"].as_str().unwrap().starts_with('+'))
        .map(sid)
        .unwrap();
    let patch = Patch {
        status_callback: Some(format!("{ORIGIN}/status?a=1")),
        ..status_patch(Status::Undelivered)
    };
    assert!(simulator.patch(&sid, patch));
    settled(&simulator);
    let request = receiver.received().remove(0);
    assert_eq!(
        (request.target.as_str(), request.parameter("MessageSid")),
        ("/status?a=1", Some(sid))
    );
    assert!(request.is_signed(&simulator));
}

#[test]
fn a_canceled_schedule_and_a_read_channel_message_are_reported() {
    let (simulator, receiver) = with_receiver();
    let service = simulator.assets().messaging_services[0].clone();
    let form = format!(
        "To=%2B14155550100&Body=x&MessagingServiceSid={service}&StatusCallback={HOOK}\
         &ScheduleType=fixed&SendAt=2026-11-21T12:00:00Z"
    );
    let scheduled = sid(&send(&simulator, "POST", &messages_path(&simulator, ".json"), &form).json());
    let path = messages_path(&simulator, &format!("/{scheduled}.json"));
    assert_eq!(send(&simulator, "POST", &path, "Status=canceled").status, 200);
    settled(&simulator);
    assert_eq!(receiver.parameters("MessageStatus"), ["canceled"]);
    assert_eq!(receiver.parameters("MessagingServiceSid"), [service]);

    let whatsapp = simulator.insert(NewMessage {
        to: Some("whatsapp:+14155550100".to_owned()),
        from: Some("whatsapp:+14155550101".to_owned()),
        status_callback: Some(format!("{ORIGIN}/status")),
        ..NewMessage::default()
    });
    simulator.patch(&whatsapp, status_patch(Status::Read));
    settled(&simulator);
    let read = receiver.received().pop().unwrap();
    assert_eq!(read.parameter("EventType").as_deref(), Some("READ"));
    assert_eq!(read.parameter("ChannelPrefix").as_deref(), Some("whatsapp"));
    assert_eq!(read.parameter("RawDlrDoneDate"), None);
}

#[test]
fn a_subaccounts_callbacks_are_signed_with_its_own_token() {
    let (simulator, receiver) = with_receiver();
    let known = simulator.credentials();
    simulator.send_webhook(CustomWebhook {
        url: format!("{ORIGIN}/x"),
        parameters: vec![("a".to_owned(), "b".to_owned())],
        account_sid: Some(known.subaccount_sid),
        ..CustomWebhook::default()
    });
    settled(&simulator);
    assert!(!receiver.received()[0].is_signed(&simulator));
}

#[test]
fn a_get_callback_has_its_parameters_in_the_signed_query() {
    let (simulator, receiver) = with_receiver();
    simulator.send_webhook(CustomWebhook {
        url: format!("{ORIGIN}/x?k=v"),
        method: WebhookMethod::Get,
        parameters: vec![
            ("Body".to_owned(), "hi there & more".to_owned()),
            ("Empty".to_owned(), String::new()),
        ],
        ..CustomWebhook::default()
    });
    settled(&simulator);
    let request = receiver.received().remove(0);
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/x?k=v&Body=hi%20there%20%26%20more&Empty=")
    );
    assert!(request.is_signed(&simulator));
}

#[test]
fn a_call_reports_the_steps_that_were_asked_for_with_a_sequence() {
    let (simulator, receiver) = with_receiver();
    let form = format!(
        "To=%2B14155550100&From={}&Twiml=%3CResponse%2F%3E&StatusCallback={HOOK}",
        own_number(&simulator)
    );
    let path = account_path(&simulator, "Calls.json");
    let all = "&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing&StatusCallbackEvent=answered\
               &StatusCallbackEvent=completed";
    let call = send(&simulator, "POST", &path, &format!("{form}{all}")).json();
    simulator.advance(Duration::minutes(10));
    settled(&simulator);
    assert_eq!(
        receiver.parameters("CallStatus"),
        ["initiated", "ringing", "in-progress", "completed"]
    );
    assert_eq!(receiver.parameters("SequenceNumber"), ["0", "1", "2", "3"]);
    let shown = get(
        &simulator,
        &account_path(&simulator, &format!("Calls/{}.json", sid(&call))),
    )
    .json();
    let last = receiver.received().pop().unwrap();
    assert_eq!(
        last.parameter("CallDuration").as_deref(),
        shown["duration"].as_str()
    );
    assert_eq!(last.parameter("Timestamp").as_deref(), shown["end_time"].as_str());
    assert_eq!(
        last.parameter("CallbackSource").as_deref(),
        Some("call-progress-events")
    );
    assert_eq!(last.parameter("Direction").as_deref(), Some("outbound-api"));
    assert!(last.parameter("ToZip").is_some() && last.is_signed(&simulator));
    assert_eq!(receiver.received()[0].parameter("CallDuration"), None);

    let busy = send(&simulator, "POST", &path, &form).json();
    assert!(simulator.end_call(&sid(&busy), "busy"));
    assert!(!simulator.end_call("CA0", "busy"));
    settled(&simulator);
    let last = receiver.received().pop().unwrap();
    assert_eq!(
        (last.parameter("CallStatus"), last.parameter("SequenceNumber")),
        (Some("busy".to_owned()), Some("0".to_owned()))
    );
    assert_eq!(
        send(
            &simulator,
            "POST",
            &path,
            &format!("{form}&StatusCallbackEvent=moved")
        )
        .refusal(),
        (400, 21626)
    );
}

#[test]
fn an_inbound_message_calls_the_numbers_url_and_is_in_the_list() {
    let (simulator, receiver) = with_receiver();
    let number = simulator.assets().numbers[2].clone();
    let listed = get(
        &simulator,
        &account_path(&simulator, "IncomingPhoneNumbers.json?PageSize=100"),
    )
    .json();
    let number_sid = listed["incoming_phone_numbers"][2]["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = account_path(&simulator, &format!("IncomingPhoneNumbers/{number_sid}.json"));
    let form = "SmsUrl=https%3A%2F%2Fhooks.example.com%2Fin&SmsFallbackUrl=https%3A%2F%2Fhooks.example.com%2Fback\
                &SmsFallbackMethod=GET";
    assert_eq!(send(&simulator, "POST", &path, form).status, 200);
    let inbound = InboundMessage {
        from: Some("+14155550100".to_owned()),
        to: Some(number.clone()),
        body: Some("Grüße 👋 a&b=c+d %20 ".to_owned()),
        media: vec![InboundMedia {
            url: "https://api.twilio.com/m".to_owned(),
            content_type: "image/png".to_owned(),
        }],
        parameters: vec![("OptOutType".to_owned(), "STOP".to_owned())],
        ..InboundMessage::default()
    };
    let sid = simulator.receive(&inbound);
    settled(&simulator);
    let request = receiver.received().remove(0);
    assert!(request.is_signed(&simulator));
    for (name, value) in [
        ("MessageSid", sid.as_str()),
        ("SmsMessageSid", sid.as_str()),
        ("SmsSid", sid.as_str()),
        ("Body", "Grüße 👋 a&b=c+d %20 "),
        ("SmsStatus", "received"),
        ("NumMedia", "1"),
        ("NumSegments", "1"),
        ("MediaUrl0", "https://api.twilio.com/m"),
        ("MediaContentType0", "image/png"),
        ("OptOutType", "STOP"),
        ("FromCity", "SAN FRANCISCO"),
        ("To", number.as_str()),
    ] {
        assert_eq!(request.parameter(name).as_deref(), Some(value), "{name}");
    }
    let row = simulator.message(&sid).unwrap();
    assert_eq!(
        (&row["direction"], &row["from"]),
        (&"inbound".into(), &"+14155550100".into())
    );

    receiver.reply_with([Reply::status(500)]);
    simulator.receive(&inbound);
    settled(&simulator);
    let fallback = receiver.received().pop().unwrap();
    assert_eq!(
        (fallback.method.as_str(), fallback.target.get(..6)),
        ("GET", Some("/back?"))
    );
    assert_eq!(
        fallback.parameter("ErrorUrl").as_deref(),
        Some("https://hooks.example.com/in")
    );
    assert!(fallback.is_signed(&simulator));
}
