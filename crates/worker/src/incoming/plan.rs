//! What a stored event means for rows, by the rules of the provider's file.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{
    IncomingEvent, IncomingRequest, Parse, Record, SyncName, TableName, Value, Variant, parse_timestamp,
    stored_key,
};
use gateway::events::ProviderEvent;
use gateway::{Gateway, ModelTable};
use indexmap::IndexMap;
use registry::webhooks::{Effect, EventField, EventRule, NewerBy};
use registry::{Provider, Template};
use serde_json::Value as Json;
use signature::{Event, Headers, Message, Request};

/// A change of one row.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The provider's key of the row.
    pub(crate) key: String,
    /// What the event says of it.
    pub(crate) content: Content,
    /// What decides whether the event is older than the row.
    pub(crate) age: Age,
    /// Whether the row is read again by key afterwards.
    pub(crate) reread: bool,
}

impl Change {
    /// Returns the key under which the row is stored.
    pub(crate) fn stored_key(&self) -> String {
        stored_key(&self.key).into_owned()
    }

    /// Whether a row with these values has all that the event says of it.
    pub(crate) fn is_stored(&self, values: &[Value]) -> bool {
        match &self.content {
            Content::Record(record, _) => record.values == values,
            Content::Fields(fields) => fields
                .iter()
                .all(|(index, value)| values.get(*index) == Some(value)),
            Content::Key | Content::Deleted => true,
        }
    }
}

/// What an event says of a row.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The whole record; these columns keep their values if it has none.
    Record(Record, Vec<usize>),
    /// The values of some columns.
    Fields(Vec<(usize, Value)>),
    /// Nothing but its key.
    Key,
    /// That it was deleted.
    Deleted,
}

/// What decides whether an event is older than a row.
#[derive(Debug, Clone)]
pub(crate) enum Age {
    /// By the value of a column.
    Column(usize, Value),
    /// By the rank of a state: the column, the event's rank, and all states.
    Rank(usize, Option<usize>, NewerBy),
    /// By the time of the event, in microseconds.
    Time(i64),
    /// By the number of the event.
    Sequence(i64),
    /// Not at all.
    Unknown,
}

/// What an event means.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The changes of rows, by sync.
    pub(crate) changes: Vec<(SyncName, Change)>,
    /// Syncs that are due at once.
    pub(crate) runs: Vec<SyncName>,
    /// The event for the app.
    pub(crate) forward: Forward,
    /// Why a part of it cannot be used.
    pub(crate) error: Option<String>,
}

/// What the app gets of an event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forward {
    pub(crate) kind: Option<String>,
    pub(crate) payload: Json,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Forward {
    /// Returns the event for the app. Its type is the one that was read when the event arrived, if the file has none now.
    pub(crate) fn as_event(&self, event: &IncomingEvent) -> ProviderEvent {
        ProviderEvent {
            kind: self.kind.clone().or_else(|| event.event_type.clone()),
            payload: self.payload.clone(),
            headers: self.headers.clone(),
        }
    }
}

/// Returns what the app gets of a request, whatever it means.
pub(crate) fn forward(request: &IncomingRequest) -> Forward {
    with_message(request, |message| {
        let text = || String::from_utf8_lossy(message.request().body).into_owned();
        Forward {
            kind: None,
            payload: message.json().cloned().unwrap_or_else(|| Json::String(text())),
            headers: request.headers.clone(),
        }
    })
}

