//! The change feed: what happened to a connection's rows since a change number, and the pruning of rows that a reader has taken.

use diesel::prelude::*;
use domain::{ConnectionId, Model, RecordAction, StoredRecord, Timestamp, stored_key};

use super::TableSql;
use super::query::stored_record;
use super::select::Select;
use crate::dialect::{Bind, Statement, is_in_gap, lock_counter, quoted};
use crate::schema::counters;
use crate::{DbConn, Dialect, StoreError};

/// Returns the condition for rows with that [`StoredRecord::last_action`].
const fn condition(action: RecordAction) -> &'static str {
    match action {
        RecordAction::Added => "\"_deleted_at\" IS NULL AND \"_first_seen_at\" = \"_last_modified_at\"",
        RecordAction::Updated => "\"_deleted_at\" IS NULL AND \"_first_seen_at\" <> \"_last_modified_at\"",
        RecordAction::Deleted => "\"_deleted_at\" IS NOT NULL",
    }
}

/// Selects the changes to read.
#[derive(Debug, Clone, Default)]
pub struct ChangeQuery {
    /// Only those with a higher change number.
    pub after: i64,
    /// Only rows that were last written then or later.
    pub modified_since: Option<Timestamp>,
    /// Only rows whose last action is one of these; empty for all.
    pub actions: Vec<RecordAction>,
    /// Only rows with one of these keys.
    pub keys: Option<Vec<String>>,
    /// At most this many.
    pub limit: i64,
}

/// Returns the connection's rows that match the query, including deleted and pruned ones, in the order of their change numbers.
pub fn changes(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    query: &ChangeQuery,
) -> Result<Vec<StoredRecord>, StoreError> {
    // A reader that is ahead of a restored backup may have seen any row in a state that was lost.
    let lost = query.after > 0 && is_in_gap(c, connection, table.name(), query.after)?;
    let after = if lost { 0 } else { query.after };
    let keys: Option<Vec<_>> = query
        .keys
        .as_ref()
        .map(|keys| keys.iter().map(|key| stored_key(key)).collect());
    let mut select = Select::of(table, &table.select, connection);
    select.and("\"_cursor\" > ?", [Bind::integer(after)]);
    if let Some(since) = query.modified_since {
        select.and("\"_last_modified_at\" >= ?", [Bind::moment(since)]);
    }
    if !query.actions.is_empty() {
        let any_of: Vec<_> = query.actions.iter().copied().map(condition).collect();
        select.and(&format!("({})", any_of.join(" OR ")), []);
    }
    if let Some(keys) = &keys {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        select.and_any_of(&table.model.key, &keys)?;
    }
    select
        .ordered("\"_cursor\"", query.limit)
        .load(c, |row| stored_record(row, &table.model))
}

/// The result of [`prune`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Rows pruned.
    pub count: u64,
    /// Whether there are more rows to prune.
    pub has_more: bool,
}

/// Prunes up to `limit` of the connection's rows whose change number is at most `until`, in the order of these numbers.
///
/// A pruned row keeps its key, the columns that order and select rows, and those that every table has. It is written completely again when
/// its record changes. Call it in [`crate::Store::write`].
pub fn prune(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    until: i64,
    limit: i64,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    lock_counter(c, connection, table.name())?;
    let counter = counters::table.find((connection.raw(), table.name()));
    // All up to here were pruned before, and those that changed since have higher numbers.
    let from: i64 = counter.select(counters::pruned_to).get_result(c)?;
    let (to, count) = next(c, table, connection, from, until, limit)?;
    if count == 0 {
        return Ok(Pruned {
            count: 0,
            has_more: false,
        });
    }
    let sql = format!(
        "UPDATE {} SET {}\"_extra\" = NULL, \"_pruned_at\" = ? WHERE \"_connection_id\" = ? AND \"_cursor\" > ? AND \"_cursor\" <= ?",
        table.table,
        emptied(&table.model)
    );
    let binds = vec![
        Bind::moment(now),
        Bind::integer(connection.raw()),
        Bind::integer(from),
        Bind::integer(to),
    ];
    Statement::new(sql, binds).execute(c)?;
    diesel::update(counter)
        .set(counters::pruned_to.eq(to))
        .execute(c)?;
    let (_, left) = next(c, table, connection, to, until, 1)?;
    Ok(Pruned {
        count: u64::try_from(count).unwrap_or_default(),
        has_more: left > 0,
    })
}

/// Returns the part of an update that empties what pruning removes.
///
/// It keeps the columns that order rows and those that the sync selects rows by: without them the engine could not tell in which range a row
/// is, or that it is not final. It keeps the hash, so that an unchanged record is not written again.
fn emptied(model: &Model) -> String {
    let names = model.columns.keys().filter(|name| {
        **name != model.key && !model.newest_by.contains(name) && !model.selected_by.contains(name)
    });
    names.map(|name| quoted(name) + " = NULL, ").collect()
}

/// Returns the last of the next `limit` change numbers above `from` and up to `until`, and how many there are.
fn next(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    from: i64,
    until: i64,
    limit: i64,
) -> Result<(i64, i64), StoreError> {
    let sql = format!(
        "SELECT max(\"_cursor\"), count(*) FROM (SELECT \"_cursor\" FROM {} WHERE \"_connection_id\" = ? \
         AND \"_cursor\" > ? AND \"_cursor\" <= ? ORDER BY \"_cursor\" LIMIT ?) AS next",
        table.table
    );
    let binds = [connection.raw(), from, until, limit].map(Bind::integer).into();
    let found = Statement::new(sql, binds).first(c, |row| {
        Ok((row.integer(0)?.unwrap_or_default(), row.some_integer(1)?))
    })?;
    Ok(found.unwrap_or_default())
}

/// Deletes up to `limit` rows of the connection for good. Returns how many; repeat until that is 0.
pub fn delete_connection(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    limit: i64,
) -> Result<u64, StoreError> {
    lock_counter(c, connection, table.name())?;
    super::forget_versions(c, table, connection)?;
    let name = &table.table;
    // In PostgreSQL a `ctid` identifies a row only within a partition. A partitioned table is divided by connection, so without the
    // condition on the connection the rows of other connections would be deleted.
    let which = match table.dialect {
        Dialect::Sqlite => {
            format!("rowid IN (SELECT rowid FROM {name} WHERE \"_connection_id\" = ? LIMIT ?)")
        }
        Dialect::Postgres => {
            format!("ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE \"_connection_id\" = ? LIMIT ?))")
        }
    };
    let sql = format!(
        "DELETE FROM {name} WHERE \"_connection_id\" = ? AND {which} RETURNING \"_deleted_at\" IS NULL"
    );
    let binds = [connection.raw(), connection.raw(), limit].map(Bind::integer);
    let were_live =
        Statement::new(sql, binds.into()).load(c, |row| Ok(row.boolean(0)?.unwrap_or_default()))?;
    let live = i64::try_from(were_live.iter().filter(|live| **live).count()).unwrap_or(i64::MAX);
    diesel::update(counters::table.find((connection.raw(), table.name())))
        .set(counters::live.eq(counters::live - live))
        .execute(c)?;
    Ok(u64::try_from(were_live.len()).unwrap_or(u64::MAX))
}
