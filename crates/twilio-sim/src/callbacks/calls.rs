//! Status callbacks of calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::callbacks::events::{self, Event};
use crate::callbacks::inbound::geography;
use crate::calls::{CallChange, CallEvent};
use crate::dates::rfc2822;
use crate::shared::Shared;
use crate::webhooks::{Callback, Form, WebhookKind};

/// Hands the webhooks of changes to the sender.
pub(super) fn report(shared: &Shared, changes: &[CallChange]) {
    if changes.is_empty() {
        return;
    }
    let faults = shared.faults().webhooks;
    for change in changes {
        let parameters = parameters(change);
        let account = &change.call.account;
        if shared.streams().has_subscription(account) {
            events::send(shared, account, event(change, &parameters).into_iter().collect());
        }
        let callback = Callback::form(
            WebhookKind::CallStatus,
            account,
            &change.call.sid,
            change.status.as_str(),
            &change.callback.url,
            parameters,
        );
        let method = change.callback.method;
        shared.sender.take(Callback { method, ..callback }, &faults, None);
    }
}

fn parameters(change: &CallChange) -> Vec<(String, String)> {
    let call = &change.call;
    let mut form = Form::default()
        .add("CallSid", &call.sid)
        .add("AccountSid", &call.account)
        .add("From", &call.from)
        .add("To", &call.to)
        .add("Caller", &call.from)
        .add("Called", &call.to)
        .add("CallStatus", change.status.as_str())
        .add("Direction", "outbound-api")
        .add("ApiVersion", "2010-04-01")
        .add("CallbackSource", "call-progress-events")
        .add("SequenceNumber", change.sequence.to_string())
        .add("Timestamp", rfc2822(change.at));
    for (side, number) in [
        ("Caller", &call.from),
        ("From", &call.from),
        ("Called", &call.to),
        ("To", &call.to),
    ] {
        for (part, value) in geography(number) {
            form = form.add(&format!("{side}{part}"), value);
        }
    }
    if change.event == CallEvent::Completed {
        let seconds = call.at(change.at).duration().unwrap_or(0);
        form = form
            .add("CallDuration", seconds.to_string())
            .add("Duration", ((seconds + 59) / 60).to_string());
    }
    form.parameters()
}

/// Returns the event of a step. It describes the webhook, whose response is taken to be empty.
fn event(change: &CallChange, parameters: &[(String, String)]) -> Option<Event> {
    let (account, sid) = (&change.call.account, &change.call.sid);
    let sent: Map<String, Value> = parameters
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let name = format!("com.twilio.voice.status-callback.call.{}", change.event.as_str());
    let data = json!({
        "sid": sid,
        "requestDateCreated": rfc2822(change.at),
        "timestamp": events::time(change.at),
        "eventSid": "",
        "request": {
            "method": change.callback.method.as_str(),
            "url": change.callback.url,
            "parameters": sent,
        },
        "response": {
            "responseCode": 200,
            "requestDuration": 140,
            "contentType": "application/xml;charset=UTF-8",
            "responseBody": STANDARD.encode("<Response/>"),
            "dateCreated": rfc2822(change.at),
        },
    });
    let source = format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json");
    Event::new(&name, "VW", &source, change.at, data)
}
