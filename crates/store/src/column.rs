//! Converts columns to the types of the domain, and back.
//!
//! A stored value that this version does not know is an error, not a guess.

use std::collections::BTreeMap;

use diesel::deserialize::{FromStaticSqlRow, Queryable};
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::{
    ActionId, ActionName, ActionStatus, ApiKeyId, ConnectionName, EnvironmentName, IntegrationKey,
    MisfitCount, Problem, ProviderName, RowId, RunId, RunStatus, SyncName, Timestamp, Trigger, Variant,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::error::BoxError;

macro_rules! column {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $sql:ty) => {
        $(#[$doc])*
        pub struct $name($inner);

        impl<DB: diesel::backend::Backend> Queryable<$sql, DB> for $name
        where
            $inner: FromStaticSqlRow<$sql, DB>,
        {
            type Row = $inner;

            fn build(inner: $inner) -> diesel::deserialize::Result<Self> {
                Ok(Self(inner))
            }
        }
    };
}

column!(
/// A row number.
    Number, i64, BigInt
);
column!(
/// A time in microseconds.
    Micros, i64, BigInt
);
column!(
/// A time in microseconds, or null.
    MaybeMicros, Option<i64>, Nullable<BigInt>
);
column!(
/// A name, id or word.
    Word, String, Text
);
column!(
    /// JSON as text.
    JsonText, String, Text
);
column!(
/// JSON as text, or null.
    MaybeJson, Option<String>, Nullable<Text>
);

impl<K> From<Number> for RowId<K> {
    fn from(number: Number) -> Self {
        Self::from_raw(number.0)
    }
}

impl From<Micros> for Timestamp {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

impl From<MaybeMicros> for Option<Timestamp> {
    fn from(micros: MaybeMicros) -> Self {
        micros.0.map(Timestamp::from_micros)
    }
}

macro_rules! words {
    ($($name:ty),*) => {$(
        impl TryFrom<Word> for $name {
            type Error = BoxError;

            fn try_from(word: Word) -> Result<Self, Self::Error> {
                Ok(word.0.parse()?)
            }
        }
    )*};
}
words!(
    ActionId,
    ActionName,
    ActionStatus,
    ApiKeyId,
    ConnectionName,
    EnvironmentName,
    IntegrationKey,
    ProviderName,
    RunId,
    RunStatus,
    SyncName,
    Trigger,
    Variant
);

macro_rules! json {
    ($($name:ty),*) => {$(
        impl TryFrom<JsonText> for $name {
            type Error = serde_json::Error;

            fn try_from(text: JsonText) -> Result<Self, Self::Error> {
                serde_json::from_str(&text.0)
            }
        }
    )*};
}
json!(Json, Map<String, Json>, BTreeMap<String, String>, Vec<String>);

macro_rules! maybe_json {
    ($($name:ty),*) => {$(
        impl TryFrom<MaybeJson> for Option<$name> {
            type Error = serde_json::Error;

            fn try_from(text: MaybeJson) -> Result<Self, Self::Error> {
                text.0.map(|text| serde_json::from_str(&text)).transpose()
            }
        }
    )*};
}
maybe_json!(
    Json,
    Map<String, Json>,
    Problem,
    Vec<IntegrationKey>,
    BTreeMap<String, MisfitCount>
);

/// A value of the domain as diesel loads it. [`row`] says from which columns.
#[derive(Debug)]
pub(crate) struct Row<T>(T);

impl<T> Row<T> {
    /// Returns the value.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }

    /// Returns the values of several rows.
    pub(crate) fn all(rows: Vec<Self>) -> Vec<T> {
        rows.into_iter().map(Self::into_inner).collect()
    }

    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }
}

/// Lets diesel load a value of the domain as a [`Row`]: for each field, the column and the type that the column is read as.
macro_rules! row {
    ($name:ident { $($field:ident: $read_as:ty = $table:ident::$column:ident),* $(,)? }) => {
        impl<DB: diesel::backend::Backend> diesel::Selectable<DB> for $crate::column::Row<$name> {
            type SelectExpression = ($($table::$column,)*);

            fn construct_selection() -> Self::SelectExpression {
                ($($table::$column,)*)
            }
        }

        impl<ST, DB: diesel::backend::Backend> diesel::Queryable<ST, DB> for $crate::column::Row<$name>
        where
            ($($read_as,)*): diesel::deserialize::FromStaticSqlRow<ST, DB>,
        {
            type Row = ($($read_as,)*);

            fn build(($($field,)*): Self::Row) -> diesel::deserialize::Result<Self> {
                Ok(Self::new($name { $($field: $field.try_into()?),* }))
            }
        }
    };
}
pub(crate) use row;

/// Returns the text of a JSON column. It is a text column, which in PostgreSQL takes no U+0000; JSON writes that as an escape.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, diesel::result::Error> {
    serde_json::to_string(value).map_err(|error| diesel::result::Error::SerializationError(error.into()))
}
