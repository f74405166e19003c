//! The `bad_fields` fault: malformed records that a client must tolerate.

use serde_json::{Value, json};

use crate::message::Message;

/// Returns the message as JSON with a malformed field. Its `sid` stays valid.
pub(crate) fn make_malformed(message: &Message, bits: u64) -> Vec<u8> {
    let mut value = serde_json::to_value(message).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        match bits & 7 {
            0 => {
                set("num_segments", json!(2));
                set("error_code", json!("30007"));
            }
            1 => {
                set("price", json!(-0.0075));
            }
            2 => {
                set("date_sent", json!("Foo, 99 Bar 20x6 00:00:00 +0000"));
            }
            3 => {
                set("date_updated", json!("2026-01-31T12:00:00Z"));
                set("price", json!("n/a"));
            }
            4 => {
                set("status", Value::Null);
                set("direction", Value::Null);
                set("subresource_uris", Value::Null);
            }
            5 => {
                set("body", json!("a NUL \u{0} in the middle"));
            }
            6 => {
                fields.shift_remove("date_updated");
                fields.shift_remove("num_media");
                fields.shift_remove("price");
            }
            _ => {
                set("status", json!("teleported"));
                set("body", json!({"text": "an object"}));
                set("num_media", json!("many"));
            }
        }
    }
    serde_json::to_vec(&value).unwrap_or_default()
}
