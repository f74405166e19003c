//! The SQL of a model's columns and order.

use domain::{ColumnKind, MAX_KEY_BYTES, Model, TableName};

use crate::Dialect;

/// Returns the name quoted, since names such as `from` are keywords.
pub(crate) fn quoted(name: &TableName) -> String {
    format!("\"{name}\"")
}

/// Returns the expression that orders rows: the first of the model's `newest_by` columns that has a value, or null if none has. A model
/// without such columns is ordered by when a row was first seen.
pub(crate) fn order_time(model: &Model) -> String {
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
    /// A text in PostgreSQL, whose index entries have a maximum size: short and long values have separate indexes.
    SplitIndex,
    /// A decimal in SQLite, which is text there: `1.10` equals `1.1`.
    DecimalText,
}

/// Returns how the filter column `name` is compared. The key is always [`Comparison::Plain`], since a long one is stored shortened.
pub(crate) fn comparison(model: &Model, name: &TableName, dialect: Dialect) -> Comparison {
    let kind = model.columns.get(name).map(|column| column.kind);
    match (dialect, kind) {
        (Dialect::Postgres, Some(ColumnKind::Text)) if *name != model.key && model.filters.contains(name) => {
            Comparison::SplitIndex
        }
        (Dialect::Sqlite, Some(ColumnKind::Decimal)) => Comparison::DecimalText,
        _ => Comparison::Plain,
    }
}

/// Returns the condition that a text is longer than [`MAX_KEY_BYTES`]; null for a null.
pub(crate) fn long_condition(column: &str) -> String {
    format!("(octet_length({column}) > {MAX_KEY_BYTES})")
}

/// Returns the condition that a text is null or short enough to be indexed whole.
pub(crate) fn short_condition(column: &str) -> String {
    format!("{} IS NOT TRUE", long_condition(column))
}

/// Returns the beginning of a long text, by which it is indexed: at most 1,000 bytes.
pub(crate) fn text_prefix(text: &str) -> String {
    format!("left({text}, {})", MAX_KEY_BYTES / 4)
}

/// Returns a decimal of SQLite without trailing zeros.
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
