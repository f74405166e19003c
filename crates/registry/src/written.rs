//! Readers and schemas for values that a provider file may write in more than one way.
//!
//! Structs use them with `deserialize_with` and `schemars(with)`, so that their fields have the types that the rest of the code uses.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value as Json, json};

/// Text that a file may also write as a whole number or as true or false: `PageSize: 1000`.
///
/// A number with a decimal point is an error, since 1.10 would silently become 1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar(pub(crate) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(text) => Ok(Self(text)),
            Json::Bool(value) => Ok(Self(value.to_string())),
            Json::Number(number) if !number.is_f64() => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("must be text, a whole number, true or false")),
        }
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

/// The schema of one value or a list of them; [`one_or_many`] reads it.
pub(crate) struct OneOrMany<T>(T);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Adds keys to the schema of a section that a file may have, and that Trunkline does not use.
pub(crate) fn accept_unused<'k>(keys: &'k [&'k str]) -> impl FnMut(&mut Schema) + 'k {
    move |schema| {
        if let Some(Json::Object(properties)) = schema.get_mut("properties") {
            let description = json!({ "description": "Accepted and not used." });
            properties.extend(keys.iter().map(|key| ((*key).to_owned(), description.clone())));
        }
    }
}

/// Reads one value or a list of them. A list is read item by item, so that the path of an error names the item.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
}

struct OneOrManyVisitor<T>(PhantomData<T>);

fn one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Vec<T>, D::Error> {
    T::deserialize(value).map(|value| vec![value])
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Vec<T>, E> {
        one(value.into_deserializer())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<T>, E> {
        one(value.into_deserializer())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Vec<T>, E> {
        one(value.into_deserializer())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Vec<T>, E> {
        one(value.into_deserializer())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Vec<T>, E> {
        one(value.into_deserializer())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        one(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items))
    }
}

/// Reads one scalar or a list of them, as text.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let scalars: Vec<Scalar> = one_or_many(deserializer)?;
    Ok(scalars.into_iter().map(|scalar| scalar.0).collect())
}

/// Reads a scalar as text.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Scalar::deserialize(deserializer).map(|scalar| scalar.0)
}

/// Reads an optional scalar as text, or as a type that is made from text.
pub(crate) fn optional_text<'de, D: Deserializer<'de>, T: From<String>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    text(deserializer).map(|text| Some(text.into()))
}

/// Reads a map as pairs of name and value, in the order of the file.
pub(crate) fn pairs<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<(String, T)>, D::Error> {
    IndexMap::deserialize(deserializer).map(|map: IndexMap<_, _>| map.into_iter().collect())
}

/// Splits a path within JSON, written as names and list positions with dots between them.
pub(crate) fn split_path(text: &str) -> Vec<String> {
    let steps = text.split('.').filter(|step| !step.is_empty());
    steps.map(str::to_owned).collect()
}

/// Reads a path within JSON, which may be optional.
pub(crate) fn path<'de, D: Deserializer<'de>, T: From<Vec<String>>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer).map(|text| split_path(&text).into())
}
