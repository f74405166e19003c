//! Compares a table with the simulator's messages field by field, without the code under test.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};

use domain::{Model, StoredRecord, Timestamp, Value};
use serde_json::{Map, Value as Json, json};
use twilio_sim::Message;

use crate::TestApp;

/// How many of the differing rows are shown.
const SHOWN: usize = 5;

/// Fails unless the live rows of `connection` are exactly the simulator's messages as they are now.
///
/// Only keys and hashes are held in memory; rows that differ are read a second time to be shown.
///
/// # Panics
/// If they differ; the message says how many and shows the first.
pub async fn assert_table_equals_truth(app: &TestApp, connection: &str) {
    let mut stored: HashMap<String, u64> = HashMap::new();
    let mut doubles = Vec::new();
    app.for_each_row(connection, |model, record| {
        let key = record.position.key.clone();
        if stored
            .insert(key.clone(), hash(&stored_row(model, record)))
            .is_some()
        {
            doubles.push(key);
        }
    })
    .await;
    let total = stored.len();
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    app.simulator()
        .for_each_truth(|message| match stored.remove(&message.sid) {
            None => missing.push(message.sid),
            Some(found) if found != hash(&true_row(&message)) => different.push(message.sid),
            Some(_) => {}
        });
    let surplus: Vec<String> = stored.into_keys().collect();
    if missing.is_empty() && different.is_empty() && surplus.is_empty() && doubles.is_empty() {
        return;
    }
    let mut report = format!(
        "of {total} rows {} differ, {} are missing, {} are too many, {} are there twice\n",
        different.len(),
        missing.len(),
        surplus.len(),
        doubles.len()
    );
    for (what, keys) in [("missing", &missing), ("too many", &surplus), ("twice", &doubles)] {
        if !keys.is_empty() {
            let _ = writeln!(
                report,
                "{what}: {}",
                keys.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ")
            );
        }
    }
    show(app, connection, &different, &mut report).await;
    panic!("{report}");
}

async fn show(app: &TestApp, connection: &str, keys: &[String], report: &mut String) {
    let wanted: Vec<&String> = keys.iter().take(SHOWN).collect();
    let mut rows = HashMap::new();
    app.for_each_row(connection, |model, record| {
        if wanted.contains(&&record.position.key) {
            rows.insert(record.position.key.clone(), stored_row(model, record));
        }
    })
    .await;
    app.simulator().for_each_truth(|message| {
        let Some(row) = rows.get(&message.sid) else { return };
        let _ = writeln!(report, "{}:", message.sid);
        for (name, truth) in true_row(&message) {
            let found = row.get(&name).cloned().unwrap_or(Json::Null);
            if found != truth {
                let _ = writeln!(report, "  {name}: the row has {found}, the truth is {truth}");
            }
        }
    });
}

fn hash(row: &Map<String, Json>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut fields: Vec<(&String, String)> = row
        .iter()
        .map(|(name, value)| (name, sorted(value).to_string()))
        .collect();
    fields.sort();
    fields.hash(&mut hasher);
    hasher.finish()
}

/// Returns the JSON with sorted names, because the simulator has its own order.
fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(object) => {
            let mut fields: Vec<_> = object
                .iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(fields.into_iter().collect())
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn stored_row(model: &Model, record: &StoredRecord) -> Map<String, Json> {
    let parsed = |text: &str| sorted(&serde_json::from_str(text).expect("stored JSON"));
    let value = |value: &Value| match value {
        Value::Null => Json::Null,
        Value::Text(text) | Value::Decimal(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(flag) => json!(flag),
        Value::Timestamp(time) => json!(time.as_micros()),
        Value::Json(text) => parsed(text),
    };
    let names = model.columns.keys().map(ToString::to_string);
    let mut row: Map<String, Json> = names.zip(record.values.iter().map(value)).collect();
    row.insert(
        "_extra".to_owned(),
        record.extra.as_deref().map_or(Json::Null, parsed),
    );
    row
}

/// Returns the expected row of a message, written by hand so that it does not depend on the code under test.
fn true_row(message: &Message) -> Map<String, Json> {
    let time = |text: &Option<String>| {
        let parsed = text
            .as_deref()
            .map(|text| chrono::DateTime::parse_from_rfc2822(text).expect("a date of the simulator"));
        parsed.map(|time| Timestamp::from_chrono(time.to_utc()).as_micros())
    };
    let count = |text: &Option<String>| {
        text.as_deref()
            .map(|text| text.parse::<i64>().expect("a count of the simulator"))
    };
    let uris = serde_json::to_value(&message.subresource_uris).expect("it is JSON");
    let row = json!({
        "sid": message.sid,
        "account_sid": message.account_sid,
        "messaging_service_sid": message.messaging_service_sid,
        "body": message.body,
        "from": message.from,
        "to": message.to,
        "direction": message.direction.as_str(),
        "status": message.status.as_str(),
        "num_segments": count(&message.num_segments),
        "num_media": count(&message.num_media),
        "price": message.price,
        "price_unit": message.price_unit,
        "error_code": message.error_code,
        "error_message": message.error_message,
        "date_created": time(&message.date_created),
        "date_updated": time(&message.date_updated),
        "date_sent": time(&message.date_sent),
        "api_version": message.api_version,
        "uri": message.uri,
        "subresource_uris": sorted(&uris),
        "_extra": message.tags.as_ref().map(|tags| json!({ "tags": sorted(&Json::Object(tags.clone())) })),
    });
    match row {
        Json::Object(row) => row,
        _ => Map::new(),
    }
}
