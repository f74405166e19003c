//! Inbound messages: the row in the list, and the webhook to the number or to the Messaging Service.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::callbacks::events::{self, Event};
use crate::change::NewMessage;
use crate::message::{Direction, Message};
use crate::numbers;
use crate::phone::Phone;
use crate::shared::Shared;
use crate::webhooks::{Callback, Form, WebhookKind, WebhookMethod};

/// A message that someone sends to one of the main account's numbers. Absent fields are generated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InboundMessage {
    /// The sender: a number, or a channel address such as `whatsapp:+14155550100`.
    pub from: Option<String>,
    /// One of the account's numbers, with the prefix of the channel if any.
    pub to: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// Attached files.
    pub media: Vec<InboundMedia>,
    /// The Messaging Service that the number belongs to.
    pub messaging_service_sid: Option<String>,
    /// More parameters of the webhook, such as `OptOutType` or `ProfileName`. They replace those with the same name.
    pub parameters: Vec<(String, String)>,
}

/// A file in an inbound message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundMedia {
    /// Where the file can be read.
    pub url: String,
    /// Such as `image/jpeg`.
    pub content_type: String,
}

/// Where an inbound message is reported.
struct Target {
    url: String,
    method: WebhookMethod,
    fallback: Option<(String, WebhookMethod)>,
}

/// Stores an inbound message of the main account, hands its webhook to the sender, and returns its SID.
pub(crate) fn receive(shared: &Shared, inbound: &InboundMessage) -> String {
    let account = shared.credentials.account_sid.clone();
    let message = {
        let (mut store, now) = shared.write_main();
        let rank = store.insert(
            NewMessage {
                from: inbound.from.clone(),
                to: inbound.to.clone(),
                body: Some(inbound.body.clone().unwrap_or_else(|| "Hello".to_owned())),
                direction: Direction::Inbound,
                messaging_service_sid: inbound.messaging_service_sid.clone(),
                num_media: u32::try_from(inbound.media.len()).unwrap_or(u32::MAX),
                ..NewMessage::default()
            },
            now,
        );
        store.row_of_rank(rank, now).map(|row| row.to_message())
    };
    let Some(message) = message else {
        return String::new();
    };
    let parameters = parameters(&account, &message, inbound);
    if shared.streams().has_subscription(&account) {
        events::send(shared, &account, event(shared, &message).into_iter().collect());
    }
    if let Some(target) = target(shared, &account, &message) {
        let callback = Callback::form(
            WebhookKind::InboundMessage,
            &account,
            &message.sid,
            "received",
            &target.url,
            parameters,
        );
        let callback = Callback {
            method: target.method,
            fallback: target.fallback,
            ..callback
        };
        shared.sender.take(callback, &shared.faults().webhooks, None);
    }
    message.sid
}

/// Returns the webhook of the service, unless it leaves that to the number, or of the number.
fn target(shared: &Shared, account: &str, message: &Message) -> Option<Target> {
    let own = |resource: &Value, names: [&str; 4]| {
        let method = |name| {
            let text = numbers::text(resource, name);
            text.map_or_else(WebhookMethod::default, |text| WebhookMethod::of_setting(&text))
        };
        let [url, url_method, fallback, fallback_method] = names;
        Some(Target {
            url: numbers::text(resource, url)?,
            method: method(url_method),
            fallback: numbers::text(resource, fallback).map(|url| (url, method(fallback_method))),
        })
    };
    if let Some(service) = &message.messaging_service_sid {
        let services = numbers::services(shared, account);
        let index = services.iter().position(|sid| sid == service)?;
        let resource = numbers::service(shared, "", account, index, service);
        if resource.get("use_inbound_webhook_on_number") == Some(&Value::Bool(false)) {
            let names = [
                "inbound_request_url",
                "inbound_method",
                "fallback_url",
                "fallback_method",
            ];
            return own(&resource, names);
        }
    }
    let to = message.to.as_deref().unwrap_or_default();
    let number = to.split_once(':').map_or(to, |(_, number)| number);
    let resource = numbers::with_number(shared, account, number)?;
    own(
        &resource,
        ["sms_url", "sms_method", "sms_fallback_url", "sms_fallback_method"],
    )
}

