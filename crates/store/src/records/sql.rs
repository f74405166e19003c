//! The SQL of a model's table that is used often, built once for a model and a database.

use std::sync::Arc;

use domain::{ColumnKind, Model, Storage};

use crate::Dialect;
use crate::dialect::{any, order_time, quoted};

/// The SQL of a model's table that is used often. Comments list their parameters in order.
#[derive(Debug)]
pub struct TableSql {
    pub(super) model: Arc<Model>,
    pub(super) dialect: Dialect,
    /// The table's name, quoted.
    pub(super) table: String,
    /// The key column, quoted.
    pub(super) key: String,
    /// The expression that orders rows.
    pub(super) order_time: String,
    /// Selects key, hash, whether deleted, and change number of rows: connection, keys.
    pub(super) stored: String,
    /// Inserts a row in SQLite: a value for each column, hash, extra, connection, time twice, change number.
    pub(super) insert: String,
    /// The same for [`SQLITE_BATCH`] rows.
    pub(super) insert_batch: String,
    /// The target of `COPY`, which inserts rows in PostgreSQL: connection, time twice, change number, the columns, hash, extra.
    pub(super) copy: String,
    /// Updates rows. PostgreSQL: connection, time twice, last change number, an array for each column, hashes, extras. SQLite: as `insert`.
    pub(super) replace: String,
    /// Marks rows as deleted. PostgreSQL: time twice, last change number, connection, keys. SQLite, for one row: time twice, change number,
    /// connection, key.
    pub(super) delete: String,
    /// Selects stored records, up to `WHERE`.
    pub(super) select: String,
    /// Selects keys, up to `WHERE`.
    pub(super) select_key: String,
}

impl TableSql {
    /// Builds the statements of `model` for `dialect`.
    pub fn new(model: Arc<Model>, dialect: Dialect) -> Self {
        let (table, key, order_time) = (quoted(&model.table), quoted(&model.key), order_time(&model));
        Self {
            dialect,
            stored: format!(
                "SELECT {key}, \"_hash\", \"_deleted_at\" IS NOT NULL, \"_cursor\" FROM {table} WHERE \"_connection_id\" = ? AND {key} {}",
                any(dialect)
            ),
            insert: insert(&model, dialect, 1),
            insert_batch: insert(&model, dialect, SQLITE_BATCH),
            copy: format!("{table} ({})", postgres_columns(&model)),
            replace: insert(&model, dialect, 1) + &conflict(&model),
            delete: delete(&model, dialect),
            select: select(&model, dialect, &order_time),
            select_key: format!("SELECT {key} FROM {table} WHERE "),
            table,
            key,
            order_time,
            model,
        }
    }

    /// Returns the table's name, unquoted.
    pub(super) fn name(&self) -> &str {
        self.model.table.as_str()
    }
}

/// Returns the cast of a value's text to the type of its column.
pub(super) fn cast(kind: ColumnKind, dialect: Dialect) -> String {
    if is_cast(kind, dialect) {
        format!("::{}", kind.info().postgres)
    } else {
        String::new()
    }
}

/// Returns the cast of a value to text.
fn as_text(kind: ColumnKind, dialect: Dialect) -> &'static str {
    if is_cast(kind, dialect) { "::text" } else { "" }
}

/// Returns whether values are sent and received as text though the column has another type.
fn is_cast(kind: ColumnKind, dialect: Dialect) -> bool {
    let info = kind.info();
    dialect == Dialect::Postgres && info.storage == Storage::Text && info.postgres != "text"
}

/// How many rows one statement inserts in SQLite, which share the cost of the statement itself.
pub(super) const SQLITE_BATCH: usize = 16;

/// Returns a row's columns in the order in which PostgreSQL gets them.
fn postgres_columns(model: &Model) -> String {
    let columns: Vec<_> = model.columns.keys().map(quoted).collect();
    format!(
        "\"_connection_id\", \"_first_seen_at\", \"_last_modified_at\", \"_cursor\", {}, \"_hash\", \"_extra\"",
        columns.join(", ")
    )
}

