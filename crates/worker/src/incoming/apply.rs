//! Applies the changes of events to rows, unless the rows are newer. Events of one row are applied one after another, and written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{ConnectionId, Timestamp, Value};
use gateway::ModelTable;
use store::records::{self, RowChanges, StoredRow};
use store::{DbConn, StoreError};

use super::plan::{Age, Change, Content, set};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The event is not older than the row.
    Apply,
    /// The row is newer.
    Older,
    /// It is not known which is newer: the row must be read again.
    Unsure,
}

/// What the changes of a table did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The rows that were written.
    pub(super) rows: RowChanges,
    /// The keys of rows to read again, each with the positions of the changes that need it.
    pub(super) reread: BTreeMap<String, BTreeSet<usize>>,
    /// Whether a row may be older than its event, and cannot be read again by key: only a run of the sync tells.
    pub(super) unsure: bool,
}

/// A row while changes are applied to it.
struct Row {
    stored: StoredRow,
    /// Its values, if it is live.
    values: Option<Vec<Value>>,
    extra: Option<String>,
    version: Option<i64>,
    /// Whether an event was applied.
    touched: bool,
    /// Whether its values are other than those that are stored.
    changed: bool,
    /// Whether an event has deleted it.
    deleted: bool,
}

impl Row {
    fn new(stored: StoredRow) -> Self {
        let live = stored
            .record
            .as_ref()
            .filter(|record| record.deleted_at.is_none() && record.pruned_at.is_none());
        Self {
            values: live.map(|record| record.values.clone()),
            extra: live.and_then(|record| record.extra.clone()),
            version: stored.version.and_then(|version| version.version),
            stored,
            touched: false,
            changed: false,
            deleted: false,
        }
    }

    fn verdict(&self, change: &Change) -> Verdict {
        if let (Age::Time(age) | Age::Sequence(age), Some(version)) = (&change.age, self.version)
            && *age < version
        {
            return Verdict::Older;
        }
        if matches!(change.content, Content::Deleted) {
            return Verdict::Apply;
        }
        if matches!(change.content, Content::Key) {
            return Verdict::Unsure;
        }
        let Some(values) = &self.values else {
            return self.verdict_without_values(change);
        };
        match &change.age {
            // Times in seconds are often the same for two events, which may arrive in any order.
            Age::Time(age) if self.version == Some(*age) && !change.is_stored(values) => Verdict::Unsure,
            Age::Column(column, value) => match (values.get(*column), value) {
                (Some(Value::Timestamp(row)), Value::Timestamp(event)) if event < row => Verdict::Older,
                (Some(Value::Integer(row)), Value::Integer(event)) if event < row => Verdict::Older,
                (Some(row), value) if row == value && *row != Value::Null && !change.is_stored(values) => {
                    Verdict::Unsure
                }
                (None | Some(Value::Null), _)
                | (Some(Value::Timestamp(_)), Value::Timestamp(_))
                | (Some(Value::Integer(_)), Value::Integer(_)) => Verdict::Apply,
                _ => Verdict::Unsure,
            },
            Age::Rank(column, event, states) => {
                let row = match values.get(*column) {
                    None | Some(Value::Null) => return Verdict::Apply,
                    Some(Value::Text(state)) => states.rank(state),
                    Some(_) => None,
                };
                match (row, event) {
                    (Some(row), Some(event)) if *event < row => Verdict::Older,
                    (Some(_), Some(_)) => Verdict::Apply,
                    _ => Verdict::Unsure,
                }
            }
            Age::Time(at) => {
                let written = self.stored.record.as_ref().map(|record| record.last_modified_at);
                if self.is_of_an_event() || written.is_none_or(|written| written.as_micros() <= *at) {
                    Verdict::Apply
                } else {
                    Verdict::Unsure
                }
            }
            Age::Sequence(_) if self.is_of_an_event() => Verdict::Apply,
            Age::Unknown | Age::Sequence(_) => Verdict::Unsure,
        }
    }

    /// For a row that is not there, is marked as deleted, or was pruned.
    fn verdict_without_values(&self, change: &Change) -> Verdict {
        if self.deleted {
            return match (&change.age, &change.content) {
                (_, Content::Fields(_)) => Verdict::Unsure,
                (Age::Time(age) | Age::Sequence(age), _) => match self.version {
                    // An object that is deleted stays so: the other event of this time was before.
                    Some(version) if version == *age => Verdict::Older,
                    Some(_) => Verdict::Apply,
                    None => Verdict::Unsure,
                },
                _ => Verdict::Unsure,
            };
        }
        match (&self.stored.record, &self.stored.version) {
            (None, None) => match change.content {
                Content::Fields(_) => Verdict::Unsure,
                _ => Verdict::Apply,
            },
            // Events are compared with each other; the row was deleted by one, or is gone with a reset.
            (_, Some(version)) if version.version.is_some() => match (&change.age, &change.content) {
                (_, Content::Fields(_)) => Verdict::Unsure,
                (Age::Time(_) | Age::Sequence(_), _) if self.is_of_an_event() => Verdict::Apply,
                _ => Verdict::Unsure,
            },
            _ => Verdict::Unsure,
        }
    }