fn parameters(account: &str, message: &Message, inbound: &InboundMessage) -> Vec<(String, String)> {
    let (from, to) = (
        message.from.as_deref().unwrap_or_default(),
        message.to.as_deref().unwrap_or_default(),
    );
    let mut form = Form::default();
    for (side, number) in [("To", to), ("From", from)] {
        for (part, value) in geography(number) {
            form = form.add(&format!("{side}{part}"), value);
        }
    }
    form = form
        .add("SmsMessageSid", &message.sid)
        .add("NumMedia", message.num_media.as_deref().unwrap_or("0"))
        .add("SmsSid", &message.sid)
        .add("SmsStatus", "received")
        .add("Body", message.body.as_deref().unwrap_or_default())
        .add("To", to)
        .add_some("MessagingServiceSid", message.messaging_service_sid.as_deref())
        .add("NumSegments", message.num_segments.as_deref().unwrap_or("1"))
        .add("MessageSid", &message.sid)
        .add("AccountSid", account)
        .add("From", from)
        .add("ApiVersion", &message.api_version);
    for (index, media) in inbound.media.iter().enumerate() {
        form = form
            .add(&format!("MediaUrl{index}"), &media.url)
            .add(&format!("MediaContentType{index}"), &media.content_type);
    }
    if let Some(number) = from.strip_prefix("whatsapp:+") {
        form = form
            .add("ProfileName", "Sim")
            .add("WaId", number)
            .add("MessageType", "text");
    }
    let mut parameters = form.parameters();
    parameters.retain(|(name, _)| !inbound.parameters.iter().any(|(own, _)| own == name));
    parameters.extend(inbound.parameters.iter().cloned());
    parameters
}

fn event(shared: &Shared, message: &Message) -> Option<Event> {
    let name = "com.twilio.messaging.inbound-message.received";
    let now = shared.clock.seconds();
    let count = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u32>().ok());
    let mut data: Map<String, Value> = Map::new();
    for (name, value) in [
        ("messageSid", json!(message.sid)),
        ("timestamp", json!(events::time(now))),
        ("accountSid", json!(message.account_sid)),
        ("eventName", json!(name)),
        ("from", json!(message.from)),
        ("to", json!(message.to)),
        ("numMedia", json!(count(&message.num_media))),
        ("numSegments", json!(count(&message.num_segments))),
        ("body", json!(message.body)),
        ("recipients", json!([])),
    ] {
        data.insert(name.to_owned(), value);
    }
    for (side, number) in [("to", &message.to), ("from", &message.from)] {
        for (part, value) in geography(number.as_deref().unwrap_or_default()) {
            data.insert(format!("{side}{part}"), Value::from(value));
        }
    }
    if let Some(service) = &message.messaging_service_sid {
        data.insert("messagingServiceSid".to_owned(), Value::from(service.as_str()));
    }
    Event::new(name, "EZ", &message.uri, now, Value::Object(data))
}

/// Returns city, state, postal code and country of a number. Twilio knows them only in North America, and often leaves some empty.
pub(super) fn geography(number: &str) -> [(&'static str, String); 4] {
    let bare = number.split_once(':').map_or(number, |(_, number)| number);
    let country = Phone::parse(bare, None).map_or("", |phone| phone.iso);
    let (city, state, zip) = match (country, bare.bytes().last()) {
        ("US" | "CA", Some(b'0' | b'4' | b'8')) => ("SAN FRANCISCO", "CA", "94105"),
        ("US" | "CA", Some(b'1' | b'5' | b'9')) => ("NEW YORK", "NY", "10004"),
        ("US" | "CA", _) => ("", "WA", ""),
        _ => ("", "", ""),
    };
    [
        ("City", city.to_owned()),
        ("State", state.to_owned()),
        ("Zip", zip.to_owned()),
        ("Country", country.to_owned()),
    ]
}
