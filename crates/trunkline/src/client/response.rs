//! Reads values in a response of the API. A missing value is empty.

use serde_json::Value as Json;

/// Returns the text at a JSON pointer.
pub(crate) fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// Returns the list called `name`.
pub(crate) fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name)
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Returns the sum of the numbers in the map called `name`.
pub(crate) fn sum(json: &Json, name: &str) -> u64 {
    let numbers = json.get(name).and_then(Json::as_object);
    numbers
        .into_iter()
        .flat_map(serde_json::Map::values)
        .filter_map(Json::as_u64)
        .sum()
}

/// Returns the value called `name` as text; nothing for null.
pub(crate) fn field(json: &Json, name: &str) -> String {
    match json.get(name) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
