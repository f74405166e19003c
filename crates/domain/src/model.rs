//! A model: the shape of one kind of record, from which its table, its statements and its answers are made.

use std::fmt::Write;

use indexmap::IndexMap;

use crate::{ModelName, TableName, Variant};

/// One kind of record that syncs keep in a table of its own.
///
/// The registry reads it from a provider file, the store makes the table; neither knows the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The model's name, `Message`.
    pub name: ModelName,
    /// The table that holds its records, `twilio_messages`.
    pub table: TableName,
    /// How several are called in paths and answers: `messages`.
    pub plural: String,
    /// What a record is, for documentation.
    pub description: String,
    /// The column whose value names a record within its connection; always of kind text.
    pub key: TableName,
    /// The declared columns by name, in the order of the file; the key is among them.
    pub columns: IndexMap<TableName, Column>,
    /// Columns that can be filtered by exact value; each is indexed.
    pub filters: Vec<TableName>,
    /// Timestamp columns that order records newest first: the first of them that has a value counts.
    pub newest_by: Vec<TableName>,
    /// Columns by which the sync looks for rows to read again. A row whose content is taken away keeps them, beside the key and
    /// `newest_by`, or nobody would notice that its record changed or is gone.
    pub sought_by: Vec<TableName>,
}

/// A column of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its type in the table.
    pub kind: ColumnKind,
    /// How the provider writes the value.
    pub parse: Parse,
    /// Where the value stands in the provider's record: names of nested objects, outermost first.
    pub path: Vec<String>,
    /// What it means, for documentation; may be empty.
    pub description: String,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// Text in UTF-8.
    Text,
    /// A 64-bit integer.
    Integer,
    /// True or false (0 and 1 in SQLite).
    Boolean,
    /// A moment: `timestamptz` in PostgreSQL, integer microseconds since 1970 UTC in SQLite.
    Timestamp,
    /// An exact decimal: `numeric` in PostgreSQL, text in SQLite. Never a float.
    Decimal,
    /// Any JSON value: `json` in PostgreSQL, which keeps numbers as they are, text in SQLite.
    Json,
}

/// How a provider writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parse {
    /// As the JSON type that fits the column; numbers and booleans as text are understood too.
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

impl Model {
    /// The place of the key among the columns.
    pub fn key_index(&self) -> usize {
        self.columns.get_index_of(&self.key).unwrap_or_default()
    }

    /// The model of a variant: the same in a table of its own. The base variant's is the model itself.
    #[must_use]
    pub fn of_variant(&self, variant: &Variant) -> Self {
        let mut model = self.clone();
        if *variant != Variant::base() {
            model.table = self.table.of_variant(variant);
        }
        model
    }

    /// A number that changes whenever what a row holds for the same record would change: columns, kinds, paths, parsing.
    ///
    /// It seeds every record's hash, so that after a change of the file each row is written anew as it is next read.
    pub fn fingerprint(&self) -> u64 {
        let mut text = String::new();
        for (name, column) in &self.columns {
            text.push_str(name.as_str());
            let Column {
                kind, parse, path, ..
            } = column;
            let _ = write!(text, "\u{0}{kind:?}\u{0}{parse:?}\u{0}{path:?}\u{0}");
        }
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}
