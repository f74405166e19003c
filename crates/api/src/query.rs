//! Reads query strings. `Query` is strict: a repeated or unknown parameter is an error. The inputs of an action may repeat.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::parameters::{RawParameters, read};

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            read(group(pairs(request)))
                .map(Self)
                .map_err(ApiError::InvalidQuery),
        )
    }
}

/// The query of an operation without parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// The names and values of the query string, decoded.
pub(crate) fn pairs(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .into_owned()
        .collect()
}

/// Returns the query as the inputs of an action. A repeated parameter becomes a list.
pub(crate) fn inputs(request: &HttpRequest) -> Map<String, Json> {
    let mut inputs = Map::new();
    for (name, value) in pairs(request) {
        match inputs.get_mut(&name) {
            None => drop(inputs.insert(name, Json::String(value))),
            Some(Json::Array(values)) => values.push(Json::String(value)),
            Some(first) => *first = Json::Array(vec![first.take(), Json::String(value)]),
        }
    }
    inputs
}

/// Groups values by their parameter; `name[key]=value` belongs to `name`.
fn group(pairs: Vec<(String, String)>) -> RawParameters {
    let mut raw = RawParameters::new();
    for (name, value) in pairs {
        let keyed = name
            .split_once('[')
            .and_then(|(name, key)| Some((name, key.strip_suffix(']')?)));
        match keyed.filter(|(_, key)| !key.contains(['[', ']', '\0']) && !value.contains('\0')) {
            Some((name, key)) => raw
                .entry(name.to_owned())
                .or_default()
                .keyed
                .push((key.to_owned(), value)),
            None => raw.entry(name).or_default().plain.push(value),
        }
    }
    raw
}
