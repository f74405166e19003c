//! Floors: the time that the bare database needs to store the rows of a sync, in pages of the same size and order, in a table that
//! Trunkline created, with its indexes and settings.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use registry::Registry;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde::Serialize;
use store::DbConn;

use crate::app::{self, INTEGRATION, SYNC};
use crate::cpu;
use crate::database::Database;
use crate::postgres::Server;

/// Rows of a page, as in the provider file.
pub(crate) const PAGE: usize = 1000;

/// The cost of storing the rows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Floor {
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
    /// CPU time of the client: this thread, or `psql`.
    pub(crate) cpu: f64,
    pub(crate) server_cpu: Option<f64>,
}

/// The floors of one database.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Floors {
    /// One transaction for each page.
    pub(crate) pages: Floor,
    /// One `COPY` for everything (PostgreSQL only).
    pub(crate) whole: Option<Floor>,
}

/// Measures the floors with the rows of `synced`, in new databases of the same kind.
pub(crate) async fn measure(
    synced: &Database,
    new: impl Fn() -> anyhow::Result<Database>,
) -> anyhow::Result<Floors> {
    match synced {
        Database::Sqlite { .. } => {
            let database = new()?;
            let pragmas = prepare(&database).await?;
            let source = synced.file().context("the SQLite database has no file")?;
            let target = database.file().context("the SQLite database has no file")?;
            let pages = tokio::task::spawn_blocking(move || sqlite(&source, &target, &pragmas)).await??;
            Ok(Floors { pages, whole: None })
        }
        Database::Postgres { address, server, .. } => {
            let (from, server) = (address.clone(), Arc::clone(server));
            let text = tokio::task::spawn_blocking({
                let server = Arc::clone(&server);
                move || server.query(&from, &format!("COPY {} TO STDOUT", table()?))
            })
            .await??;
            let text = Arc::new(text);
            let mut floors = Vec::new();
            for page in [PAGE, usize::MAX] {
                let database = new()?;
                prepare(&database).await?;
                database.settle().await?;
                let (address, server, text) = (
                    database.address().to_owned(),
                    Arc::clone(&server),
                    Arc::clone(&text),
                );
                floors.push(
                    tokio::task::spawn_blocking(move || postgres(&server, &address, &text, page)).await??,
                );
            }
            let whole = floors.pop();
            let pages = floors.pop().context("no floor was measured")?;
            Ok(Floors { pages, whole })
        }
    }
}

/// Returns the name of the table.
pub(crate) fn table() -> anyhow::Result<String> {
    let registry = Registry::builtin()?;
    let provider = registry.get(INTEGRATION).context("the provider does not exist")?;
    let sync = provider.syncs.get(SYNC).context("the sync does not exist")?;
    Ok(sync.model.table.to_string())
}

/// SQLite settings that affect the speed of writes.
const PRAGMAS: [&str; 7] = [
    "journal_mode",
    "synchronous",
    "wal_autocheckpoint",
    "journal_size_limit",
    "cache_size",
    "mmap_size",
    "temp_store",
];

/// Creates the model's table like Trunkline does. Returns the settings of Trunkline's writing connection.
async fn prepare(database: &Database) -> anyhow::Result<Vec<(&'static str, String)>> {
    let registry = Registry::builtin()?;
    let provider = registry.get(INTEGRATION).context("the provider does not exist")?;
    let model = Arc::clone(&provider.syncs.get(SYNC).context("the sync does not exist")?.model);
    let store = app::open(database.address()).await?;
    let pragmas = store.write(move |c| {
        store::tables::ensure(c, &model)?;
        let DbConn::Sqlite(c) = c else {
            return Ok(Vec::new());
        };
        PRAGMAS
            .into_iter()
            .map(|name| {
                let value = sql::<Text>(&format!("PRAGMA {name}")).get_result::<String>(c)?;
                Ok((name, value))
            })
            .collect()
    });
    Ok(pragmas.await?)
}

/// Measures one prepared statement. The rows of each page are in memory before its clock starts.
fn sqlite(source: &Path, target: &Path, pragmas: &[(&str, String)]) -> anyhow::Result<Floor> {
    let source = Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let target = Connection::open(target)?;
    for (name, value) in pragmas {
        target.pragma_update(None, name, value)?;
        let set = target.pragma_query_value(None, name, |row| row.get::<_, Value>(0))?;
        let set = match set {
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => anyhow::bail!("unexpected value of the SQLite setting {name}: {other:?}"),
        };
        ensure!(
            set == *value,
            "the setting {name} of SQLite is {set} instead of {value}"
        );
    }
    let table = table()?;
    let mut select = source.prepare(&format!("SELECT * FROM {table} ORDER BY rowid"))?;
    let columns = select.column_count();
    let marks = vec!["?"; columns].join(", ");
    let mut insert = target.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
    let mut found = select.query([])?;
    let (mut rows, mut spent, mut cpu) = (0, Duration::ZERO, 0.0);
    loop {
        let mut page: Vec<Vec<Value>> = Vec::with_capacity(PAGE);
        while page.len() < PAGE
            && let Some(row) = found.next()?
        {
            page.push(
                (0..columns)
                    .map(|column| row.get(column))
                    .collect::<Result<_, _>>()?,
            );
        }
        if page.is_empty() {
            break;
        }
        rows += page.len();
        let (start, cpu_before) = (Instant::now(), cpu::thread());
        target.execute_batch("BEGIN IMMEDIATE")?;
        for row in &page {
            insert.execute(params_from_iter(row))?;
        }
        target.execute_batch("COMMIT")?;
        spent += start.elapsed();
        cpu += cpu::thread() - cpu_before;
    }
    Ok(Floor {
        rows: u64::try_from(rows)?,
        seconds: spent.as_secs_f64(),
        cpu,
        server_cpu: None,
    })
}

/// Measures `psql` with a file of `COPY … FROM STDIN` statements, each its own transaction.
fn postgres(server: &Server, address: &str, text: &[u8], page: usize) -> anyhow::Result<Floor> {
    // In this format a row is one line, because line breaks in values are escaped.
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let file = script(&lines, page)?;
    let before = (server.cpu()?, cpu::of_ended_children()?);
    let start = Instant::now();
    server.run_file(address, file.path())?;
    let seconds = start.elapsed().as_secs_f64();
    let after = (server.cpu()?, cpu::of_ended_children()?);
    let stored = server.query(address, &format!("SELECT count(*) FROM {}", table()?))?;
    ensure!(
        String::from_utf8_lossy(&stored).trim() == lines.len().to_string(),
        "COPY did not store all rows"
    );
    Ok(Floor {
        rows: u64::try_from(lines.len())?,
        seconds,
        cpu: after.1 - before.1,
        server_cpu: Some(after.0 - before.0),
    })
}

fn script(lines: &[&[u8]], page: usize) -> anyhow::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    let mut out = std::io::BufWriter::new(&mut file);
    let table = table()?;
    for page in lines.chunks(page) {
        writeln!(out, "COPY {table} FROM STDIN;")?;
        for line in page {
            out.write_all(line)?;
        }
        writeln!(out, "\\.")?;
    }
    out.flush()?;
    drop(out);
    Ok(file)
}
