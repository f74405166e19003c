//! Status callbacks of messages.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::callbacks::events::{self, Event};
use crate::message::{Message, Status};
use crate::shared::Shared;
use crate::sid::fixed;
use crate::watches::StatusChange;
use crate::webhooks::{Callback, Form, WebhookKind};

/// Hands the webhooks of changes to the sender.
pub(super) fn report(shared: &Shared, account: &str, changes: &[StatusChange]) {
    let faults = shared.faults().webhooks;
    for change in changes {
        if let Some(url) = &change.status_callback {
            let callback = status_callback(shared.seed, account, change, url);
            shared.sender.take(callback, &faults, None);
        }
    }
    if shared.streams().has_subscription(account) {
        let events = changes.iter().filter_map(event).collect();
        events::send(shared, account, events);
    }
}

fn status_callback(seed: u64, account: &str, change: &StatusChange, url: &str) -> Callback {
    let message = &change.message;
    let status = message.status.as_str();
    let mut form = Form::default()
        .add("AccountSid", account)
        .add_some("From", message.from.as_deref())
        .add_some("To", message.to.as_deref())
        .add("MessageSid", &message.sid)
        .add("MessageStatus", status)
        .add("SmsSid", &message.sid)
        .add("SmsStatus", status)
        .add("ApiVersion", &message.api_version)
        .add_some("MessagingServiceSid", message.messaging_service_sid.as_deref());
    if matches!(message.status, Status::Failed | Status::Undelivered) {
        form = form.add_some("ErrorCode", message.error_code.map(|code| code.to_string()));
    }
    if is_whatsapp(message) {
        form = form
            .add("ChannelInstallSid", fixed("XE", seed, 400))
            .add("ChannelPrefix", "whatsapp");
        form = match message.status {
            Status::Read => form.add("EventType", "READ"),
            Status::Failed | Status::Undelivered => {
                form.add_some("ChannelStatusMessage", message.error_message.as_deref())
            }
            _ => form,
        };
    } else {
        form = form.add_some("RawDlrDoneDate", done_date(message.status, change.at));
    }
    Callback::form(
        WebhookKind::MessageStatus,
        account,
        &message.sid,
        status,
        url,
        form.parameters(),
    )
}

/// Returns the event of a change; there is none for `sending` and other statuses in between.
fn event(change: &StatusChange) -> Option<Event> {
    let message = &change.message;
    let status = message.status.as_str();
    let name = format!("com.twilio.messaging.message.{status}");
    let mut data = Map::new();
    let mut add = |name: &str, value: Value| data.insert(name.to_owned(), value);
    add("messageSid", json!(message.sid));
    add("timestamp", json!(events::time(change.at)));
    add("accountSid", json!(message.account_sid));
    add("eventName", json!(name));
    add("apiVersion", json!(message.api_version));
    add("from", json!(message.from));
    add("to", json!(message.to));
    add("messageStatus", json!(status.to_ascii_uppercase()));
    let segments = message
        .num_segments
        .as_deref()
        .and_then(|text| text.parse::<u32>().ok());
    add("numberOfSegments", json!(segments));
    add("tags", json!({}));
    let service = message.messaging_service_sid.as_deref().map(Value::from);
    let error = message.error_code.map(Value::from);
    let url = change.status_callback.as_deref().map(Value::from);
    let done = done_date(message.status, change.at)
        .filter(|_| !is_whatsapp(message))
        .map(Value::from);
    for (name, value) in [
        ("messagingServiceSid", service),
        ("errorCode", error),
        ("statusCallBackUrl", url),
        ("rawDlrDoneDate", done),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    Event::new(&name, "EZ", &message.uri, change.at, Value::Object(data))
}

/// Returns the time of the carrier's receipt as it writes it: `YYMMDDhhmm`.
fn done_date(status: Status, at: i64) -> Option<String> {
    matches!(status, Status::Delivered | Status::Undelivered)
        .then(|| DateTime::from_timestamp(at, 0))
        .flatten()
        .map(|at| at.format("%y%m%d%H%M").to_string())
}

fn is_whatsapp(message: &Message) -> bool {
    message
        .to
        .as_deref()
        .is_some_and(|to| to.starts_with("whatsapp:"))
}
