//! Fills a table with many rows of many connections, by SQL copies of one connection's real rows.
//!
//! The copy adds one page of each connection in turn, as if many connections were synced at the same time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rusqlite::Connection;

use crate::app::CONNECTION;
use crate::database::Database;
use crate::floor::{PAGE, table};
use crate::postgres::Server;

/// The SQL that differs between the databases.
struct Dialect {
    /// The first statements.
    begin: &'static str,
    /// An expression for the insertion order of a row.
    row_id: &'static str,
    columns: Vec<String>,
}

/// Copies the rows of the synced connection to `connections` other connections, named by [`name`].
pub(crate) async fn fill(database: &Database, connections: u32) -> anyhow::Result<()> {
    match database {
        Database::Sqlite { .. } => {
            let file = database.file().context("the SQLite database has no file")?;
            tokio::task::spawn_blocking(move || sqlite(&file, connections)).await?
        }
        Database::Postgres { address, server, .. } => {
            let (address, server) = (address.clone(), Arc::clone(server));
            tokio::task::spawn_blocking(move || postgres(&server, &address, connections)).await?
        }
    }
}

/// Returns the name of a copied connection, from 0.
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
    let dialect = Dialect {
        begin: "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY;",
        row_id: "rowid",
        columns: names(&table)?,
    };
    let rows: i64 = c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    c.execute_batch(&script(
        &dialect,
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
        let output = server.query(address, &sql)?;
        Ok(String::from_utf8(output)?.lines().map(str::to_owned).collect())
    };
    let table = table()?;
    let dialect = Dialect {
        begin: "SET synchronous_commit = off;",
        row_id: "ctid",
        columns: names(&table)?,
    };
    let rows = String::from_utf8(server.query(address, &format!("SELECT count(*) FROM {table}"))?)?;
    let script = script(
        &dialect,
        &table,
        &names("connections")?,
        rows.trim().parse()?,
        connections,
    );
    server.run(address, &script)
}

fn script(
    dialect: &Dialect,
    table: &str,
    connection_columns: &[String],
    rows: u64,
    connections: u32,
) -> String {
    let mut sql = vec![dialect.begin.to_owned()];
    let source = format!("(SELECT id FROM connections WHERE name = '{CONNECTION}')");
    sql.push(format!(
        "CREATE TEMPORARY TABLE source AS SELECT row_number() OVER (ORDER BY {}) - 1 AS _place, {table}.* FROM {table} \
         WHERE _connection_id = {source};",
        dialect.row_id
    ));
    sql.push("CREATE INDEX source_place ON source (_place);".to_owned());
    for connection in 0..connections {
        sql.push(copy_connection(connection_columns, connection));
    }
    let (mut first, page) = (0, u64::try_from(PAGE).unwrap_or(u64::MAX));
    while first < rows {
        sql.push("BEGIN;".to_owned());
        for connection in 0..connections {
            sql.push(copy_rows(dialect, table, connection, first, first + page));
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

fn copy_rows(dialect: &Dialect, table: &str, connection: u32, first: u64, end: u64) -> String {
    let name = name(connection);
    let other = BTreeMap::from([
        (
            "_connection_id",
            format!("(SELECT id FROM connections WHERE name = '{name}')"),
        ),
        // Replaces digits in the middle of the key: it keeps its length and randomness, and stays unique.
        (
            "sid",
            format!("substr(sid, 1, 4) || '{connection:04x}' || substr(sid, 9)"),
        ),
    ]);
    let quoted = |column: &String| format!("\"{column}\"");
    let columns: Vec<String> = dialect.columns.iter().map(quoted).collect();
    let values: Vec<String> = dialect
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
