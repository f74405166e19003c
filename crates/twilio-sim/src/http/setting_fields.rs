//! Settings in a form: their names in requests and resources, and their checks.

use serde_json::{Map, Value};

use crate::http::recipient;
use crate::http::request::ApiRequest;
use crate::http::response::ApiError;
use crate::shared::Shared;

/// How a setting is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Empty, or an address that Twilio can reach.
    Url,
    /// `GET` or `POST`.
    Method,
    /// `true` or `false`.
    Flag,
    /// Repeated; the whole list is replaced.
    List,
}

/// A setting: its name in a request, its name in the resource, and its check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field(pub(crate) &'static str, pub(crate) &'static str, pub(crate) Kind);

/// Returns the settings that the form names, for the resource.
pub(crate) fn read(
    shared: &Shared,
    request: &ApiRequest,
    fields: &[Field],
) -> Result<Map<String, Value>, ApiError> {
    let mut changed = Map::new();
    for Field(name, field, kind) in fields {
        let Some(text) = request.field(name) else {
            continue;
        };
        let value = match kind {
            Kind::Text => Value::String(text.to_owned()),
            Kind::Url if text.is_empty() || recipient::is_reachable(shared, text) => {
                Value::String(text.to_owned())
            }
            Kind::Url => {
                return Err(ApiError::bad(21402, format!("{name} is not a valid URL: {text}")));
            }
            Kind::Method => match text.to_ascii_uppercase().as_str() {
                method @ ("GET" | "POST") => Value::String(method.to_owned()),
                _ => {
                    return Err(ApiError::bad(
                        21403,
                        format!("{name} is not a valid method: {text}"),
                    ));
                }
            },
            Kind::Flag => match text {
                "true" | "True" => Value::Bool(true),
                "false" | "False" => Value::Bool(false),
                _ => return Err(ApiError::bad(20001, format!("Invalid parameter {name}: {text}"))),
            },
            Kind::List => request.values(name).map(Value::from).collect(),
        };
        changed.insert((*field).to_owned(), value);
    }
    Ok(changed)
}
