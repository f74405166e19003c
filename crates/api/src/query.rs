//! Query strings, read strictly into types: each parameter once, no unknown ones, and every error with the name of its parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::Timestamp;
use gateway::FieldError;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value as Json};
use utoipa::IntoParams;
use utoipa::openapi::Required;

use crate::error::ApiError;

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request).map(Self).map_err(ApiError::InvalidQuery))
    }
}

/// The query of an operation that takes none.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// Reads a query, or returns everything that is wrong with it.
fn read<T: DeserializeOwned + IntoParams>(request: &HttpRequest) -> Result<T, Vec<FieldError>> {
    let mut given = group(pairs(request));
    let mut errors: Vec<FieldError> = Vec::new();
    loop {
        let entries = given.iter().map(|(name, values)| (name.as_str(), values));
        let error = match serde_path_to_error::deserialize(MapDeserializer::new(entries)) {
            Ok(read) if errors.is_empty() => return Ok(read),
            Ok(_) => return Err(errors),
            Err(error) => FieldError::from_serde(&[], error),
        };
        // Without the parameter that is wrong, the next error is found.
        match error
            .path
            .first()
            .filter(|_| error.code != "missing")
            .and_then(|name| given.remove(name))
        {
            Some(_) => errors.push(declared_error::<T>(error)),
            None => {
                let known = |name: &String| {
                    given.contains_key(name) || errors.iter().any(|error| error.path.contains(name))
                };
                let missing: Vec<String> = required::<T>().into_iter().filter(|name| !known(name)).collect();
                errors.extend(
                    missing
                        .into_iter()
                        .map(|name| FieldError::at("missing", name, "is required")),
                );
                return Err(errors);
            }
        }
    }
}

/// Names the parameters that there are, if the error is that one is unknown.
fn declared_error<T: IntoParams>(mut error: FieldError) -> FieldError {
    error.path.truncate(1);
    if error.code == "unknown" {
        let names: Vec<String> = T::into_params(|| None)
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        error.message = format!("is not a parameter of this route; it takes {names}");
    }
    error
}

/// The parameters that must be given.
fn required<T: IntoParams>() -> Vec<String> {
    let mut parameters = T::into_params(|| None);
    parameters.retain(|parameter| matches!(parameter.required, Required::True));
    parameters.into_iter().map(|parameter| parameter.name).collect()
}

/// The names and values of the query string, decoded.
pub(crate) fn pairs(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .into_owned()
        .collect()
}

/// The query as the inputs of an action: a parameter that is given several times is a list.
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

/// Everything that is given for one parameter.
#[derive(Default)]
struct Values {
    /// `name=value`, each time.
    plain: Vec<String>,
    /// `name[key]=value`.
    keyed: Vec<(String, String)>,
}

fn group(pairs: Vec<(String, String)>) -> BTreeMap<String, Values> {
    let mut given: BTreeMap<String, Values> = BTreeMap::new();
    for (name, value) in pairs {
        let keyed = name
            .split_once('[')
            .and_then(|(name, key)| Some((name, key.strip_suffix(']')?)));
        match keyed.filter(|(_, key)| !key.contains(['[', ']', '\0']) && !value.contains('\0')) {
            Some((name, key)) => given
                .entry(name.to_owned())
                .or_default()
                .keyed
                .push((key.to_owned(), value)),
            None => given.entry(name).or_default().plain.push(value),
        }
    }
    given
}

impl Values {
    /// The value of a parameter that may be given once.
    fn text(&self) -> Result<&str, ValueError> {
        match (self.plain.as_slice(), self.keyed.as_slice()) {
            ([text], []) if !text.is_empty() && !text.contains('\0') => Ok(text),
            ([_], []) => Err(ValueError::custom("must be text, and not empty")),
            (_, []) => Err(ValueError::custom("is given twice")),
            _ => Err(ValueError::custom("must be one value, without keys in brackets")),
        }
    }
}

impl IntoDeserializer<'_> for &Values {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &Values {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let flag = self.text()?.parse();
        visitor.visit_bool(flag.map_err(|_| ValueError::custom("must be true or false"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let number = self.text()?.parse();
        visitor.visit_i64(number.map_err(|_| ValueError::custom("must be a whole number"))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let text: serde::de::value::StrDeserializer<'_, ValueError> = self.text()?.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if !self.keyed.is_empty() {
            return Err(ValueError::custom("must be given without keys in brackets"));
        }
        visitor.visit_seq(SeqDeserializer::new(self.plain.iter().map(String::as_str)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if !self.plain.is_empty() {
            return Err(ValueError::custom(
                "must be given with keys, such as name[key]=value",
            ));
        }
        let names: BTreeSet<&String> = self.keyed.iter().map(|(name, _)| name).collect();
        if names.len() < self.keyed.len() {
            return Err(ValueError::custom("holds a name twice"));
        }
        let entries = self
            .keyed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct struct identifier
    }
}

/// A whole number from `MIN` to `MAX`, of a query or a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer).ok();
        let number = number.filter(|number| (MIN..=MAX).contains(number));
        let rule = || D::Error::custom(format_args!("must be a whole number from {MIN} to {MAX}"));
        number.map(Self).ok_or_else(rule)
    }
}

/// Reads an optional value that has a rule.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads an optional time. A plus sign that is not encoded arrives as a space and is accepted.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |rule| D::Error::custom(format_args!("is {rule}"));
    Timestamp::from_parameter(&text).map(Some).map_err(wrong)
}

/// Reads a list with commas between its values.
pub(crate) fn comma_separated<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parse = |part: &str| {
        part.parse()
            .map_err(|rule| D::Error::custom(format_args!("holds {part:?}, which {rule}")))
    };
    parts.map(parse).collect()
}

/// Reads a parameter that may be given up to `MAX` times.
pub(crate) fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let values = Vec::deserialize(deserializer)?;
    if values.len() > MAX {
        return Err(D::Error::custom(format_args!("may be given {MAX} times at most")));
    }
    Ok(values)
}
