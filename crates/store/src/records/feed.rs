//! The change feed: what happened to a connection's rows since a change number, and how rows that were taken in are emptied.

use diesel::prelude::*;
use domain::{ConnectionId, Model, RecordAction, StoredRecord, Timestamp, stored_key};

use super::TableSql;
use super::query::stored_record;
use super::select::Select;
use super::sql::{any, keys_bind};
use crate::dialect::{Bind, Statement, is_in_gap, lock_counter, quoted};
use crate::schema::counters;
use crate::{DbConn, StoreError};

/// Returns the condition on a row; each row meets exactly one of the three, as [`StoredRecord::last_action`] does.
const fn condition(action: RecordAction) -> &'static str {
    match action {
        RecordAction::Added => "\"_deleted_at\" IS NULL AND \"_first_seen_at\" = \"_last_modified_at\"",
        RecordAction::Updated => "\"_deleted_at\" IS NULL AND \"_first_seen_at\" <> \"_last_modified_at\"",
        RecordAction::Deleted => "\"_deleted_at\" IS NOT NULL",
    }
}

/// Which changes to read.
#[derive(Debug, Clone, Default)]
pub struct ChangeQuery {
    /// Only those with a higher change number.
    pub after: i64,
    /// Only rows last written then or later.
    pub modified_since: Option<Timestamp>,
    /// Only rows to which one of these happened last; empty for all.
    pub actions: Vec<RecordAction>,
    /// Only rows with one of these keys.
    pub keys: Option<Vec<String>>,
    /// At most so many.
    pub limit: i64,
}

/// The connection's rows that pass the query in the order of their change numbers, deleted and pruned ones among them.
pub fn changes(
    c: &mut DbConn,
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    query: &ChangeQuery,
) -> Result<Vec<StoredRecord>, StoreError> {
    // A reader that is ahead of what was restored may have seen any row in a state that is gone.
    let lost = query.after > 0 && is_in_gap(c, connection, table.name.as_str(), query.after)?;
    let after = if lost { 0 } else { query.after };
    let keys: Option<Vec<_>> = query
        .keys
        .as_ref()
        .map(|keys| keys.iter().map(|key| stored_key(key)).collect());
    let mut select = Select::of(&table.select, connection);
    select.and("\"_cursor\" > ?", [Bind::integer(after)]);
    if let Some(since) = query.modified_since {
        select.and("\"_last_modified_at\" >= ?", [Bind::moment(since)]);
    }
    if !query.actions.is_empty() {
        let any_of: Vec<_> = query.actions.iter().copied().map(condition).collect();
        select.and(&format!("({})", any_of.join(" OR ")), []);
    }
    if let Some(keys) = &keys {
        let keys = keys_bind(table.dialect, keys.iter().map(AsRef::as_ref))?;
        select.and(&format!("{} {}", quoted(&model.key), any(table.dialect)), [keys]);
    }
    select
        .ordered("\"_cursor\"", query.limit)
        .load(c, |row| stored_record(row, model))
}

/// What [`prune`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Rows emptied.
    pub count: u64,
    /// Whether rows up to the number given are left.
    pub has_more: bool,
}

/// Empties up to `limit` of the connection's rows, the earliest changed first, whose change number is `until` or lower.
///
/// A pruned row keeps its key, the columns by which rows are ordered and sought, and those of every table, its change number among
/// them, and is written whole again when its record changes. To be called within [`crate::Store::write`].
pub fn prune(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    until: i64,
    limit: i64,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    lock_counter(c, connection, table.name.as_str())?;
    let counter = counters::table.find((connection.raw(), table.name.as_str()));
    // All up to here were pruned before. Those that changed since stand higher: the search need not pass over them again.
    let from: i64 = counter.select(counters::pruned_to).first(c)?;
    let (to, count) = next(c, table, connection, from, until, limit)?;
    if count == 0 {
        return Ok(Pruned {
            count: 0,
            has_more: false,
        });
    }
    let binds = vec![
        Bind::moment(now),
        Bind::integer(connection.raw()),
        Bind::integer(from),
        Bind::integer(to),
    ];
    Statement::new(table.prune.as_str(), binds).execute(c)?;
    diesel::update(counter)
        .set(counters::pruned_to.eq(to))
        .execute(c)?;
    let (_, left) = next(c, table, connection, to, until, 1)?;
    Ok(Pruned {
        count: u64::try_from(count).unwrap_or_default(),
        has_more: left > 0,
    })
}

/// The last of the next `limit` change numbers above `from` and up to `until`, and how many there are.
fn next(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    from: i64,
    until: i64,
    limit: i64,
) -> Result<(i64, i64), StoreError> {
    let binds = [connection.raw(), from, until, limit].map(Bind::integer).into();
    let found = Statement::new(table.prune_to.as_str(), binds).load(c, |row| {
        Ok((row.integer(0)?.unwrap_or_default(), row.some_integer(1)?))
    })?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Deletes up to `limit` rows of the connection for good; gives how many. To be repeated until it gives 0.
pub fn delete_connection(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    limit: i64,
) -> Result<u64, StoreError> {
    lock_counter(c, connection, table.name.as_str())?;
    let purge = Statement::new(
        table.purge.as_str(),
        [connection.raw(), connection.raw(), limit]
            .map(Bind::integer)
            .into(),
    );
    let were_live = purge.load(c, |row| Ok(row.boolean(0)?.unwrap_or_default()))?;
    let live = i64::try_from(were_live.iter().filter(|live| **live).count()).unwrap_or(i64::MAX);
    diesel::update(counters::table.find((connection.raw(), table.name.as_str())))
        .set(counters::live.eq(counters::live - live))
        .execute(c)?;
    Ok(u64::try_from(were_live.len()).unwrap_or(u64::MAX))
}
