//! The XML responses of the 2010 API, for paths without `.json`.

use serde_json::Value;

/// Converts a JSON body to `<TwilioResponse>`.
pub(crate) fn from_json(body: &[u8]) -> Vec<u8> {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse>");
    match &value {
        Value::Object(fields) if fields.contains_key("more_info") => {
            element(&mut out, "RestException", &value);
        }
        other => content(&mut out, "Resource", other),
    }
    out.push_str("</TwilioResponse>");
    out.into_bytes()
}

fn element(out: &mut String, name: &str, value: &Value) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    content(out, name, value);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn content(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => escape(out, text),
        Value::Array(items) => items
            .iter()
            .for_each(|item| element(out, name.trim_end_matches('s'), item)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| element(out, &camel(key), value)),
    }
}

/// Converts `date_sent` to `DateSent`.
fn camel(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .filter_map(|letter| match letter {
            '_' => {
                upper = true;
                None
            }
            letter => Some(if std::mem::take(&mut upper) {
                letter.to_ascii_uppercase()
            } else {
                letter
            }),
        })
        .collect()
}

fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            letter => out.push(letter),
        }
    }
}
