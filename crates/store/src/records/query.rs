//! Reads synced records: lists, newest first, and keys to recheck.

use diesel::prelude::*;
use domain::{
    ColumnKind, ConnectionId, MAX_KEY_BYTES, Model, Position, Storage, StoredRecord, TableName, Timestamp,
    Value, stored_key,
};

use super::TableSql;
use super::select::Select;
use super::sql::cast;
use super::write::single;
use crate::dialect::{
    Bind, Comparison, Fields, Statement, comparison, long_condition, quoted, short_condition,
    shortest_decimal, text_prefix,
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
    From,
    /// Earlier than the bound.
    Until,
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

/// Selects keys of live rows.
#[derive(Debug, Clone, Default)]
pub struct KeyQuery<'a> {
    /// Only of rows whose change number is at most this.
    pub up_to: Option<i64>,
    /// Only of rows whose column has one of these values.
    pub values: Option<(&'a TableName, &'a [String])>,
    /// Only of rows without a value in this column.
    pub undated: Option<&'a TableName>,
    /// Only of rows that are at this time or later in the model's order.
    pub since: Option<Timestamp>,
    /// Only of rows within this range.
    pub range: Option<KeyRange<'a>>,
    /// Only keys after this one.
    pub after: Option<&'a str>,
    /// At most this many.
    pub limit: i64,
}

/// Returns the keys of the connection's live rows that match the query, in their order.
pub fn live_keys(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    query: &KeyQuery<'_>,
) -> Result<Vec<String>, StoreError> {
    let mut select = Select::of(table, &table.select_key, connection);
    select.and("\"_deleted_at\" IS NULL", []);
    if let Some(up_to) = query.up_to {
        select.and("\"_cursor\" <= ?", [Bind::integer(up_to)]);
    }
    if let Some((column, values)) = query.values {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        select.and_any_of(column, &values)?;
        let short = values.iter().all(|value| value.len() <= MAX_KEY_BYTES);
        if short && comparison(&table.model, column, table.dialect) == Comparison::SplitIndex {
            select.and(&short_condition(&quoted(column)), []);
        }
    }
    if let Some(column) = query.undated {
        select.and(&format!("{} IS NULL", quoted(column)), []);
    }
    if let Some(since) = query.since {
        select.and(&format!("{} >= ?", table.order_time), [Bind::moment(since)]);
    }
    if let Some(range) = &query.range {
        select.and_time(range.column, ">=", range.from);
        select.and_time(range.column, "<", range.to);
    }
    if let Some(after) = query.after {
        select.and(&format!("{} > ?", table.key), [Bind::text(after)]);
    }
    select
        .ordered(&table.key, query.limit)
        .load(c, |row| row.some_text(0))
}

/// Returns the last change number of the connection's rows; 0 if there is none.
pub fn last_number(c: &mut DbConn, table: &TableSql, connection: ConnectionId) -> Result<i64, StoreError> {
    let number: Option<i64> = counters::table
        .find((connection.raw(), table.name()))
        .select(counters::last_number)
        .get_result(c)
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
    let sql = format!(
        "SELECT \"_long_key\" FROM {} WHERE \"_connection_id\" = ? AND {} = ?",
        table.table, table.key
    );
    let binds = vec![Bind::integer(connection.raw()), Bind::text(key)];
    let found = Statement::new(sql, binds).first(c, |row| row.text(0))?;
    Ok(found.flatten())
}

/// Returns how many live rows the connection has, which the counter says.
pub fn count_live(c: &mut DbConn, table: &TableSql, connection: ConnectionId) -> Result<u64, StoreError> {
    let live: Option<i64> = counters::table
        .find((connection.raw(), table.name()))
        .select(counters::live)
        .get_result(c)
        .optional()?;
    Ok(u64::try_from(live.unwrap_or_default()).unwrap_or_default())
}

