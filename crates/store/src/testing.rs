//! Temporary databases for tests: a SQLite file, and a database of a PostgreSQL server that the test process starts for itself.
//!
//! The server is started once a process, with its folder in the temporary directory. A guard process waits for the end of ours,
//! however it comes, stops the server and removes the folder. PostgreSQL refuses to run as root, so there it runs as the user
//! `postgres`, whom its packages make.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test without its database can only fail, and says here why"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::dialect::on_db;
use crate::url::Place;
use crate::{DatabaseUrl, DbConn, Dialect, Store, StoreError, StoreOptions};

/// A database of its own, gone with the value (SQLite) or with the process (PostgreSQL).
#[derive(Debug)]
pub struct TestDatabase {
    /// `sqlite` or `postgres`, for a test's messages.
    pub name: &'static str,
    /// Where it is.
    pub url: DatabaseUrl,
    _guard: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A database with all control tables; `None`, said loudly, for PostgreSQL where its programs are missing.
    pub async fn new(dialect: Dialect) -> Option<Self> {
        let database = Self::make(dialect, "template_trunkline")?;
        if dialect == Dialect::Sqlite {
            database
                .store()
                .await
                .migrate()
                .await
                .expect("migrations of a new file");
        }
        Some(database)
    }

    /// A database without any table.
    pub fn empty(dialect: Dialect) -> Option<Self> {
        Self::make(dialect, "template1")
    }

    /// The whole address, for another process; the database's own text leaves out what may be secret.
    pub fn address(&self) -> String {
        match self.url.place() {
            Place::Sqlite(path) => format!("sqlite://{}", path.display()),
            Place::Postgres(url) => url.to_string(),
        }
    }

    /// Opens the database with few connections.
    pub async fn store(&self) -> Store {
        Store::open(&self.url, StoreOptions { readers: 4 })
            .await
            .expect("a new test database opens")
    }

    fn make(dialect: Dialect, template: &str) -> Option<Self> {
        if dialect == Dialect::Postgres {
            let server = server()?;
            return Some(Self {
                name: "postgres",
                url: server.database(template),
                _guard: None,
            });
        }
        let folder = tempfile::Builder::new()
            .prefix("trunkline-")
            .tempdir()
            .expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("test.db").display())
            .parse()
            .expect("an address");
        Some(Self {
            name: "sqlite",
            url,
            _guard: Some(folder),
        })
    }
}

/// Both databases, with all control tables; SQLite alone where PostgreSQL's programs are missing.
pub async fn databases() -> Vec<TestDatabase> {
    let mut databases = Vec::new();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        databases.extend(TestDatabase::new(dialect).await);
    }
    databases
}

/// Takes the last migration back, for tests of the migrations themselves.
pub fn revert_last_migration(c: &mut DbConn) -> Result<(), StoreError> {
    crate::migrations::revert_last(c)
}

/// What the database's tables look like, one line a column and an index, without the table that keeps the migrations.
pub fn describe_tables(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    crate::dialect::describe(c)
}

/// Runs statements as they stand.
pub fn run_sql(c: &mut DbConn, sql: &str) -> Result<(), StoreError> {
    Ok(on_db!(c, c => c.batch_execute(sql))?)
}

struct Server {
    /// The folder of the socket.
    folder: PathBuf,
    databases: AtomicU32,
    /// Reads from its input, which it shares with nobody, until our process ends.
    _guard: Child,
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// Starts the server, says `ready`, waits for its input to end, cleans up. Signals from the keyboard reach it too; it outlives them.
const GUARD: &str = r#"
trap '' INT TERM HUP
folder=$1; programs=$2
cd "$folder" &&
"$programs/initdb" -D "$folder/data" -U trunkline -A trust -N -E UTF8 --locale=C >"$folder/log" 2>&1 &&
"$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-c listen_addresses='' -c unix_socket_directories='$folder' \
-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=256MB" start >>"$folder/log" 2>&1 &&
echo ready || cat "$folder/log" >&2
cat >/dev/null
"$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$folder"
"#;

impl Server {
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            complain("no initdb and pg_ctl: install PostgreSQL 15 or later");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("trunkline-pg-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let root = folder_owner_is_root(&folder);
        let mut command = Command::new(if root { "runuser" } else { "sh" });
        if root {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status();
            if !owned.is_ok_and(|status| status.success()) {
                complain("PostgreSQL does not run as root, and there is no user postgres");
                return None;
            }
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", GUARD, "sh"]).arg(&folder).arg(programs);
        let mut guard = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the guard starts");
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the guard's answer");
        assert_eq!(line.trim(), "ready", "PostgreSQL did not start");
        let server = Self {
            folder,
            databases: AtomicU32::new(0),
            _guard: guard,
        };
        server.make_template();
        Some(server)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://trunkline@localhost/{database}?host={}",
            self.folder.display()
        )
    }

    /// Runs statements in the database `postgres`.
    fn administer(&self, sql: &str) {
        let mut connection = PgConnection::establish(&self.url("postgres")).expect("the server answers");
        connection.batch_execute(sql).expect("the server obeys");
    }

    fn make_template(&self) {
        self.administer("CREATE DATABASE template_trunkline");
        let connection =
            PgConnection::establish(&self.url("template_trunkline")).expect("the server answers");
        crate::migrations::run(&mut DbConn::Pg(connection)).expect("migrations of a new database");
    }

    fn database(&self, template: &str) -> DatabaseUrl {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        self.url(&name).parse().expect("an address")
    }
}

fn folder_owner_is_root(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::uid(&folder.metadata().expect("a folder")) == 0
    }
    #[cfg(not(unix))]
    {
        false
    }
}

/// The folder of `initdb`: the newest that a package has put in its usual place, or what the system finds by itself.
fn programs() -> Option<PathBuf> {
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = packaged
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .max();
    newest.map(|(_, bin)| bin).or_else(|| {
        let found = Command::new("pg_config").arg("--bindir").output().ok()?;
        let bin = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
        bin.join("initdb").exists().then_some(bin)
    })
}

#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests must see that half of them did not run"
)]
fn complain(why: &str) {
    eprintln!("\n*** TESTS ON POSTGRESQL ARE SKIPPED: {why} ***\n");
}
