//! A model: the shape of one kind of record, from which its table, its statements and its answers are made.

use std::fmt::Write;

use indexmap::IndexMap;

use crate::column::Column;
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
