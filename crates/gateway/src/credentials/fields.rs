//! Reads values by the rules of the fields that a provider's file declares.

use std::collections::BTreeMap;

use registry::Fields;
use serde_json::{Map, Value as Json};

use crate::error::{FieldError, missing_message};

/// The largest value, in bytes, as in Nango's API.
const MAX_VALUE_BYTES: usize = 1024;

/// The text of a value without white space around it; `None` if it is null or blank.
pub(super) fn trimmed_text(value: &Json) -> Result<Option<&str>, String> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) if text.trim().is_empty() => Ok(None),
        Json::String(text) if text.len() > MAX_VALUE_BYTES => {
            Err(format!("must be {MAX_VALUE_BYTES} bytes at most"))
        }
        Json::String(text) => Ok(Some(text.trim())),
        _ => Err("must be text".to_owned()),
    }
}

/// Reads the values of an object with the path `parent`; blank ones are left out.
pub(super) fn read(
    fields: &Fields,
    values: &Map<String, Json>,
    parent: &[&str],
    errors: &mut Vec<FieldError>,
) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (name, value) in values {
        let Some(field) = fields.get(name) else {
            errors.push(FieldError::unknown(parent, name, fields.keys()));
            continue;
        };
        let checked = trimmed_text(value).and_then(|text| {
            let bare = text.map(|text| field.bare(text));
            bare.map_or(Ok(()), |bare| field.check(bare)).map(|()| bare)
        });
        match checked {
            Ok(text) => read.extend(text.map(|text| (name.clone(), text.to_owned()))),
            Err(rule) => errors.push(FieldError::within("invalid", parent, name, rule)),
        }
    }
    read
}

/// Adds an error for each required field that `values` lacks. A field is not required if its `visible_when` does not hold for `values` and
/// `others`, or if it has an error already.
pub(super) fn require(
    fields: &Fields,
    values: &BTreeMap<String, String>,
    others: &BTreeMap<String, String>,
    parent: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let either = |name: &str| values.get(name).or_else(|| others.get(name)).map(String::as_str);
    for (name, field) in fields {
        let may_be_missing = field.optional || field.hidden || field.default_value.is_some();
        let has_error =
            |error: &FieldError| error.path.last() == Some(name) && error.path.len() == parent.len() + 1;
        if !may_be_missing
            && field.visible(either)
            && !values.contains_key(name)
            && !errors.iter().any(has_error)
        {
            errors.push(FieldError::within(
                "missing",
                parent,
                name,
                missing_message(Some(field)),
            ));
        }
    }
}
