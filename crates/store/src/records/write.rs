//! Writes rows of a model's table: all at once in PostgreSQL, several with each statement in SQLite.

use diesel::PgConnection;
use domain::{ColumnKind, Record, Storage, Value};

use super::Rows;
use super::sql::SQLITE_BATCH;
use crate::dialect::{Bind, Statement, copy};
use crate::{DbConn, Dialect, StoreError};

/// Inserts records, with change numbers from `last_number + 1`. [`StoreError::Conflict`] if one exists.
///
/// The counter is locked, so no other writer can insert them, and an insert without `ON CONFLICT` costs PostgreSQL far less.
pub(super) fn new_rows(
    c: &mut DbConn,
    page: &Rows<'_>,
    records: &[&Record],
    last_number: i64,
) -> Result<(), StoreError> {
    inserted(c, page, records, last_number).map_err(StoreError::about("record"))?;
    long_keys(c, page, records)
}

fn inserted(
    c: &mut DbConn,
    page: &Rows<'_>,
    records: &[&Record],
    last_number: i64,
) -> Result<(), StoreError> {
    match c {
        DbConn::Pg(c) => copied(c, page, records, last_number),
        DbConn::Sqlite(_) => {
            let (batches, rest) = records.as_chunks::<SQLITE_BATCH>();
            let mut number = last_number;
            batches
                .iter()
                .try_for_each(|batch| singles(c, page, &page.table.insert_batch, batch, &mut number))?;
            rest.chunks(1)
                .try_for_each(|one| singles(c, page, &page.table.insert, one, &mut number))
        }
    }
}

/// Stores the complete keys of records whose key column has a shortened one.
fn long_keys(c: &mut DbConn, page: &Rows<'_>, records: &[&Record]) -> Result<(), StoreError> {
    for record in records {
        let Some(long_key) = &record.long_key else {
            continue;
        };
        let sql = format!(
            "UPDATE {} SET \"_long_key\" = ? WHERE \"_connection_id\" = ? AND {} = ?",
            page.table.table, page.table.key
        );
        let binds = vec![
            Bind::text(long_key),
            Bind::integer(page.connection.raw()),
            Bind::text(&record.key),
        ];
        Statement::new(sql, binds).execute(c)?;
    }
    Ok(())
}

/// Inserts all rows by COPY, which costs PostgreSQL less than an insert from arrays.
fn copied(
    c: &mut PgConnection,
    page: &Rows<'_>,
    records: &[&Record],
    last_number: i64,
) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let kinds: Vec<_> = page
        .table
        .model
        .columns
        .values()
        .map(|column| column.kind)
        .collect();
    let numbered: Vec<_> = (last_number + 1..).zip(records).collect();
    copy(c, &page.table.copy, &numbered, |(number, record), fields| {
        fields.integer(page.connection.raw());
        fields.moment(page.now);
        fields.moment(page.now);
        fields.integer(*number);
        for (index, kind) in kinds.iter().enumerate() {
            fields.value(record.values.get(index).unwrap_or(&Value::Null), *kind);
        }
        fields.integer(record.hash);
        match &record.extra {
            Some(extra) => fields.text(extra),
            None => fields.null(),
        }
    })
}

/// Updates rows, with change numbers from `last_number + 1`: all at once in PostgreSQL, from an array for each column.
pub(super) fn changed_rows(
    c: &mut DbConn,
    page: &Rows<'_>,
    records: &[&Record],
    last_number: i64,
) -> Result<(), StoreError> {
    let sql = page.table.replace.as_str();
    if page.table.dialect == Dialect::Sqlite {
        let mut number = last_number;
        let mut one_by_one = records.chunks(1);
        return one_by_one.try_for_each(|one| singles(c, page, sql, one, &mut number));
    }
    if records.is_empty() {
        return Ok(());
    }
    let (connection, now) = (Bind::integer(page.connection.raw()), || Bind::moment(page.now));
    let mut binds = vec![connection, now(), now(), Bind::integer(last_number)];
    let columns = page.table.model.columns.values().enumerate();
    binds.extend(columns.map(|(index, column)| array(records, index, column.kind)));
    binds.push(Bind::Integers(
        records.iter().map(|record| Some(record.hash)).collect(),
    ));
    binds.push(Bind::Texts(
        records.iter().map(|record| record.extra.as_deref()).collect(),
    ));
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Writes the records with one statement of SQLite. `number` is the last change number before and after.
fn singles(
    c: &mut DbConn,
    page: &Rows<'_>,
    sql: &str,
    records: &[&Record],
    number: &mut i64,
) -> Result<(), StoreError> {
    let mut binds = Vec::with_capacity(records.len() * (page.table.model.columns.len() + 6));
    for record in records {
        *number += 1;
        binds.extend(record.values.iter().map(single));
        binds.push(Bind::integer(record.hash));
        binds.push(Bind::Text(record.extra.as_deref().map(Into::into)));
        binds.push(Bind::integer(page.connection.raw()));
        binds.push(Bind::moment(page.now));
        binds.push(Bind::moment(page.now));
        binds.push(Bind::integer(*number));
    }
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Marks rows as deleted, with change numbers from `last_number + 1`.
pub(super) fn tombstones(
    c: &mut DbConn,
    delete: &Rows<'_>,
    keys: &[&str],
    last_number: i64,
) -> Result<(), StoreError> {
    let (sql, connection) = (delete.table.delete.as_str(), delete.connection.raw());
    let binds = |number, key| {
        let now = || Bind::moment(delete.now);
        vec![
            now(),
            now(),
            Bind::integer(number),
            Bind::integer(connection),
            key,
        ]
    };
    match delete.table.dialect {
        Dialect::Postgres => {
            let keys = Bind::Texts(keys.iter().copied().map(Some).collect());
            Statement::new(sql, binds(last_number, keys)).execute(c)?;
        }
        Dialect::Sqlite => {
            for (number, key) in (last_number + 1..).zip(keys) {
                Statement::new(sql, binds(number, Bind::text(*key))).execute(c)?;
            }
        }
    }
    Ok(())
}

/// Returns the bind of a value, by its own type. Both databases accept a null of any type.
pub(super) fn single(value: &Value) -> Bind<'_> {
    match value {
        Value::Null => Bind::Text(None),
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => Bind::text(text),
        Value::Integer(number) => Bind::integer(*number),
        Value::Boolean(value) => Bind::Boolean(Some(*value)),
        Value::Timestamp(time) => Bind::moment(*time),
    }
}

/// Returns the records' values of one column, by the form in which it is stored; a value of another form becomes null.
fn array<'a>(records: &[&'a Record], index: usize, kind: ColumnKind) -> Bind<'a> {
    let values = records.iter().map(|record| record.values.get(index));
    macro_rules! array {
        ($bind:ident, $($variant:pat_param)|+ => $value:expr) => {
            Bind::$bind(values.map(|value| match value { Some($($variant)|+) => Some($value), _ => None }).collect())
        };
    }
    match kind.info().storage {
        Storage::Text => {
            array!(Texts, Value::Text(text) | Value::Decimal(text) | Value::Json(text) => text.as_str())
        }
        Storage::Integer => array!(Integers, Value::Integer(number) => *number),
        Storage::Boolean => array!(Booleans, Value::Boolean(value) => *value),
        Storage::Timestamp => array!(Moments, Value::Timestamp(time) => (*time).into()),
    }
}
