//! How a model's parts are written in SQL.

use domain::{ColumnKind, MAX_KEY_BYTES, Model, TableName};

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

/// How a filter column is indexed and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// As it is.
    Plain,
    /// A text of PostgreSQL, whose index entries are bounded: short and long values have an index each.
    BoundedText,
    /// A decimal of SQLite, which is text there: `1.10` equals `1.1`.
    DecimalText,
}

/// How the filter column `name` is compared. The key is never longer than an index takes.
pub(crate) fn comparison(model: &Model, name: &TableName, dialect: Dialect) -> Comparison {
    let kind = model.columns.get(name).map(|column| column.kind);
    match (dialect, kind) {
        (Dialect::Postgres, Some(ColumnKind::Text)) if *name != model.key && model.filters.contains(name) => {
            Comparison::BoundedText
        }
        (Dialect::Sqlite, Some(ColumnKind::Decimal)) => Comparison::DecimalText,
        _ => Comparison::Plain,
    }
}

/// Whether a text is longer than [`MAX_KEY_BYTES`]; true, false or, for no text, null.
pub(crate) fn is_long(column: &str) -> String {
    format!("(octet_length({column}) > {MAX_KEY_BYTES})")
}

/// The condition that a text is short enough to be indexed whole, or null.
pub(crate) fn is_short(column: &str) -> String {
    format!("{} IS NOT TRUE", is_long(column))
}

/// The beginning of a long text, by which it is indexed: at most 1,000 bytes.
pub(crate) fn beginning(text: &str) -> String {
    format!("left({text}, {})", MAX_KEY_BYTES / 4)
}

/// A decimal of SQLite without the zeros at its end.
pub(crate) fn shortest_decimal(column: &str) -> String {
    format!("CASE WHEN instr({column}, '.') > 0 THEN rtrim(rtrim({column}, '0'), '.') ELSE {column} END")
}

/// Returns a column's type, as the database's catalogue writes it.
pub(crate) const fn column_type(kind: ColumnKind, dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => kind.info().postgres,
        Dialect::Sqlite => kind.info().sqlite,
    }
}