    /// Whether the last write of the row was by an event whose time or number is known.
    fn is_of_an_event(&self) -> bool {
        if self.touched {
            return self.version.is_some();
        }
        let number = self.stored.record.as_ref().map_or(0, |record| record.cursor);
        self.stored
            .version
            .is_some_and(|version| version.version.is_some() && version.number == number)
    }

    fn apply(&mut self, change: &Change, table: &ModelTable) {
        self.touched = true;
        self.version = match change.age {
            Age::Time(version) | Age::Sequence(version) => Some(version),
            _ => None,
        };
        match &change.content {
            Content::Deleted => {
                (self.values, self.extra) = (None, None);
                (self.deleted, self.changed) = (true, false);
            }
            Content::Record(record, keep) => {
                let mut new = record.values.clone();
                let old = self.values.take();
                for index in keep {
                    if let (Some(slot @ Value::Null), Some(kept)) =
                        (new.get_mut(*index), old.as_ref().and_then(|old| old.get(*index)))
                    {
                        slot.clone_from(kept);
                    }
                }
                self.changed |= old.as_ref() != Some(&new) || self.extra != record.extra;
                self.values = Some(new);
                self.extra.clone_from(&record.extra);
                self.deleted = false;
            }
            Content::Fields(fields) => {
                let mut new = self.values.take().unwrap_or_else(|| empty(change, table));
                let old = new.clone();
                set(&mut new, fields.iter().cloned());
                self.changed |= old != new || self.stored.record.is_none() || self.deleted;
                self.values = Some(new);
                self.deleted = false;
            }
            Content::Key => {}
        }
    }
}

/// Returns the values of a row of which only the key is known.
fn empty(change: &Change, table: &ModelTable) -> Vec<Value> {
    let mut values = vec![Value::Null; table.model.columns.len()];
    set(
        &mut values,
        [(table.model.key_index(), Value::Text(change.key.clone()))],
    );
    values
}

/// Applies changes, in order, to the rows of a connection. `None` if the connection is being deleted.
pub(super) fn apply(
    c: &mut DbConn,
    table: &ModelTable,
    connection: ConnectionId,
    changes: &[&Change],
    can_reread: bool,
    now: Timestamp,
) -> Result<Option<Applied>, StoreError> {
    let rows = table.rows(connection, now);
    let keys: Vec<String> = changes.iter().map(|change| change.stored_key()).collect();
    let distinct: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let Some(mut stored) = records::lock_and_read(c, &rows, &distinct)? else {
        return Ok(None);
    };
    let mut applied = Applied::default();
    let mut states: HashMap<&str, Row> = HashMap::with_capacity(distinct.len());
    for (index, (change, key)) in changes.iter().zip(&keys).enumerate() {
        let row = states
            .entry(key.as_str())
            .or_insert_with(|| Row::new(stored.remove(key).unwrap_or_default()));
        let reread = match row.verdict(change) {
            Verdict::Older => false,
            Verdict::Apply => {
                row.apply(change, table);
                change.reread
            }
            Verdict::Unsure if can_reread => true,
            Verdict::Unsure => {
                // Without a way to read the record, a row that the table lacks is made of what the event says.
                if row.stored.record.is_none() && row.stored.version.is_none() && !row.deleted && !row.touched
                {
                    row.apply(change, table);
                }
                applied.unsure = true;
                false
            }
        };
        if reread {
            applied
                .reread
                .entry(change.key.clone())
                .or_default()
                .insert(index);
        }
    }
    let mut records = Vec::new();
    let mut gone = Vec::new();
    let mut versions = Vec::new();
    for (key, row) in &mut states {
        if !row.touched {
            continue;
        }
        // Only events with a time or a number are compared with each other, and deletions leave something behind.
        if row.version.is_some() || row.deleted || row.stored.version.is_some() {
            versions.push((*key, row.version));
        }
        if row.deleted {
            gone.push((*key).to_owned());
        } else if row.changed
            && let Some(values) = row.values.take()
        {
            match table.reader.record_of(values, row.extra.take()) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(%error, "a row of an event cannot be written"),
            }
        }
    }
    applied.rows = records::put_and_remove(c, &rows, &records, &gone, None)?;
    versions.sort_unstable();
    records::set_versions(c, &rows, &versions)?;
    Ok(Some(applied))
}
