//! Converts columns to the types of the domain, and back.
//!
//! A stored value that this version does not know is an error, not a guess.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Binary, Bool, Double, Nullable, SqlType, Text, is_nullable};
use domain::{
    ActionId, ActionName, ActionStatus, ApiKeyId, ConnectionName, DeliveryId, DeliveryStatus, EndpointId,
    EndpointSlot, EnvironmentName, EventId, EventType, IncomingEventId, IncomingStatus, IntegrationKey,
    MisfitCount, Problem, ProviderName, RowId, RunId, RunStatus, SubscriptionId, SubscriptionStatus,
    SyncName, Timestamp, Trigger, Variant, WebhookFormat,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::error::BoxError;

/// The Rust type that a column of an SQL type is read as.
pub trait ReadAs {
    /// The type.
    type Type;
}

macro_rules! read_as {
    ($($sql:ty: $rust:ty),*) => {$(
        impl ReadAs for $sql {
            type Type = $rust;
        }

        impl FromColumn<$rust> for $rust {
            fn from_column(value: $rust) -> Result<Self, BoxError> {
                Ok(value)
            }
        }
    )*};
}
read_as!(BigInt: i64, Bool: bool, Double: f64, Text: String, Binary: Vec<u8>);

impl<T: ReadAs + SqlType<IsNull = is_nullable::NotNull>> ReadAs for Nullable<T> {
    type Type = Option<T::Type>;
}

/// What a column is read as.
pub(crate) type Read<C> = <<C as diesel::Expression>::SqlType as ReadAs>::Type;

/// Converts a column's value.
pub(crate) trait FromColumn<T>: Sized {
    fn from_column(value: T) -> Result<Self, BoxError>;
}

impl<T: FromColumn<V>, V> FromColumn<Option<V>> for Option<T> {
    fn from_column(value: Option<V>) -> Result<Self, BoxError> {
        value.map(T::from_column).transpose()
    }
}

impl<K> FromColumn<i64> for RowId<K> {
    fn from_column(number: i64) -> Result<Self, BoxError> {
        Ok(Self::from_raw(number))
    }
}

impl FromColumn<i64> for Timestamp {
    fn from_column(micros: i64) -> Result<Self, BoxError> {
        Ok(Self::from_micros(micros))
    }
}

macro_rules! from_text {
    ($read:expr => $($name:ty),* $(,)?) => {$(
        impl FromColumn<String> for $name {
            fn from_column(text: String) -> Result<Self, BoxError> {
                Ok($read(&text)?)
            }
        }
    )*};
}
from_text!(str::parse =>
    ActionId, ActionName, ActionStatus, ApiKeyId, ConnectionName, DeliveryId, DeliveryStatus, EndpointId, EndpointSlot,
    EnvironmentName, EventId, EventType, IncomingEventId, IncomingStatus, IntegrationKey, ProviderName, RunId, RunStatus,
    SubscriptionId, SubscriptionStatus, SyncName, Trigger, Variant, WebhookFormat,
);
from_text!(serde_json::from_str =>
    BTreeMap<String, MisfitCount>, BTreeMap<String, String>, Json, Map<String, Json>, Problem, Vec<IntegrationKey>,
    Vec<String>, Vec<u32>,
);

/// Lets diesel load a struct of a crate that does not depend on diesel. Lists the fields that are columns of `table` with the same name, then the
/// others with their columns.
macro_rules! row {
    ($name:ident: $table:ident { $($field:ident),* } $(, $other:ident = $from:ident::$column:ident)*) => {
        impl diesel::Selectable<$crate::db_conn::MultiBackend> for $name {
            type SelectExpression = ($($table::$field,)* $($from::$column,)*);

            fn construct_selection() -> Self::SelectExpression {
                ($($table::$field,)* $($from::$column,)*)
            }
        }

        impl diesel::Queryable<
            diesel::dsl::SqlTypeOf<($($table::$field,)* $($from::$column,)*)>,
            $crate::db_conn::MultiBackend,
        > for $name {
            type Row = ($($crate::column::Read<$table::$field>,)* $($crate::column::Read<$from::$column>,)*);

            fn build(($($field,)* $($other,)*): Self::Row) -> diesel::deserialize::Result<Self> {
                use $crate::column::FromColumn;
                Ok($name {
                    $($field: FromColumn::from_column($field)?,)*
                    $($other: FromColumn::from_column($other)?,)*
                })
            }
        }
    };
}
pub(crate) use row;

/// Returns the text of a JSON column. It is a text column, which in PostgreSQL takes no U+0000; JSON writes that as an escape.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, diesel::result::Error> {
    serde_json::to_string(value).map_err(|error| diesel::result::Error::SerializationError(error.into()))
}
