//! Reads synced records: lists, newest first, and keys to recheck.

use diesel::prelude::*;
use domain::{
    ColumnKind, ConnectionId, MAX_KEY_BYTES, Model, Position, Storage, StoredRecord, TableName, Timestamp,
    Value, stored_key,
};

use super::TableSql;
use super::select::Select;
use super::sql::{any, cast, keys_bind};
use super::write::single;
use crate::dialect::{
    Bind, Comparison, Fields, Statement, beginning, comparison, is_long, is_short, quoted, shortest_decimal,
};
use crate::schema::counters;
use crate::{DbConn, StoreError};

/// Rows whose `column` lies in `[from, to)`.
#[derive(Debug, Clone)]
pub struct KeyRange<'a> {
    /// A timestamp column.
    pub column: &'a TableName,
    /// Included.
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
}

/// A side of a range. Ranges are half-open, so that adjacent ones neither share nor miss a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At the bound or later.
    After,
    /// Earlier than the bound.
    Before,
}

/// Selects the records to list.
#[derive(Debug, Clone, Default)]
pub struct RecordQuery {
    /// Columns that must have exactly these values; [`Value::Null`] for none.
    pub equals: Vec<(TableName, Value)>,
    /// Timestamp columns that must be on one side of a bound.
    pub ranges: Vec<(TableName, Bound, Timestamp)>,
    /// Only rows after this one.
    pub position: Option<Position>,
    /// At most this many.
    pub limit: i64,
    /// Rows that are marked as deleted instead of live ones. Pruned live rows are omitted, since they have nothing to show.
    pub deleted: bool,
}

/// Returns up to `limit` keys of live rows after the key `after`, in the order of keys.
///
/// Only of rows whose change number is at most `up_to` and, with a range, that are within it.
#[expect(clippy::too_many_arguments, reason = "each is a condition of its own")]
pub fn live_keys(
    c: &mut DbConn,
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    range: Option<&KeyRange<'_>>,
    up_to: i64,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let mut select = Select::live_keys(table, connection);
    select.and("\"_cursor\" <= ?", [Bind::integer(up_to)]);
    if let Some(range) = range {
        select.within(table, model, range);
    }
    select.keys(c, table, after, limit)
}

/// Returns the last change number of the connection's rows; 0 if there is none.
pub fn last_number(c: &mut DbConn, table: &TableSql, connection: ConnectionId) -> Result<i64, StoreError> {
    let number: Option<i64> = counters::table
        .find((connection.raw(), table.name.as_str()))
        .select(counters::last_number)
        .first(c)
        .optional()?;
    Ok(number.unwrap_or_default())
}

/// Returns the provider's key of a row, if the stored `key` is a shortened one.
pub fn long_key(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    key: &str,
) -> Result<Option<String>, StoreError> {
    let binds = vec![Bind::integer(connection.raw()), Bind::text(key)];
    let found = Statement::new(table.long_key.as_str(), binds).first(c, |row| row.text(0))?;
    Ok(found.flatten())
}

/// Returns how many live rows the connection has, which the counter says.
pub fn count_live(c: &mut DbConn, table: &TableSql, connection: ConnectionId) -> Result<u64, StoreError> {
    let live: Option<i64> = counters::table
        .find((connection.raw(), table.name.as_str()))
        .select(counters::live)
        .first(c)
        .optional()?;
    Ok(u64::try_from(live.unwrap_or_default()).unwrap_or_default())
}

/// Returns up to `limit` keys of live rows after the key `after` whose `column` has one of `values`, in the order of keys.
///
/// With `undated`, only of rows without a value in that column; with a range, only of rows within it.
#[expect(clippy::too_many_arguments, reason = "each is a condition of its own")]
pub fn unfinished(
    c: &mut DbConn,
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    column: &TableName,
    values: &[String],
    undated: Option<&TableName>,
    range: Option<&KeyRange<'_>>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let mut select = Select::live_keys(table, connection);
    let short = values.iter().all(|value| value.len() <= MAX_KEY_BYTES);
    let values = keys_bind(table.dialect, values.iter().map(String::as_str))?;
    select.and(&format!("{} {}", quoted(column), any(table.dialect)), [values]);
    if short && comparison(model, column, table.dialect) == Comparison::BoundedText {
        select.and(&is_short(&quoted(column)), []);
    }
    if let Some(undated) = undated {
        select.and(&format!("{} IS NULL", quoted(undated)), []);
    }
    if let Some(range) = range {
        select.within(table, model, range);
    }
    select.keys(c, table, after, limit)
}

/// Returns up to `limit` keys of live rows after the key `after` without a value in `column` that are at `since` or later in the model's
/// order, in the order of keys.
pub fn undated_since(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    column: &TableName,
    since: Timestamp,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let mut select = Select::live_keys(table, connection);
    select.and(&format!("{} IS NULL", quoted(column)), []);
    select.and(&format!("{} >= ?", table.newest), [Bind::moment(since)]);
    select.keys(c, table, after, limit)
}

/// Returns the connection's rows that match the query, newest first.
pub fn list(
    c: &mut DbConn,
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    query: &RecordQuery,
) -> Result<Vec<StoredRecord>, StoreError> {
    let (newest, key) = (&table.newest, &table.key);
    let page = |c: &mut DbConn, condition: Option<(String, Vec<Bind<'_>>)>, limit: i64| {
        page(table, model, connection, query, condition, limit).load(c, |row| stored_record(row, model))
    };
    let undated = |key_before: Option<&str>| match key_before {
        Some(before) => (
            format!("{newest} IS NULL AND {key} < ?"),
            vec![Bind::text(before.to_owned())],
        ),
        None => (format!("{newest} IS NULL"), Vec::new()),
    };
    let Some(position) = &query.position else {
        return page(c, None, query.limit);
    };
    let Some(at) = position.at else {
        return page(c, Some(undated(Some(&position.key))), query.limit);
    };
    // Two statements, each of which uses the index; one with OR would not.
    let behind = (
        format!("({newest}, {key}) < (?, ?)"),
        vec![Bind::moment(at), Bind::text(position.key.clone())],
    );
    let mut rows = page(c, Some(behind), query.limit)?;
    let missing = query
        .limit
        .saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    if missing > 0 {
        rows.extend(page(c, Some(undated(None)), missing)?);
    }
    Ok(rows)
}

