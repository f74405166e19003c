//! A table with very many rows of many connections, made by SQL out of one connection's real rows.
//!
//! The connections' rows are laid down in turn, a page of each, as they come when many are synced side by side.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rusqlite::Connection;

use crate::app::CONNECTION;
use crate::database::Database;
use crate::floor::{PAGE, table};
use crate::postgres::Server;

/// What differs in the SQL of the two.
struct Words {
    /// What comes before all else.
    begin: &'static str,
    /// A number of the row in the order of its arrival, from 0.
    place: &'static str,
    columns: Vec<String>,
}

/// Copies the rows of the synced connection to `connections` others, which are called [`name`].
pub(crate) async fn fill(database: &Database, connections: u32) -> anyhow::Result<()> {
    match database {
        Database::Sqlite { .. } => {
            let file = database.file().context("SQLite without a file")?;
            tokio::task::spawn_blocking(move || sqlite(&file, connections)).await?
        }
        Database::Postgres { address, server, .. } => {
            let (address, server) = (address.clone(), Arc::clone(server));
            tokio::task::spawn_blocking(move || postgres(&server, &address, connections)).await?
        }
    }
}

/// The name of a connection that was made so, from 0.
pub(crate) fn name(connection: u32) -> String {
    format!("filled-{connection}")
}

fn sqlite(file: &Path, connections: u32) -> anyhow::Result<()> {
    let c = Connection::open(file)?;
    let names = |table: &str| -> anyhow::Result<Vec<String>> {
        let mut select = c.prepare("SELECT name FROM pragma_table_info(?)")?;
        let names = select.query_map([table], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    };
    let table = table()?;
    let words = Words {
        begin: "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY;",
        place: "rowid",
        columns: names(&table)?,
    };
    let rows: i64 = c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    c.execute_batch(&script(
        &words,
        &table,
        &names("connections")?,
        u64::try_from(rows)?,
        connections,
    ))?;
    c.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

fn postgres(server: &Server, address: &str, connections: u32) -> anyhow::Result<()> {
    let names = |table: &str| -> anyhow::Result<Vec<String>> {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        );
        let told = server.ask(address, &sql)?;
        Ok(String::from_utf8(told)?.lines().map(str::to_owned).collect())
    };
    let table = table()?;
    let words = Words {
        begin: "SET synchronous_commit = off;",
        place: "ctid",
        columns: names(&table)?,
    };
    let rows = String::from_utf8(server.ask(address, &format!("SELECT count(*) FROM {table}"))?)?;
    let script = script(
        &words,
        &table,
        &names("connections")?,
        rows.trim().parse()?,
        connections,
    );
    server.run(address, &script)
}

fn script(words: &Words, table: &str, connection_columns: &[String], rows: u64, connections: u32) -> String {
    let mut sql = vec![words.begin.to_owned()];
    let source = format!("(SELECT id FROM connections WHERE name = '{CONNECTION}')");
    sql.push(format!(
        "CREATE TEMPORARY TABLE source AS SELECT row_number() OVER (ORDER BY {}) - 1 AS _place, {table}.* FROM {table} \
         WHERE _connection_id = {source};",
        words.place
    ));
    sql.push("CREATE INDEX source_place ON source (_place);".to_owned());
    for connection in 0..connections {
        sql.push(copy_connection(connection_columns, connection));
    }
    let (mut first, page) = (0, u64::try_from(PAGE).unwrap_or(u64::MAX));
    while first < rows {
        sql.push("BEGIN;".to_owned());
        for connection in 0..connections {
            sql.push(copy_rows(words, table, connection, first, first + page));
        }
        sql.push("COMMIT;".to_owned());
        first += page;
    }
    sql.push(format!(
        "INSERT INTO counters (connection_id, model_table, last_number, live) SELECT filled.id, model_table, last_number, live \
         FROM counters JOIN connections AS filled ON filled.name LIKE 'filled-%' WHERE connection_id = {source} AND model_table = '{table}';"
    ));
    sql.join("\n")
}

fn copy_connection(columns: &[String], connection: u32) -> String {
    let columns: Vec<&str> = columns
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "id")
        .collect();
    let name = format!("'{}'", name(connection));
    let values = columns
        .iter()
        .map(|column| if *column == "name" { name.as_str() } else { *column });
    format!(
        "INSERT INTO connections ({}) SELECT {} FROM connections WHERE name = '{CONNECTION}';",
        columns.join(", "),
        values.collect::<Vec<_>>().join(", ")
    )
}

fn copy_rows(words: &Words, table: &str, connection: u32, first: u64, end: u64) -> String {
    let name = name(connection);
    let other = BTreeMap::from([
        (
            "_connection_id",
            format!("(SELECT id FROM connections WHERE name = '{name}')"),
        ),
        // Digits in the middle of the key: it stays as long and as random as it is, and nobody else's.
        (
            "sid",
            format!("substr(sid, 1, 4) || '{connection:04x}' || substr(sid, 9)"),
        ),
    ]);
    let quoted = |column: &String| format!("\"{column}\"");
    let columns: Vec<String> = words.columns.iter().map(quoted).collect();
    let values: Vec<String> = words
        .columns
        .iter()
        .map(|column| {
            other
                .get(column.as_str())
                .cloned()
                .unwrap_or_else(|| quoted(column))
        })
        .collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM source WHERE _place >= {first} AND _place < {end};",
        columns.join(", "),
        values.join(", ")
    )
}
