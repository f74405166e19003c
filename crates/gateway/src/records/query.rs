//! The query string of a list of records, checked against its model.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ColumnKind, Model, NameError, Position, TableName, Timestamp, Value, Variant};
use serde::{Deserialize, Serialize};
use store::records::{Bound, RecordQuery};

use crate::error::FieldError;

/// Records per page by default.
const DEFAULT_LIMIT: i64 = 100;
/// The largest `limit`.
const MAX_LIMIT: i64 = 1_000;

/// The content of a cursor, which is opaque to callers.
#[derive(Serialize, Deserialize)]
struct CursorText {
    at: Option<i64>,
    key: String,
}

/// Checks the parameters of a list: `connectionId`, `limit`, `cursor`, `variant`, the model's filters, and `_after` / `_before` of its time
/// columns. Returns the variant and the query.
pub(super) fn parse(
    model: &Model,
    parameters: Vec<(String, String)>,
) -> Result<(Variant, RecordQuery), Vec<FieldError>> {
    let mut query = RecordQuery {
        limit: DEFAULT_LIMIT,
        ..RecordQuery::default()
    };
    let mut errors = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in parameters {
        if seen.insert(name.clone(), value.clone()).is_some() {
            errors.push(FieldError::at("invalid", name, "is given twice"));
        } else if let Err(error) = parse_one(model, &name, &value, &mut query) {
            errors.push(error);
        }
    }
    let variant = seen
        .get("variant")
        .map_or(Ok(Variant::base()), |text| text.parse());
    let variant = variant.map_err(|rule: NameError| {
        errors.push(FieldError::at("invalid", "variant", rule.to_string()));
    });
    if !seen.contains_key("connectionId") && !seen.contains_key("connection_id") {
        let message = "is required: the name of the connection whose records to list";
        errors.push(FieldError::at("missing", "connectionId", message));
    }
    match variant {
        Ok(variant) if errors.is_empty() => Ok((variant, query)),
        _ => Err(errors),
    }
}

fn parse_one(model: &Model, name: &str, value: &str, query: &mut RecordQuery) -> Result<(), FieldError> {
    let invalid = |message: &str| FieldError::at("invalid", name, message);
    if value.contains('\0') {
        return Err(invalid("must not hold the character U+0000"));
    }
    match name {
        "connectionId" | "connection_id" | "variant" => {}
        "limit" => {
            let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            let rule = || invalid(&format!("must be a whole number from 1 to {MAX_LIMIT}"));
            query.limit = limit.ok_or_else(rule)?;
        }
        "cursor" => {
            let rule = "is not a cursor of this list: pass the `next_cursor` of the previous page, unchanged";
            query.position = Some(read_cursor(value).ok_or_else(|| invalid(rule))?);
        }
        _ => {
            if let Some(column) = model.filters.iter().find(|column| column.as_str() == name) {
                let value = filter_value(model, column, value).map_err(|rule| invalid(&rule))?;
                query.equals.push((column.clone(), value));
            } else if let Some((column, bound)) = bound(model, name) {
                let time = Timestamp::from_parameter(value);
                let time = time.map_err(|error| invalid(&format!("is {error}")))?;
                query.ranges.push((column, bound, time));
            } else {
                let rule = format!(
                    "is not a parameter of this list. Allowed: {}",
                    allowed_parameters(model)
                );
                return Err(FieldError::at("unknown", name, rule));
            }
        }
    }
    Ok(())
}

fn filter_value(model: &Model, column: &TableName, value: &str) -> Result<Value, String> {
    let kind = model
        .columns
        .get(column)
        .map_or(ColumnKind::Text, |column| column.kind);
    Value::from_parameter(kind, value)
}

/// Splits a parameter such as `date_sent_after` (inclusive) or `date_sent_before` (exclusive) into column and bound. Only the columns of
/// `newest_by` have such parameters.
fn bound(model: &Model, name: &str) -> Option<(TableName, Bound)> {
    let (column, bound) = name
        .strip_suffix("_after")
        .map(|column| (column, Bound::From))
        .or_else(|| name.strip_suffix("_before").map(|column| (column, Bound::Until)))?;
    model
        .newest_by
        .iter()
        .find(|known| known.as_str() == column)
        .map(|known| (known.clone(), bound))
}

fn allowed_parameters(model: &Model) -> String {
    let mut names = ["connectionId", "limit", "cursor", "variant"]
        .map(str::to_owned)
        .to_vec();
    names.extend(model.filters.iter().map(ToString::to_string));
    names.extend(
        model
            .newest_by
            .iter()
            .flat_map(|column| [format!("{column}_after"), format!("{column}_before")]),
    );
    names.join(", ")
}

/// Writes the cursor of the page that follows the position.
pub(super) fn write_cursor(position: &Position) -> String {
    let text = CursorText {
        at: position.at.map(Timestamp::as_micros),
        key: position.key.clone(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&text).unwrap_or_default())
}

fn read_cursor(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let CursorText { at, key } = serde_json::from_slice(&bytes).ok()?;
    (!key.is_empty() && !key.contains('\0')).then_some(Position {
        at: at.map(Timestamp::from_micros),
        key,
    })
}
