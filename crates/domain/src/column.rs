//! Columns of a model: their kinds, and one table with each kind's types in both databases and in JSON.
//!
//! A new kind is a variant of [`ColumnKind`], its line in [`ColumnKind::info`], and its readers in `record/cell.rs`. Only a kind with
//! values of its own also needs a variant of [`crate::Value`].

use schemars::JsonSchema;
use serde::Deserialize;
use strum::IntoStaticStr;

/// A column of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its type in the table.
    pub kind: ColumnKind,
    /// How the provider writes the value.
    pub parse: Parse,
    /// Where the value is in the provider's record: names of nested objects, outermost first.
    pub path: Vec<String>,
    /// Its description; may be empty.
    pub description: String,
}

/// The type of a column. A decimal is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ColumnKind {
    /// Text in UTF-8.
    Text,
    /// A 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
    /// A time in microseconds.
    Timestamp,
    /// An exact decimal, never a float.
    Decimal,
    /// Any JSON value; numbers keep their digits.
    Json,
}

/// What the rest of Trunkline needs to know about a kind of column.
#[derive(Debug, Clone, Copy)]
pub struct KindInfo {
    /// The transfer format to and from the databases.
    pub storage: Storage,
    /// The type in PostgreSQL, as its catalogue writes it.
    pub postgres: &'static str,
    /// The type in SQLite. SQLite accepts any words and goes by what they contain (`INT`, `TEXT`). The second word is for people, and
    /// lets the check of a table notice a change.
    pub sqlite: &'static str,
    /// The JSON Schema type; `None` for any.
    pub json_type: Option<&'static str>,
    /// The JSON Schema format.
    pub json_format: Option<&'static str>,
}

/// The transfer format of a value to and from the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Text, which PostgreSQL casts if its type is another.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A boolean; 0 and 1 in SQLite.
    Boolean,
    /// A time; microseconds since 1970 UTC in SQLite.
    Timestamp,
}

/// How a provider writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// As the JSON type that fits the column; numbers and booleans may also be text.
    Plain,
    /// `Fri, 24 May 2019 17:44:50 +0000`.
    Rfc2822,
    /// `2020-12-11T04:29:09Z`, with or without fraction and offset.
    Iso8601,
    /// Seconds since 1970, as a number or text.
    UnixSeconds,
    /// Milliseconds since 1970, as a number or text.
    UnixMillis,
}

impl ColumnKind {
    /// Returns the kind's line of the table.
    pub const fn info(self) -> KindInfo {
        use Storage as S;
        let (storage, postgres, sqlite, json_type, json_format) = match self {
            Self::Text => (S::Text, "text", "TEXT", Some("string"), None),
            Self::Integer => (S::Integer, "bigint", "INTEGER", Some("integer"), Some("int64")),
            Self::Boolean => (S::Boolean, "boolean", "BOOLEAN", Some("boolean"), None),
            Self::Timestamp => (
                S::Timestamp,
                "timestamp with time zone",
                "INTEGER MICROSECONDS",
                Some("string"),
                Some("date-time"),
            ),
            // PostgreSQL's `json` and text, unlike `jsonb` and floats, keep the digits of numbers.
            Self::Decimal => (
                S::Text,
                "numeric",
                "TEXT DECIMAL",
                Some("string"),
                Some("decimal"),
            ),
            Self::Json => (S::Text, "json", "TEXT JSON", None, None),
        };
        KindInfo {
            storage,
            postgres,
            sqlite,
            json_type,
            json_format,
        }
    }

    /// Returns the kind's name in provider files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
