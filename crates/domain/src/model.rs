//! A model: the shape of one kind of record, from which its table, statements and responses are made.

use std::fmt::Write;

use indexmap::IndexMap;

use crate::column::Column;
use crate::{ModelName, TableName, Variant};

/// One kind of record, with its own table.
///
/// The registry reads it from a provider file, and the store creates the table; the two crates do not depend on each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The model's name, `Message`.
    pub name: ModelName,
    /// The table of its records, `twilio_messages`.
    pub table: TableName,
    /// The plural in paths and responses: `messages`.
    pub plural: String,
    /// What a record is, for documentation.
    pub description: String,
    /// The column whose value identifies a record within its connection; always of kind text.
    pub key: TableName,
    /// The declared columns by name, in the order of the file; the key is among them.
    pub columns: IndexMap<TableName, Column>,
    /// Columns that can be filtered by exact value; each is indexed.
    pub filters: Vec<TableName>,
    /// Timestamp columns that order records newest first, by the first column that has a value.
    pub newest_by: Vec<TableName>,
    /// Columns by which the sync selects rows to re-read. A pruned row keeps them, like the key and `newest_by`, so that the sync still
    /// notices changes and deletions.
    pub selected_by: Vec<TableName>,
}

impl Model {
    /// Returns the index of the key among the columns.
    pub fn key_index(&self) -> usize {
        self.columns.get_index_of(&self.key).unwrap_or_default()
    }

    /// Returns the model of a variant: a copy with its own table. The base variant keeps the model's table.
    #[must_use]
    pub fn of_variant(&self, variant: &Variant) -> Self {
        let mut model = self.clone();
        if *variant != Variant::base() {
            model.table = self.table.variant_table_name(variant);
        }
        model
    }

    /// Returns a hash of everything that decides what a row contains: columns, kinds, paths, parsing.
    ///
    /// It is the seed of each record's hash, so that after a change of the columns each row is updated when it is next read.
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
