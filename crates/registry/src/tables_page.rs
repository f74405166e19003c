//! Generates the page that describes the synced tables from the provider files.

use std::fmt::Write;

use domain::{KindInfo, Model};

use crate::registry::Registry;

/// The introduction, with the columns that every table has.
const INTRODUCTION: &str = "# The tables

Each model of a provider file has its own table, which its sync fills and your app can query. Every declared column except the key may be
null. A value that the provider omits is null, and so is one that does not fit its column (`_extra` keeps it). A row that is marked as
deleted keeps its key and the columns below, and loses the others: add `WHERE _deleted_at IS NULL`. A row that an app has pruned also keeps
the columns that order and select rows: add `AND _pruned_at IS NULL`.

A variant of a sync fills its own table, named `TABLE__VARIANT`. If that name would be too long, or contain other characters than lower-case
letters, digits and `_`, it is shortened and ends with a hash.

Each column that can be filtered has an index with `_connection_id`. PostgreSQL's indexes exclude long text, so a query for a text column
must exclude it too: `WHERE _connection_id = 1 AND status = 'sent' AND _deleted_at IS NULL AND (octet_length(status) > 1000) IS NOT TRUE`.

In SQLite, `INTEGER MICROSECONDS` counts from 1970 in UTC, `BOOLEAN` is 0 or 1, and a type that begins with `TEXT` is text.

This page is generated from the provider files: `cargo run -p registry --example tables > docs/tables.md`.

| in every table | PostgreSQL | SQLite | |
|---|---|---|---|
| `_connection_id` | bigint | INTEGER | The connection: `connections.id` |
| `_extra` | json | TEXT JSON | The provider's fields that no column reads, as a JSON object; null if there are none |
| `_long_key` | text | TEXT | The whole key, if it has more than 1,000 bytes: the key column then holds its beginning and its SHA-256 hash |
| `_hash` | bigint | INTEGER | Changes with the row's content |
| `_first_seen_at` | timestamp with time zone | INTEGER MICROSECONDS | When the row was first written |
| `_last_modified_at` | timestamp with time zone | INTEGER MICROSECONDS | When the row was last written |
| `_deleted_at` | timestamp with time zone | INTEGER MICROSECONDS | When the row was marked as deleted; null for other rows |
| `_pruned_at` | timestamp with time zone | INTEGER MICROSECONDS | When an app pruned the row; null once it is written again |
| `_cursor` | bigint | INTEGER | Change number: increases with every change of the connection's rows in this table, in commit order |
";

/// Returns the page `docs/tables.md`.
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
        let KindInfo { postgres, sqlite, .. } = column.kind.info();
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