/// Calls `read` with the stored request as the provider sent it.
pub(crate) fn with_message<T>(request: &IncomingRequest, read: impl FnOnce(&Message<'_>) -> T) -> T {
    let headers = request.headers.iter();
    let headers = Headers::new(headers.map(|(name, value)| (name.as_str(), value.as_bytes())));
    let message = Message::new(Request {
        method: &request.method,
        url: &request.url,
        headers: &headers,
        body: request.body.as_deref().unwrap_or_default(),
    });
    read(&message)
}

/// Returns what an event means. `tables` has the tables of the syncs that the file's rules name.
pub(crate) fn plan(provider: &Provider, tables: &Tables, request: &IncomingRequest) -> Plan {
    let mut plan = Plan::default();
    let Some(webhooks) = &provider.webhooks else {
        plan.error = Some("the provider's file describes no webhooks any more".to_owned());
        return plan;
    };
    plan.forward = forward(request);
    with_message(request, |message| {
        for event in message.events(webhooks) {
            let kind = webhooks.kind.as_ref().and_then(|kind| event.text(kind));
            for rule in webhooks.rules(kind.as_deref().unwrap_or_default()) {
                if matches!(rule.effect, Effect::Run) {
                    plan.runs.push(rule.sync.clone());
                    continue;
                }
                let planned = match tables.get(&rule.sync) {
                    Some(table) => change(rule, table, &event),
                    None => Err(format!("the provider's file has no sync {} any more", rule.sync)),
                };
                match planned {
                    Ok(change) => plan.changes.push((rule.sync.clone(), change)),
                    Err(error) => plan.error = Some(error),
                }
            }
            plan.forward.kind = plan.forward.kind.take().or(kind);
        }
    });
    plan
}

fn change(rule: &EventRule, table: &ModelTable, event: &Event<'_>) -> Result<Change, String> {
    let key = |template: &Template| {
        event
            .text(template)
            // As in a record: PostgreSQL stores no NUL.
            .map(|key| key.replace('\0', "\u{fffd}"))
            .ok_or_else(|| "the event has no key".to_owned())
    };
    let (key, content, reread) = match &rule.effect {
        Effect::Record { path, fields, reread } => {
            let json = event.find(path).ok_or_else(|| no_record(path))?;
            let mut record = table.reader.read(json).map_err(|error| error.to_string())?;
            let fields = values(fields, table, event);
            if !fields.is_empty() {
                set(&mut record.values, fields);
                let made = table.reader.record_of(record.values, record.extra);
                record = made.map_err(|error| error.to_string())?;
            }
            let columns = &table.model.columns;
            let keep = rule.keep.iter().filter_map(|name| columns.get_index_of(name));
            let key = record.long_key.clone().unwrap_or_else(|| record.key.clone());
            (key, Content::Record(record, keep.collect()), *reread)
        }
        Effect::Fields {
            key: template,
            fields,
            reread,
        } => {
            let fields = values(fields, table, event);
            (key(template)?, Content::Fields(fields), *reread)
        }
        Effect::Reread { key: template } => (key(template)?, Content::Key, true),
        Effect::Delete { key: template } => (key(template)?, Content::Deleted, false),
        Effect::Run => return Err("the event names no row".to_owned()),
    };
    let age = age(rule, table, &content, event);
    Ok(Change {
        key,
        content,
        age,
        reread,
    })
}

fn no_record(path: &[String]) -> String {
    format!("the event has no record at {:?}", path.join("."))
}

/// Sets columns to values.
pub(crate) fn set(values: &mut [Value], fields: impl IntoIterator<Item = (usize, Value)>) {
    for (index, value) in fields {
        if let Some(slot) = values.get_mut(index) {
            *slot = value;
        }
    }
}

/// Returns the values that an event has for columns. One that does not fit its column is left out, as if it were missing.
fn values(
    fields: &IndexMap<TableName, EventField>,
    table: &ModelTable,
    event: &Event<'_>,
) -> Vec<(usize, Value)> {
    let value = |(name, field): (&TableName, &EventField)| {
        let column = table.model.columns.get_index_of(name)?;
        let value = match field {
            EventField::Fixed(text) => table.reader.fit(column, &Json::String(text.clone()), None),
            EventField::At {
                path,
                lowercase,
                parse,
            } => match event.find(path)? {
                Json::String(text) if *lowercase => {
                    table
                        .reader
                        .fit(column, &Json::String(text.to_lowercase()), *parse)
                }
                json => table.reader.fit(column, json, *parse),
            },
        };
        value
            .ok()
            .filter(|value| *value != Value::Null)
            .map(|value| (column, value))
    };
    fields.iter().filter_map(value).collect()
}

fn age(rule: &EventRule, table: &ModelTable, content: &Content, event: &Event<'_>) -> Age {
    let column = |name: &TableName| {
        let column = table.model.columns.get_index_of(name)?;
        let value = match content {
            Content::Record(record, _) => record.values.get(column).cloned(),
            Content::Fields(fields) => {
                let mut found = fields.iter().filter(|(index, _)| *index == column);
                found.next().map(|(_, value)| value.clone())
            }
            Content::Key | Content::Deleted => None,
        };
        Some((column, value.unwrap_or(Value::Null)))
    };
    let known = match &rule.newer_by {
        None => None,
        Some(NewerBy::Column(name)) => column(name).map(|(column, value)| Age::Column(column, value)),
        Some(newer @ NewerBy::Rank { column: name, .. }) => column(name).map(|(column, value)| {
            let rank = match &value {
                Value::Text(state) => newer.rank(state),
                _ => None,
            };
            Age::Rank(column, rank, newer.clone())
        }),
        Some(NewerBy::Time { value, parse }) => event
            .text(value)
            .and_then(|text| parsed(&text, *parse))
            .map(Age::Time),
        Some(NewerBy::Sequence(value)) => event
            .text(value)
            .and_then(|text| text.parse().ok())
            .map(Age::Sequence),
    };
    known.unwrap_or(Age::Unknown)
}

fn parsed(text: &str, parse: Parse) -> Option<i64> {
    parse_timestamp(text, parse).map(domain::Timestamp::as_micros)
}

/// The tables of the syncs that the rules of a provider's file name.
pub(crate) type Tables = BTreeMap<SyncName, Arc<ModelTable>>;

/// Returns those tables.
pub(crate) async fn tables(gateway: &Gateway, provider: &Provider) -> Result<Tables, gateway::GatewayError> {
    let mut tables = Tables::new();
    let rules = provider.webhooks.iter().flat_map(|webhooks| &webhooks.events);
    for rule in rules.flat_map(|(_, rules)| rules) {
        if let Some(table) = gateway
            .table(&provider.name, &rule.sync, &Variant::base())
            .await?
        {
            tables.insert(rule.sync.clone(), table);
        }
    }
    Ok(tables)
}
