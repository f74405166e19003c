//! The statements of a model's table, as text, made once for a model and a database.

use domain::{ColumnKind, Model, Storage, TableName};

use crate::column::to_json;
use crate::dialect::{Bind, newest, quoted};
use crate::{Dialect, StoreError};

/// The statements of a model's table; made once and shared.
#[derive(Debug)]
pub struct TableSql {
    pub(super) dialect: Dialect,
    /// The table's name, unquoted.
    pub(super) name: TableName,
    /// The key column, quoted.
    pub(super) key: String,
    /// By what rows are ordered.
    pub(super) newest: String,
    /// Key, hash, whether deleted and change number, of a connection's rows with given keys.
    pub(super) stored: String,
    /// Writes a row that is not there, in SQLite: a value a column, hash, extra, connection, time twice, change number.
    pub(super) insert: String,
    /// The same for [`SQLITE_BATCH`] rows.
    pub(super) insert_batch: String,
    /// The target of `COPY` for rows that are not there, in PostgreSQL: connection, time twice, change number, the columns, hash, extra.
    pub(super) copy: String,
    /// Writes rows that are there. PostgreSQL: connection, time twice, last change number, then an array a column, hashes, extras. SQLite:
    /// as `insert`.
    pub(super) replace: String,
    /// Marks rows deleted. PostgreSQL: time twice, last change number, connection, keys. SQLite, for one row: time twice, change
    /// number, connection, key.
    pub(super) delete: String,
    /// Empties a connection's rows between two change numbers: time, connection, the lower number, which is not included, and
    /// the upper one, which is.
    pub(super) prune: String,
    /// The last of a connection's change numbers above one and up to another, of so many at most; and how many these are.
    pub(super) prune_to: String,
    /// `SELECT` of all that a stored record holds, up to `WHERE`.
    pub(super) select: String,
    /// Keeps the whole of a key that the key column holds shortened: the whole, connection, key.
    pub(super) keep_long_key: String,
    /// `SELECT` of the whole of a key, of a connection and a key.
    pub(super) long_key: String,
    /// `SELECT` of the key, up to `WHERE`.
    pub(super) select_key: String,
    /// Deletes up to a number of a connection's rows; gives of each whether it was live. Connection twice, then the number.
    pub(super) purge: String,
}

impl TableSql {
    /// The statements of `model` in `dialect`.
    pub fn new(model: &Model, dialect: Dialect) -> Self {
        let (table, key, newest) = (quoted(&model.table), quoted(&model.key), newest(model));
        Self {
            dialect,
            name: model.table.clone(),
            stored: format!(
                "SELECT {key}, \"_hash\", \"_deleted_at\" IS NOT NULL, \"_cursor\" FROM {table} WHERE \"_connection_id\" = ? AND {key} {}",
                any(dialect)
            ),
            insert: insert(model, dialect, 1),
            insert_batch: insert(model, dialect, SQLITE_BATCH),
            copy: format!("{table} ({})", postgres_columns(model)),
            replace: insert(model, dialect, 1) + &conflict(model),
            delete: delete(model, dialect),
            prune: prune(model),
            prune_to: format!(
                "SELECT max(\"_cursor\"), count(*) FROM (SELECT \"_cursor\" FROM {table} WHERE \"_connection_id\" = ? \
                 AND \"_cursor\" > ? AND \"_cursor\" <= ? ORDER BY \"_cursor\" LIMIT ?) AS next"
            ),
            select: select(model, dialect, &newest),
            keep_long_key: format!(
                "UPDATE {table} SET \"_long_key\" = ? WHERE \"_connection_id\" = ? AND {key} = ?"
            ),
            long_key: format!("SELECT \"_long_key\" FROM {table} WHERE \"_connection_id\" = ? AND {key} = ?"),
            select_key: format!("SELECT {key} FROM {table} WHERE "),
            purge: purge(&table, dialect),
            key,
            newest,
        }
    }
}

/// `IN` a list that is one bind: an array, or a JSON list in SQLite.
pub(super) const fn any(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "IN (SELECT value FROM json_each(?))",
        Dialect::Postgres => "= ANY (?)",
    }
}