/// Returns the connection's rows that match the query, newest first.
pub fn list(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    query: &RecordQuery,
) -> Result<Vec<StoredRecord>, StoreError> {
    let (order_time, key) = (&table.order_time, &table.key);
    let page = |c: &mut DbConn, condition: Option<(String, Vec<Bind<'_>>)>, limit: i64| {
        page(table, connection, query, condition, limit).load(c, |row| stored_record(row, &table.model))
    };
    let undated = |key_before: Option<&str>| match key_before {
        Some(before) => (
            format!("{order_time} IS NULL AND {key} < ?"),
            vec![Bind::text(before.to_owned())],
        ),
        None => (format!("{order_time} IS NULL"), Vec::new()),
    };
    let Some(position) = &query.position else {
        return page(c, None, query.limit);
    };
    let Some(at) = position.at else {
        return page(c, Some(undated(Some(&position.key))), query.limit);
    };
    // Two statements, each of which uses the index; one with OR would not.
    let behind = (
        format!("({order_time}, {key}) < (?, ?)"),
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
    table: &'a TableSql,
    connection: ConnectionId,
    query: &'a RecordQuery,
    condition: Option<(String, Vec<Bind<'a>>)>,
    limit: i64,
) -> Statement<'a> {
    let mut select = Select::of(table, &table.select, connection);
    filter(&mut select, query);
    if let Some((condition, binds)) = condition {
        select.and(&condition, binds);
    }
    select.ordered(
        &format!("{} DESC NULLS LAST, {} DESC", table.order_time, table.key),
        limit,
    )
}

/// Returns how the database executes the first page of a list, one line for each step.
#[cfg(feature = "testing")]
pub fn query_plan(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    query: &RecordQuery,
) -> Result<Vec<String>, StoreError> {
    page(table, connection, query, None, query.limit).plan(c)
}

fn filter<'a>(select: &mut Select<'a>, query: &'a RecordQuery) {
    select.and(
        if query.deleted {
            "\"_deleted_at\" IS NOT NULL"
        } else {
            "\"_deleted_at\" IS NULL AND \"_pruned_at\" IS NULL"
        },
        [],
    );
    for (name, value) in &query.equals {
        equals(select, name, value);
    }
    for (name, bound, time) in &query.ranges {
        let comparison = match bound {
            Bound::From => ">=",
            Bound::Until => "<",
        };
        select.and_time(name, comparison, *time);
    }
}

/// Adds the condition that a column has exactly this value, in a form for which the database uses the column's index.
fn equals<'a>(select: &mut Select<'a>, name: &TableName, value: &'a Value) {
    let (table, column) = (select.table, quoted(name));
    let (model, dialect) = (&table.model, table.dialect);
    let (condition, binds) = match (comparison(model, name, dialect), value) {
        (Comparison::SplitIndex, Value::Text(text)) if text.len() > MAX_KEY_BYTES => (
            format!(
                "{column} = ? AND {} = {} AND {}",
                text_prefix(&column),
                text_prefix("?"),
                long_condition(&column)
            ),
            vec![single(value), single(value)],
        ),
        (Comparison::SplitIndex, Value::Null) => (
            format!("{column} IS NULL AND {}", short_condition(&column)),
            vec![],
        ),
        (Comparison::SplitIndex, _) => (
            format!("{column} = ? AND {}", short_condition(&column)),
            vec![single(value)],
        ),
        (_, Value::Null) => (format!("{column} IS NULL"), vec![]),
        (Comparison::DecimalText, Value::Decimal(digits)) => {
            let shortest = match digits.split_once('.') {
                Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
                None => digits,
            };
            let condition = format!("{} = ?", shortest_decimal(&column));
            (condition, vec![Bind::text(shortest)])
        }
        (_, Value::Text(key)) if *name == model.key => {
            (format!("{column} = ?"), vec![Bind::text(stored_key(key))])
        }
        _ => {
            let kind = model.columns.get(name).map(|column| column.kind);
            let cast = cast(kind.unwrap_or(ColumnKind::Text), dialect);
            (format!("{column} = ?{cast}"), vec![single(value)])
        }
    };
    select.and(&condition, binds);
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
