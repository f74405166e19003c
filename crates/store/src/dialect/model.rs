//! How a model's parts are written in SQL.

use domain::{ColumnKind, Model, TableName};

use crate::Dialect;

/// The name as it stands in SQL; quoted, for `from` and `to` are words of the language.
pub(crate) fn quoted(name: &TableName) -> String {
    format!("\"{name}\"")
}

/// By what rows are ordered: the first of the model's timestamps that has a value, or when a row was first seen if it has none.
pub(crate) fn newest(model: &Model) -> String {
    let columns: Vec<_> = model.newest_by.iter().map(quoted).collect();
    match columns.as_slice() {
        [] => "\"_first_seen_at\"".to_owned(),
        [one] => one.clone(),
        several => format!("coalesce({})", several.join(", ")),
    }
}

/// A column's type, as the database's catalogue writes it.
///
/// SQLite takes any words for a type and goes by what they contain (`INT`, `TEXT`); the second word is for people, and for
/// [`crate::tables::ensure`] to notice a change.
pub(crate) const fn column_type(kind: ColumnKind, dialect: Dialect) -> &'static str {
    match (dialect, kind) {
        (Dialect::Postgres, ColumnKind::Text) => "text",
        (Dialect::Postgres, ColumnKind::Integer) => "bigint",
        (Dialect::Postgres, ColumnKind::Boolean) => "boolean",
        (Dialect::Postgres, ColumnKind::Timestamp) => "timestamp with time zone",
        (Dialect::Postgres, ColumnKind::Decimal) => "numeric",
        (Dialect::Postgres, ColumnKind::Json) => "jsonb",
        (Dialect::Sqlite, ColumnKind::Text) => "TEXT",
        (Dialect::Sqlite, ColumnKind::Integer) => "INTEGER",
        (Dialect::Sqlite, ColumnKind::Boolean) => "BOOLEAN",
        (Dialect::Sqlite, ColumnKind::Timestamp) => "INTEGER MICROSECONDS",
        (Dialect::Sqlite, ColumnKind::Decimal) => "TEXT DECIMAL",
        (Dialect::Sqlite, ColumnKind::Json) => "TEXT JSON",
    }
}