/// The list for [`any`].
pub(super) fn keys_bind<'a>(
    dialect: Dialect,
    keys: impl Iterator<Item = &'a str>,
) -> Result<Bind<'a>, StoreError> {
    match dialect {
        Dialect::Sqlite => Ok(Bind::text(to_json(&keys.collect::<Vec<_>>())?)),
        Dialect::Postgres => Ok(Bind::Texts(keys.map(Some).collect())),
    }
}

/// Returns what turns the text that stands for a value into the value.
pub(super) fn cast(kind: ColumnKind, dialect: Dialect) -> String {
    if is_cast(kind, dialect) {
        format!("::{}", kind.info().postgres)
    } else {
        String::new()
    }
}

/// Returns what turns a value into the text that stands for it.
fn as_text(kind: ColumnKind, dialect: Dialect) -> &'static str {
    if is_cast(kind, dialect) { "::text" } else { "" }
}

/// Whether a value goes to and comes from the database as text of another type.
fn is_cast(kind: ColumnKind, dialect: Dialect) -> bool {
    let info = kind.info();
    dialect == Dialect::Postgres && info.storage == Storage::Text && info.postgres != "text"
}

/// Rows that one statement inserts into SQLite: what a statement costs by itself is shared by them.
pub(super) const SQLITE_BATCH: usize = 16;

/// The columns of a row in the order in which PostgreSQL is given them.
fn postgres_columns(model: &Model) -> String {
    let columns: Vec<_> = model.columns.keys().map(quoted).collect();
    format!(
        "\"_connection_id\", \"_first_seen_at\", \"_last_modified_at\", \"_cursor\", {}, \"_hash\", \"_extra\"",
        columns.join(", ")
    )
}

/// Inserts; `rows` at once in SQLite, an array's worth in PostgreSQL.
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

/// What makes an insert write over the row that is there, but for when it was first seen.
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

/// What orders rows and what the sync looks for stays beside the key: without it the engine could no longer tell in which range a row
/// stands or that it is not final. The hash stays too, so that a record which did not change is not written again.
fn prune(model: &Model) -> String {
    let emptied: Vec<_> = model
        .columns
        .keys()
        .filter(|name| {
            **name != model.key && !model.newest_by.contains(name) && !model.sought_by.contains(name)
        })
        .map(|name| format!("{} = NULL, ", quoted(name)))
        .collect();
    format!(
        "UPDATE {} SET {}\"_extra\" = NULL, \"_pruned_at\" = ? WHERE \"_connection_id\" = ? AND \"_cursor\" > ? AND \"_cursor\" <= ?",
        quoted(&model.table),
        emptied.concat()
    )
}

/// In PostgreSQL a `ctid` names a row only together with its partition, so the connection, which a partitioned table is divided by, stands
/// beside it: without it the rows of other connections would go.
fn purge(table: &str, dialect: Dialect) -> String {
    let which = match dialect {
        Dialect::Sqlite => {
            format!("rowid IN (SELECT rowid FROM {table} WHERE \"_connection_id\" = ? LIMIT ?)")
        }
        Dialect::Postgres => {
            format!("ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE \"_connection_id\" = ? LIMIT ?))")
        }
    };
    format!("DELETE FROM {table} WHERE \"_connection_id\" = ? AND {which} RETURNING \"_deleted_at\" IS NULL")
}

fn select(model: &Model, dialect: Dialect, newest: &str) -> String {
    let columns: Vec<_> = model
        .columns
        .iter()
        .map(|(name, column)| format!("{}{}, ", quoted(name), as_text(column.kind, dialect)))
        .collect();
    let extra = as_text(ColumnKind::Json, dialect);
    format!(
        "SELECT {}\"_extra\"{extra}, \"_first_seen_at\", \"_last_modified_at\", \"_deleted_at\", \"_pruned_at\", \
         \"_cursor\", {newest}, \"_long_key\" FROM {} WHERE ",
        columns.concat(),
        quoted(&model.table)
    )
}
