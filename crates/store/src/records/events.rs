//! Changes rows by a provider's events. They take the same locks and change numbers as a page.
//!
//! A row may have a version: the time or the number of the last event that was applied to it, and the change number that the row had then.
//! If the row still has that change number, nothing else has written it since.

use std::collections::HashMap;

use domain::{ConnectionId, Record, StoredRecord};

use super::commit::{mark_live_deleted, write_rows};
use super::query::stored_record;
use super::select::Select;
use super::{PageCounts, Requested, Rows};
use crate::dialect::{Bind, Statement, any, lock_counter, text_list};
use crate::{DbConn, StoreError, credentials};

/// How far events have brought a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowVersion {
    /// The time in microseconds, or the number, of the last event that was applied; `None` if it had neither.
    pub version: Option<i64>,
    /// The change number that the row had then; 0 if there was no row.
    pub number: i64,
}

/// What is stored under a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRow {
    /// The row, live or not.
    pub record: Option<StoredRecord>,
    /// How far events have brought it.
    pub version: Option<RowVersion>,
}

/// Keeps other writers from the connection's rows until the transaction ends, and returns what is stored under these stored keys. `None` if
/// the connection is being deleted.
pub fn lock_and_read(
    c: &mut DbConn,
    rows: &Rows<'_>,
    keys: &[&str],
) -> Result<Option<HashMap<String, StoredRow>>, StoreError> {
    if !credentials::lock(c, rows.connection)? {
        return Ok(None);
    }
    lock_counter(c, rows.connection, rows.table.name())?;
    let mut found: HashMap<String, StoredRow> = HashMap::new();
    let mut select = Select::of(rows.table, &rows.table.select, rows.connection);
    select.and_any_of(&rows.table.model.key, keys)?;
    let most = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let records = select
        .ordered(&rows.table.key, most)
        .load(c, |row| stored_record(row, &rows.table.model))?;
    for record in records {
        let key = record.position.key.clone();
        found.entry(key).or_default().record = Some(record);
    }
    let sql = format!(
        "SELECT key, version, number FROM row_versions WHERE connection_id = ? AND model_table = ? AND key {}",
        any(rows.table.dialect)
    );
    let binds = vec![
        Bind::integer(rows.connection.raw()),
        Bind::text(rows.table.name()),
        text_list(rows.table.dialect, keys)?,
    ];
    let versions = Statement::new(sql, binds).load(c, |row| {
        let version = RowVersion {
            version: row.integer(1)?,
            number: row.some_integer(2)?,
        };
        Ok((row.some_text(0)?, version))
    })?;
    for (key, version) in versions {
        found.entry(key).or_default().version = Some(version);
    }
    Ok(Some(found))
}

/// Remembers how far events have brought the rows with these stored keys. Their change numbers are read from the table.
pub fn set_versions(
    c: &mut DbConn,
    rows: &Rows<'_>,
    versions: &[(&str, Option<i64>)],
) -> Result<(), StoreError> {
    for (key, version) in versions {
        let sql = format!(
            "INSERT INTO row_versions (connection_id, model_table, key, version, number, updated_at) \
             VALUES (?, ?, ?, ?, COALESCE((SELECT \"_cursor\" FROM {} WHERE \"_connection_id\" = ? AND {} = ?), 0), ?) \
             ON CONFLICT (connection_id, model_table, key) \
             DO UPDATE SET version = excluded.version, number = excluded.number, updated_at = excluded.updated_at",
            rows.table.table, rows.table.key
        );
        let binds = vec![
            Bind::integer(rows.connection.raw()),
            Bind::text(rows.table.name()),
            Bind::text(*key),
            Bind::Integer(*version),
            Bind::integer(rows.connection.raw()),
            Bind::text(*key),
            Bind::integer(rows.now.as_micros()),
        ];
        Statement::new(sql, binds).execute(c)?;
    }
    Ok(())
}

/// What a change of single rows did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows inserted.
    pub added: u64,
    /// Rows that differed.
    pub updated: u64,
    /// Rows marked as deleted.
    pub deleted: u64,
    /// The first and the last change number.
    pub numbers: Option<(i64, i64)>,
}

impl RowChanges {
    /// Whether a row has changed.
    pub const fn any(&self) -> bool {
        self.numbers.is_some()
    }

    /// Adds later changes.
    pub fn merge(&mut self, later: &Self) {
        self.added = self.added.saturating_add(later.added);
        self.updated = self.updated.saturating_add(later.updated);
        self.deleted = self.deleted.saturating_add(later.deleted);
        self.numbers = match (self.numbers, later.numbers) {
            (Some((first, last)), Some((start, end))) => Some((first.min(start), last.max(end))),
            (numbers, later) => numbers.or(later),
        };
    }
}

impl From<PageCounts> for RowChanges {
    fn from(counts: PageCounts) -> Self {
        Self {
            added: counts.added,
            updated: counts.updated,
            deleted: 0,
            numbers: counts.written.map(|numbers| (*numbers.start(), *numbers.end())),
        }
    }
}

/// Writes records and marks those with the stored keys `gone` as deleted. With `up_to`, a row with a greater change number stays as it is: it was
/// written since the records were requested. Does nothing if the connection is being deleted.
pub fn put_and_remove(
    c: &mut DbConn,
    rows: &Rows<'_>,
    records: &[Record],
    gone: &[String],
    up_to: Option<i64>,
) -> Result<RowChanges, StoreError> {
    let mut changes = RowChanges::default();
    if !credentials::lock(c, rows.connection)? {
        return Ok(changes);
    }
    if !records.is_empty() {
        let requested = up_to.map(|after| Requested {
            after,
            ..Requested::default()
        });
        changes = write_rows(c, rows, records, requested.as_ref(), None)?.into();
    }
    if !gone.is_empty() {
        let numbers = mark_live_deleted(c, rows, gone, up_to.unwrap_or(i64::MAX))?;
        changes.merge(&RowChanges {
            deleted: super::commit::count(numbers.as_ref()),
            numbers: numbers.map(|numbers| (*numbers.start(), *numbers.end())),
            ..RowChanges::default()
        });
    }
    Ok(changes)
}

/// Forgets how far events have brought the connection's rows of a table, because the rows are deleted.
pub fn forget_versions(
    c: &mut DbConn,
    table: &super::TableSql,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM row_versions WHERE connection_id = ? AND model_table = ?";
    let binds = vec![Bind::integer(connection.raw()), Bind::text(table.name())];
    Statement::new(sql, binds).execute(c).map(drop)
}