/// Returns the insert of `rows` rows in SQLite, or of the rows of arrays in PostgreSQL.
fn insert(model: &Model, dialect: Dialect, rows: usize) -> String {
    let table = quoted(&model.table);
    let columns: Vec<_> = model.columns.keys().map(quoted).collect();
    let list = columns.join(", ");
    match dialect {
        Dialect::Sqlite => {
            let marks = format!("({})", vec!["?"; columns.len() + 6].join(", "));
            format!(
                "INSERT INTO {table} ({list}, \"_hash\", \"_extra\", \"_connection_id\", \"_first_seen_at\", \"_last_modified_at\", \
                 \"_cursor\") VALUES {}",
                vec![marks; rows].join(", ")
            )
        }
        Dialect::Postgres => {
            let values: Vec<_> = model
                .columns
                .iter()
                .map(|(name, column)| format!("r.{}{}", quoted(name), cast(column.kind, dialect)))
                .collect();
            let marks = vec!["?"; columns.len() + 2].join(", ");
            format!(
                "INSERT INTO {table} ({}) SELECT ?, ?, ?, ? + r.\"_place\", {}, r.\"_hash\", r.\"_extra\"::json FROM unnest({marks}) \
                 WITH ORDINALITY AS r ({list}, \"_hash\", \"_extra\", \"_place\")",
                postgres_columns(model),
                values.join(", ")
            )
        }
    }
}

/// Returns the clause that makes an insert update an existing row, except when it was first seen.
fn conflict(model: &Model) -> String {
    let key = quoted(&model.key);
    let changed: Vec<_> = model
        .columns
        .keys()
        .map(quoted)
        .chain(["_hash", "_extra", "_last_modified_at", "_cursor"].map(|name| format!("\"{name}\"")))
        .filter(|column| *column != key)
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    format!(
        " ON CONFLICT (\"_connection_id\", {key}) DO UPDATE SET {}, \"_deleted_at\" = NULL, \"_pruned_at\" = NULL",
        changed.join(", ")
    )
}

fn delete(model: &Model, dialect: Dialect) -> String {
    let (table, key) = (quoted(&model.table), quoted(&model.key));
    let others = model.columns.keys().filter(|name| **name != model.key);
    let emptied: Vec<_> = others.map(|name| format!("{} = NULL, ", quoted(name))).collect();
    let set = format!(
        "UPDATE {table} SET {}\"_extra\" = NULL, \"_hash\" = 0, \"_deleted_at\" = ?, \"_last_modified_at\" = ?, \"_cursor\" = ?",
        emptied.concat()
    );
    match dialect {
        Dialect::Sqlite => format!("{set} WHERE \"_connection_id\" = ? AND {key} = ?"),
        Dialect::Postgres => format!(
            "{set} + r.\"_place\" FROM (SELECT ?::bigint AS \"_whose\") AS w, unnest(?) WITH ORDINALITY AS r (\"_key\", \"_place\") \
             WHERE {table}.\"_connection_id\" = w.\"_whose\" AND {table}.{key} = r.\"_key\""
        ),
    }
}

fn select(model: &Model, dialect: Dialect, order_time: &str) -> String {
    let columns: Vec<_> = model
        .columns
        .iter()
        .map(|(name, column)| format!("{}{}, ", quoted(name), as_text(column.kind, dialect)))
        .collect();
    let extra = as_text(ColumnKind::Json, dialect);
    format!(
        "SELECT {}\"_extra\"{extra}, \"_first_seen_at\", \"_last_modified_at\", \"_deleted_at\", \"_pruned_at\", \
         \"_cursor\", {order_time}, \"_long_key\" FROM {} WHERE ",
        columns.concat(),
        quoted(&model.table)
    )
}
