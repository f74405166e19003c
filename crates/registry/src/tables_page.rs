//! The page that describes the synced tables, made from the provider files so that it cannot be wrong about them.

use std::fmt::Write;

use domain::{ColumnKind, Model};

use crate::Registry;

/// What every table holds beside the declared columns.
const INTRODUCTION: &str = "# The tables

Each model of a provider file has a table of its own, filled by its sync and free to be queried. Every declared column but the key may be
null: a value that the provider leaves out is null, and so is one that does not fit its column (it stays in `_extra`). A row whose record
is gone from the provider keeps its key and the columns below, and loses the rest: add `WHERE _deleted_at IS NULL`. A row that an app has
pruned keeps the columns by which rows are ordered and sought for as well: add `AND _pruned_at IS NULL`.

A variant of a sync fills a table of its own, named `TABLE__VARIANT`; where that would be too long or hold other than lower-case letters,
digits and `_`, it is cut and ends with a hash.

Each column that can be filtered has an index with `_connection_id`. PostgreSQL indexes no long text, so for a text column say that none
is meant: `WHERE _connection_id = 1 AND status = 'sent' AND _deleted_at IS NULL AND (octet_length(status) > 1000) IS NOT TRUE`.

This page is made from the provider files: `cargo run -p registry --example tables > docs/tables.md`.

| in every table | PostgreSQL | SQLite | |
|---|---|---|---|
| `_connection_id` | bigint | INTEGER | The connection: `connections.id` |
| `_extra` | json | TEXT | What the provider sent and no column took, as a JSON object; null if there is nothing |
| `_long_key` | text | TEXT | The whole key, if it has more than 1,000 bytes: the key column then holds its beginning and its SHA-256 hash |
| `_hash` | bigint | INTEGER | Changes with the row's content |
| `_first_seen_at` | timestamptz | INTEGER (µs since 1970) | When the row was first written |
| `_last_modified_at` | timestamptz | INTEGER (µs since 1970) | When it was last written |
| `_deleted_at` | timestamptz | INTEGER (µs since 1970) | When it was found to be gone; null while it is there |
| `_pruned_at` | timestamptz | INTEGER (µs since 1970) | When an app had its content taken away; null once it is written again |
| `_cursor` | bigint | INTEGER | Change number: rises with every change of the connection's rows of this table, in the order of commits |
";

/// The page `docs/tables.md`.
pub fn tables_page(registry: &Registry) -> String {
    let mut page = INTRODUCTION.to_owned();
    for provider in registry.iter() {
        for (name, sync) in &provider.syncs {
            let _ = write!(
                page,
                "\n## {}\n\n{}. {}, sync `{name}`, {}; read it at `GET /{}/{}`.\n\n",
                sync.model.table,
                sync.description.trim_end_matches('.'),
                provider.display_name,
                sync.schedule,
                provider.name,
                sync.model.plural
            );
            columns(&mut page, &sync.model);
        }
    }
    page
}

fn columns(page: &mut String, model: &Model) {
    page.push_str("| column | PostgreSQL | SQLite | |\n|---|---|---|---|\n");
    for (name, column) in &model.columns {
        let (postgres, sqlite) = match column.kind {
            ColumnKind::Text => ("text", "TEXT"),
            ColumnKind::Integer => ("bigint", "INTEGER"),
            ColumnKind::Boolean => ("boolean", "INTEGER (0, 1)"),
            ColumnKind::Timestamp => ("timestamptz", "INTEGER (µs since 1970)"),
            ColumnKind::Decimal => ("numeric", "TEXT"),
            ColumnKind::Json => ("json", "TEXT"),
        };
        let role = if *name == model.key {
            " **The key.**"
        } else if model.filters.contains(name) {
            " Can be filtered."
        } else {
            ""
        };
        let _ = writeln!(
            page,
            "| `{name}` | {postgres} | {sqlite} | {}.{role} |",
            column.description.trim_end_matches('.')
        );
    }
}
