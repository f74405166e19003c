//! Reads the configuration of a connection.

use std::collections::BTreeMap;

use registry::{Field, Provider, Template};
use serde_json::{Map, Value as Json};

use super::fields;
use crate::error::FieldError;

/// The maximum number of keys that the provider's file does not declare, and of bytes of such a key and of its value as JSON.
const MAX_UNDECLARED: usize = 50;
const MAX_KEY: usize = 255;
const MAX_UNDECLARED_VALUE: usize = 8_192;

/// The configuration of a connection.
pub(crate) struct ConnectionConfig {
    /// The declared keys.
    pub(crate) declared: BTreeMap<String, String>,
    /// The undeclared keys, unchanged.
    pub(crate) undeclared: Map<String, Json>,
}

/// Reads a configuration that has the path `parent` in the request. Keys that the provider's file declares, or that fill one of its
/// addresses, are text and follow the rules of their fields. Others are kept as they are, within bounds, since a template or the app may
/// use them.
pub(crate) fn read_config(
    provider: &Provider,
    values: &Map<String, Json>,
    parent: &[&str],
    errors: &mut Vec<FieldError>,
) -> ConnectionConfig {
    let mut known = provider.connection_config.clone();
    for placeholder in provider.addresses().flat_map(Template::placeholders) {
        if let Some(name) = placeholder.strip_prefix("connectionConfig.") {
            known.entry(name.to_owned()).or_insert_with(Field::optional_text);
        }
    }
    let (declared, undeclared): (Map<_, _>, Map<_, _>) = values
        .clone()
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .partition(|(name, _)| known.contains_key(name));
    if undeclared.len() > MAX_UNDECLARED {
        let rule = format!("has more than {MAX_UNDECLARED} keys that the provider does not know");
        errors.push(FieldError::new("invalid", parent.iter().copied(), rule));
    }
    for (name, value) in &undeclared {
        let key_is_good = (1..=MAX_KEY).contains(&name.len()) && !name.contains(char::is_control);
        if !key_is_good || has_nul(value) || value.to_string().len() > MAX_UNDECLARED_VALUE {
            let rule = format!(
                "must be a key of 1 to {MAX_KEY} bytes with a value of at most {MAX_UNDECLARED_VALUE} bytes, without the character U+0000"
            );
            errors.push(FieldError::within("invalid", parent, name, rule));
        }
    }
    ConnectionConfig {
        declared: fields::read(&known, &declared, parent, errors),
        undeclared,
    }
}

/// The JSON parser limits the depth, and so this recursion.
fn has_nul(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
