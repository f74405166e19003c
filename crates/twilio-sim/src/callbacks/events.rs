//! Event Streams: events as CloudEvents, for the sinks that subscribe to their types.

use serde_json::{Value, json};

use crate::dates::iso8601;
use crate::shared::Shared;
use crate::webhooks::{Callback, EventType, Payload, Sink, WebhookKind, WebhookMethod};

/// Events in one request to a sink with `batch_events`.
const MOST_IN_BATCH: usize = 100;

/// An event before a sink gets it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    kind: EventType,
    /// The prefix of its id, which differs by product.
    prefix: &'static str,
    /// The path of the resource.
    source: String,
    at: i64,
    data: Value,
}

impl Event {
    /// Returns `None` for a type that Event Streams does not have.
    pub(super) fn new(name: &str, prefix: &'static str, source: &str, at: i64, data: Value) -> Option<Self> {
        Some(Self {
            kind: EventType::named(name)?,
            prefix,
            source: source.to_owned(),
            at,
            data,
        })
    }
}

/// Returns `2019-05-24T17:44:50.000Z`.
pub(super) fn time(at: i64) -> String {
    iso8601(at).replace('Z', ".000Z")
}

/// Hands events to the sender, for each sink that subscribes to them.
pub(super) fn send(shared: &Shared, account: &str, events: Vec<Event>) {
    let faults = shared.faults().webhooks;
    let mut streams = shared.streams();
    let mut for_sinks: Vec<(Sink, Vec<(String, Value)>)> = Vec::new();
    for event in events {
        let id = streams.new_sid(event.prefix, shared.seed);
        let name = event.kind.name;
        for (sink, version) in streams.sinks_for(account, name) {
            let envelope = envelope(&event, &id, version);
            let entry = (name.to_owned(), envelope);
            match for_sinks.iter_mut().find(|(known, _)| known.sid == sink.sid) {
                Some((_, entries)) => entries.push(entry),
                None => for_sinks.push((sink.clone(), vec![entry])),
            }
        }
    }
    drop(streams);
    for (sink, entries) in for_sinks {
        let most = if sink.batch_events { MOST_IN_BATCH } else { 1 };
        for batch in entries.chunks(most) {
            let bare = faults.bare_events && !sink.batch_events;
            let events: Vec<&Value> = batch.iter().map(|(_, event)| event).collect();
            let body = match events.as_slice() {
                [event] if bare => serde_json::to_vec(event),
                all => serde_json::to_vec(all),
            };
            let state = batch.first().map(|(name, _)| name.clone()).unwrap_or_default();
            let callback = to_sink(&sink, batch.first().map(|(_, event)| event), state, body);
            shared.sender.take(callback, &faults, None);
        }
    }
}

/// Sends the test event of a sink.
pub(crate) fn send_test(shared: &Shared, sink: &Sink, test_id: &str) {
    let event = json!({
        "specversion": "1.0",
        "type": "com.twilio.eventstreams.test-event",
        "source": sink.sid,
        // Twilio's test events have the account's SID as their id.
        "id": sink.account,
        "dataschema": "https://events-schemas.twilio.com/EventStreams.TestSink/1.json",
        "datacontenttype": "application/json",
        "time": time(shared.clock.seconds()),
        "data": {"test_id": test_id},
    });
    let body = serde_json::to_vec(&[&event]);
    let state = "com.twilio.eventstreams.test-event".to_owned();
    let callback = to_sink(sink, Some(&event), state, body);
    shared.sender.take(callback, &shared.faults().webhooks, None);
}

fn to_sink(
    sink: &Sink,
    first: Option<&Value>,
    state: String,
    body: Result<Vec<u8>, serde_json::Error>,
) -> Callback {
    let id = first.and_then(|event| event.get("id")).and_then(Value::as_str);
    Callback {
        kind: WebhookKind::Event,
        account: sink.account.clone(),
        subject: id.unwrap_or_default().to_owned(),
        state,
        url: sink.destination.clone(),
        method: WebhookMethod::of_setting(&sink.method),
        payload: Payload::Json(body.unwrap_or_default()),
        fallback: None,
        ordered: false,
        setting: None,
    }
}

fn envelope(event: &Event, id: &str, version: u32) -> Value {
    let EventType { name, schema, .. } = event.kind;
    let mut data = event.data.clone();
    if let Some(place) = data.get_mut("eventSid") {
        *place = Value::from(id);
    }
    json!({
        "specversion": "1.0",
        "type": name,
        "source": event.source,
        "id": id,
        "dataschema": format!("https://events-schemas.twilio.com/{schema}/{version}"),
        "datacontenttype": "application/json",
        "time": time(event.at),
        "data": data,
    })
}
