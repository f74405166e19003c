//! Records as they are stored.

use crate::{Timestamp, Value};

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The provider's key of the record.
    pub key: String,
    /// The values in the model's order; all but the key are null if the record is marked as deleted.
    pub values: Vec<Value>,
    /// What no column holds, as a JSON object: fields without a column, values that do not fit theirs, and whole objects of which columns
    /// read parts.
    pub extra: Option<String>,
    /// When it was first written.
    pub first_seen_at: Timestamp,
    /// When it was last written.
    pub last_modified_at: Timestamp,
    /// When it was marked as deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it was pruned; all but the key and the columns that order and select rows are null then.
    pub pruned_at: Option<Timestamp>,
    /// The change number of its last write. Each write to the connection and model gets the next number, from 1.
    pub cursor: i64,
    /// Its position in a list; the next page starts after it.
    pub position: Position,
}

/// The position of a record in a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The first of the model's `newest_by` columns that has a value; `None`, which sorts last, if none has. A model without `newest_by`
    /// uses the time of first sight.
    pub at: Option<Timestamp>,
    /// The key as it is stored, which is a shortened one if the key has more than 1,000 bytes.
    pub key: String,
}

/// The last change of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordAction {
    /// It was inserted.
    Added,
    /// It was updated.
    Updated,
    /// It was marked as deleted.
    Deleted,
}

impl StoredRecord {
    /// Returns what last happened to the record.
    pub fn last_action(&self) -> RecordAction {
        match self.deleted_at {
            Some(_) => RecordAction::Deleted,
            None if self.first_seen_at == self.last_modified_at => RecordAction::Added,
            None => RecordAction::Updated,
        }
    }
}
