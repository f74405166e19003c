//! Typed ids: prefixed ones for people, and row numbers for tables.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use derive_where::derive_where;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::Timestamp;

/// What an [`Id`] identifies.
pub trait IdKind {
    /// The text before the underscore. It is stored, so it never changes.
    const PREFIX: &'static str;
}

/// A typed, time-ordered identifier, written `<prefix>_<32 hex digits>`.
#[derive_where(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// The text is not an id of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}_ and 32 hex digits")]
pub struct ParseIdError(&'static str);

impl<K> Id<K> {
    /// Returns a new id whose leading bits are `now`; the rest is random (UUID version 7).
    pub fn new(now: Timestamp) -> Self {
        let age = now.since(Timestamp::from_micros(0));
        let time = uuid::Timestamp::from_unix(uuid::NoContext, age.as_secs(), age.subsec_nanos());
        Self(Uuid::new_v7(time), PhantomData)
    }

    /// Returns this id's UUID with `part` XORed into its last byte: always the same for one id and part, different for each part.
    pub fn uuid_of_part(&self, part: u8) -> String {
        let mut bytes = *self.0.as_bytes();
        if let Some(last) = bytes.last_mut() {
            *last ^= part;
        }
        Uuid::from_bytes(bytes).hyphenated().to_string()
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.simple())
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|hex| hex.len() == 32)
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(|uuid| Self(uuid, PhantomData))
            .ok_or(ParseIdError(K::PREFIX))
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// The number of a row, typed by its table.
#[derive_where(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId<K>(i64, PhantomData<fn() -> K>);

impl<K> RowId<K> {
    /// Converts a number from a table.
    pub const fn from_raw(number: i64) -> Self {
        Self(number, PhantomData)
    }

    /// Returns the number, for a statement or a response.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl<K> fmt::Display for RowId<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> fmt::Debug for RowId<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Parcel;
    impl IdKind for Parcel {
        const PREFIX: &'static str = "parcel";
    }
    struct Letter;
    impl IdKind for Letter {
        const PREFIX: &'static str = "letter";
    }

    #[test]
    fn an_id_reads_back_what_it_writes_and_refuses_another_kind() {
        let id = Id::<Parcel>::new(Timestamp::from_micros(1_700_000_000_000_000));
        assert_eq!(id.to_string().parse::<Id<Parcel>>(), Ok(id));
        assert!(id.to_string().starts_with("parcel_018bcfe5"));
        assert!(id.to_string().parse::<Id<Letter>>().is_err());
        assert!("parcel_zz".parse::<Id<Parcel>>().is_err());
    }
}
