//! Looking into a provider's JSON.

use serde_json::Value;

/// What stands at `path`, outermost name first; a number is a place in a list.
pub(crate) fn at<'a, P: AsRef<str>>(value: &'a Value, path: &[P]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(list) => name
            .as_ref()
            .parse::<usize>()
            .ok()
            .and_then(|index| list.get(index)),
        other => other.get(name.as_ref()),
    })
}

/// A text, number or boolean as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
