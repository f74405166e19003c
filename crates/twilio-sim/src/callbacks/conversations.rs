//! Webhooks of Conversations, which has no resources here: a test says what happens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::callbacks::events::{self, Event};
use crate::conversations::{account_webhooks, service_webhooks, services};
use crate::numbers;
use crate::shared::Shared;
use crate::sid::fixed;
use crate::webhooks::{Callback, Form, WebhookKind, WebhookMethod};

/// Something that happens in a conversation of the main account. Absent fields are generated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConversationEvent {
    /// `onMessageAdded`, `onConversationAdded`, `onConversationRemoved`, `onParticipantAdded`, `onParticipantRemoved`; or the name
    /// of another event of Conversations, for its webhook alone.
    pub event_type: String,
    /// `IS…`; the first service when absent.
    pub chat_service_sid: Option<String>,
    /// `CH…`.
    pub conversation_sid: Option<String>,
    /// `IM…` of a message, `MB…` of a participant.
    pub resource_sid: Option<String>,
    /// The text of a message.
    pub body: Option<String>,
    /// Who wrote a message, or who a participant is.
    pub author: Option<String>,
    /// More parameters of the webhook.
    pub parameters: Vec<(String, String)>,
}

/// Hands the webhook of an event to the sender, if the service or the account has one for it. Returns whether it has.
pub(crate) fn announce(shared: &Shared, event: &ConversationEvent) -> bool {
    let account = shared.credentials.account_sid.clone();
    let number = shared.next_number();
    let [first, _] = services(shared, &account);
    let service = event.chat_service_sid.clone().unwrap_or(first);
    let generated = |prefix: &str, given: &Option<String>, subject: u64| {
        given
            .clone()
            .unwrap_or_else(|| fixed(prefix, shared.seed, 3_000_000 + number * 4 + subject))
    };
    let conversation = generated("CH", &event.conversation_sid, 0);
    let subject = event.event_type.trim_start_matches("on");
    let is_message = subject.starts_with("Message");
    let prefix = if is_message { "IM" } else { "MB" };
    let resource = generated(prefix, &event.resource_sid, 1);
    let now = shared.clock.seconds();
    let mut form = Form::default()
        .add("EventType", &event.event_type)
        .add("AccountSid", &account)
        .add("ChatServiceSid", &service)
        .add("ConversationSid", &conversation)
        .add("Attributes", "{}")
        .add("DateCreated", events::time(now))
        .add("Source", "SDK")
        .add("RetryCount", "0");
    if is_message {
        form = form
            .add("MessageSid", &resource)
            .add("Index", "0")
            .add("Author", event.author.as_deref().unwrap_or("sim"))
            .add("ClientIdentity", event.author.as_deref().unwrap_or("sim"))
            .add("ParticipantSid", generated("MB", &None, 2))
            .add("Body", event.body.as_deref().unwrap_or("Hello"));
    } else if subject.starts_with("Participant") {
        form = form
            .add("ParticipantSid", &resource)
            .add("Identity", event.author.as_deref().unwrap_or("sim"));
    } else {
        form = form
            .add("FriendlyName", "Simulated conversation")
            .add("UniqueName", "")
            .add("State", "active");
    }
    let mut parameters = form.parameters();
    parameters.extend(event.parameters.iter().cloned());

    if shared.streams().has_subscription(&account) {
        let streamed = streamed(event, &parameters, &conversation, now);
        events::send(shared, &account, streamed.into_iter().collect());
    }
    let configured = [
        service_webhooks(shared, "", &account, &service),
        account_webhooks(shared, "", &account),
    ];
    let Some((url, method)) = configured.iter().find_map(|one| target(one, &event.event_type)) else {
        return false;
    };
    let callback = Callback::form(
        WebhookKind::Conversation,
        &account,
        &conversation,
        &event.event_type,
        &url,
        parameters,
    );
    let faults = shared.faults().webhooks;
    shared.sender.take(Callback { method, ..callback }, &faults, None);
    true
}

/// Returns the webhook of a configuration for this event. Events that ask before they happen go to the other URL.
fn target(configuration: &Value, event_type: &str) -> Option<(String, WebhookMethod)> {
    let filters = configuration.get("filters").and_then(Value::as_array)?;
    if !filters.iter().any(|filter| filter.as_str() == Some(event_type)) {
        return None;
    }
    let url = if event_type.ends_with("ed") {
        "post_webhook_url"
    } else {
        "pre_webhook_url"
    };
    let method = numbers::text(configuration, "method").unwrap_or_default();
    Some((
        numbers::text(configuration, url)?,
        WebhookMethod::of_setting(&method),
    ))
}

/// Returns the event for Event Streams: the webhook's parameters, with another name for the text.
fn streamed(
    event: &ConversationEvent,
    parameters: &[(String, String)],
    conversation: &str,
    now: i64,
) -> Option<Event> {
    let name = match event.event_type.as_str() {
        "onMessageAdded" => "com.twilio.conversations.message.added",
        "onConversationAdded" => "com.twilio.conversations.conversation.added",
        "onConversationRemoved" => "com.twilio.conversations.conversation.removed",
        "onParticipantAdded" => "com.twilio.conversations.participant.added",
        "onParticipantRemoved" => "com.twilio.conversations.participant.removed",
        _ => return None,
    };
    let mut data = json!({"EventType": event.event_type, "Media": []});
    if let Value::Object(fields) = &mut data {
        for (name, value) in parameters {
            let name = if name == "Body" { "MessageBody" } else { name };
            fields.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    Event::new(
        name,
        "EZ",
        &format!("/v1/Conversations/{conversation}"),
        now,
        data,
    )
}