/// Returns the statement of one page of a list.
fn page<'a>(
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    query: &'a RecordQuery,
    condition: Option<(String, Vec<Bind<'a>>)>,
    limit: i64,
) -> Statement<'a> {
    let mut select = Select::of(&table.select, connection);
    filter(&mut select, table, model, query);
    if let Some((condition, binds)) = condition {
        select.and(&condition, binds);
    }
    select.ordered(
        &format!("{} DESC NULLS LAST, {} DESC", table.newest, table.key),
        limit,
    )
}

/// Returns how the database executes the first page of a list, one line for each step.
#[cfg(feature = "testing")]
pub fn query_plan(
    c: &mut DbConn,
    table: &TableSql,
    model: &Model,
    connection: ConnectionId,
    query: &RecordQuery,
) -> Result<Vec<String>, StoreError> {
    page(table, model, connection, query, None, query.limit).plan(c)
}

fn filter<'a>(select: &mut Select<'a>, table: &TableSql, model: &Model, query: &'a RecordQuery) {
    select.and(
        if query.deleted {
            "\"_deleted_at\" IS NOT NULL"
        } else {
            "\"_deleted_at\" IS NULL AND \"_pruned_at\" IS NULL"
        },
        [],
    );
    for (name, value) in &query.equals {
        equals(select, table, model, name, value);
    }
    for (name, bound, time) in &query.ranges {
        let comparison = match bound {
            Bound::After => ">=",
            Bound::Before => "<",
        };
        select.and_time(table, model, name, comparison, *time);
    }
}

/// Adds the condition that a column has exactly this value, in a form for which the database uses the column's index.
fn equals<'a>(select: &mut Select<'a>, table: &TableSql, model: &Model, name: &TableName, value: &'a Value) {
    let column = quoted(name);
    match (comparison(model, name, table.dialect), value) {
        (Comparison::BoundedText, Value::Text(text)) if text.len() > MAX_KEY_BYTES => {
            let condition = format!(
                "{column} = ? AND {} = {} AND {}",
                beginning(&column),
                beginning("?"),
                is_long(&column)
            );
            select.and(&condition, [single(value), single(value)]);
        }
        (Comparison::BoundedText, Value::Null) => {
            select.and(&format!("{column} IS NULL AND {}", is_short(&column)), []);
        }
        (Comparison::BoundedText, _) => {
            select.and(
                &format!("{column} = ? AND {}", is_short(&column)),
                [single(value)],
            );
        }
        (_, Value::Null) => select.and(&format!("{column} IS NULL"), []),
        (Comparison::DecimalText, Value::Decimal(digits)) => {
            let shortest = match digits.split_once('.') {
                Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
                None => digits,
            };
            select.and(
                &format!("{} = ?", shortest_decimal(&column)),
                [Bind::text(shortest)],
            );
        }
        (_, Value::Text(key)) if *name == model.key => {
            select.and(&format!("{column} = ?"), [Bind::text(stored_key(key))]);
        }
        _ => {
            let kind = model
                .columns
                .get(name)
                .map_or(ColumnKind::Text, |column| column.kind);
            select.and(
                &format!("{column} = ?{}", cast(kind, table.dialect)),
                [single(value)],
            );
        }
    }
}

/// Reads a row of [`TableSql`]'s `select`.
pub(super) fn stored_record(row: &dyn Fields, model: &Model) -> diesel::deserialize::Result<StoredRecord> {
    let mut values: Vec<_> = model
        .columns
        .values()
        .enumerate()
        .map(|(index, column)| value(row, index, column.kind))
        .collect::<Result<_, _>>()?;
    let key = match values.get(model.key_index()) {
        Some(Value::Text(key)) => key.clone(),
        _ => return Err(diesel::result::UnexpectedNullError.into()),
    };
    let rest = values.len();
    let whole = row.text(rest + 7)?;
    if let Some((whole, shown)) = whole.as_ref().zip(values.get_mut(model.key_index())) {
        *shown = Value::Text(whole.clone());
    }
    Ok(StoredRecord {
        key: whole.unwrap_or_else(|| key.clone()),
        values,
        extra: row.text(rest)?,
        first_seen_at: row.some_moment(rest + 1)?,
        last_modified_at: row.some_moment(rest + 2)?,
        deleted_at: row.moment(rest + 3)?,
        pruned_at: row.moment(rest + 4)?,
        cursor: row.some_integer(rest + 5)?,
        position: Position {
            at: row.moment(rest + 6)?,
            key,
        },
    })
}

fn value(row: &dyn Fields, index: usize, kind: ColumnKind) -> diesel::deserialize::Result<Value> {
    Ok(match kind.info().storage {
        Storage::Text => row.text(index)?.map(|text| Value::of_text(kind, text)),
        Storage::Integer => row.integer(index)?.map(Value::Integer),
        Storage::Boolean => row.boolean(index)?.map(Value::Boolean),
        Storage::Timestamp => row.moment(index)?.map(Value::Timestamp),
    }
    .unwrap_or(Value::Null))
}
