//! Temporary databases for tests: a SQLite file, and a database of a PostgreSQL server that the test process starts for itself.
//!
//! Each process starts the server once, with its folder in the temporary directory. A guard process waits for the end of ours,
//! however it comes, stops the server and removes the folder. PostgreSQL refuses to run as root, so it then runs as the user
//! `postgres`, which its packages create.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test without its database must fail"
)]

mod pooler;
mod server;

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use pooler::Pooler;
use server::Server;

use crate::dialect::on_db;
use crate::url::Place;
use crate::{DatabaseUrl, DbConn, Dialect, Store, StoreError, StoreOptions};

/// What a test that runs on both databases takes as its argument; see `testkit_macros::on_both_databases`.
pub trait TestContext: Sized {
    /// Returns a new one on `dialect`; `None` if that is PostgreSQL and its programs are missing.
    fn on(dialect: Dialect) -> impl Future<Output = Option<Self>>;
}

/// For tests that create the rest themselves.
impl TestContext for Dialect {
    async fn on(dialect: Dialect) -> Option<Self> {
        Some(dialect)
    }
}

/// With all control tables.
impl TestContext for TestDatabase {
    async fn on(dialect: Dialect) -> Option<Self> {
        Self::new(dialect).await
    }
}

/// A database of a single test, removed with the value (SQLite) or with the process (PostgreSQL).
#[derive(Debug)]
pub struct TestDatabase {
    /// `sqlite` or `postgres`, for messages.
    pub name: &'static str,
    /// Where it is.
    pub url: DatabaseUrl,
    /// Whether it is reached through a pooler.
    pub pooler: bool,
    _guard: Guard,
}

/// What is removed with a database.
#[derive(Debug)]
enum Guard {
    Nothing,
    Folder { _folder: tempfile::TempDir },
    Pooler { _pooler: Pooler },
}

impl TestDatabase {
    /// Creates a database with all control tables; `None` if PostgreSQL is wanted and its programs are missing.
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

    /// Creates a database without tables.
    pub fn empty(dialect: Dialect) -> Option<Self> {
        Self::make(dialect, "template1")
    }

    /// Creates a database of PostgreSQL behind a PgBouncer in transaction mode; `None` if either is missing.
    ///
    /// # Panics
    /// If PgBouncer is missing and `TRUNKLINE_TEST_REQUIRE_POSTGRES` is set.
    pub fn behind_pooler() -> Option<Self> {
        let server = server::shared()?;
        let pooler = Pooler::start(server)?;
        let name = server.database("template_trunkline");
        let url = format!("postgres://trunkline@127.0.0.1:{}/{name}", pooler.port);
        Some(Self {
            name: "postgres behind a pooler",
            url: url.parse().expect("an address"),
            pooler: true,
            _guard: Guard::Pooler { _pooler: pooler },
        })
    }

    /// Returns a copy of the database, like a backup that is restored elsewhere. Nothing may use this one meanwhile.
    #[must_use]
    pub fn copy(&self) -> Self {
        if self.url.sqlite_path().is_none() {
            let name = self.address();
            let name = name
                .split("localhost/")
                .nth(1)
                .and_then(|rest| rest.split('?').next());
            let server = server::shared().expect("the server of this database");
            return Self {
                name: "postgres",
                url: server.url_of(&server.copy(name.expect("the database's name"))),
                pooler: false,
                _guard: Guard::Nothing,
            };
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path().join("copy.db");
        let sql = format!("VACUUM INTO '{}'", copy.display());
        let path = self
            .url
            .sqlite_path()
            .and_then(|path| path.to_str())
            .expect("a file");
        let mut connection = SqliteConnection::establish(path).expect("the file opens");
        connection.batch_execute(&sql).expect("a copy can be made");
        Self {
            name: "sqlite",
            url: format!("sqlite://{}", copy.display())
                .parse()
                .expect("an address"),
            pooler: false,
            _guard: Guard::Folder { _folder: folder },
        }
    }

    /// Returns the whole URL, for another process; the URL's own text leaves out what may be secret.
    pub fn address(&self) -> String {
        match self.url.place() {
            Place::Sqlite(path) => format!("sqlite://{}", path.display()),
            Place::Postgres(url) => url.with_defaults(&[]),
        }
    }

    /// Opens the database with few connections.
    pub async fn store(&self) -> Store {
        Store::open(
            &self.url,
            StoreOptions {
                readers: 4,
                pooler: self.pooler,
                ..StoreOptions::default()
            },
        )
        .await
        .expect("a new test database opens")
    }

    /// Returns whether the text is anywhere in the database: in SQLite's files, or in a row of PostgreSQL's tables. Characters that JSON or
    /// XML escape must not be in it.
    pub async fn holds(&self, text: &str) -> bool {
        let Some(path) = self.url.sqlite_path() else {
            let store = self.store().await;
            let rows = store.read(crate::dialect::all_rows).await;
            return rows.expect("the rows").contains(text);
        };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        [path.as_os_str(), log.as_os_str()].into_iter().any(|file| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        })
    }

    fn make(dialect: Dialect, template: &str) -> Option<Self> {
        if dialect == Dialect::Postgres {
            let server = server::shared()?;
            return Some(Self {
                name: "postgres",
                url: server.url_of(&server.database(template)),
                pooler: false,
                _guard: Guard::Nothing,
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
            pooler: false,
            _guard: Guard::Folder { _folder: folder },
        })
    }
}

/// A PostgreSQL server of a single test, which can be suspended, killed and restarted. Dropping it stops the server.
#[derive(Debug)]
pub struct TestServer(Server);

impl TestServer {
    /// Starts a server; `None` if its programs are missing.
    pub fn start() -> Option<Self> {
        Server::start("", None).map(Self)
    }

    /// Starts a server whose messages are in German; `None` if the locale cannot be created.
    pub fn start_in_german() -> Option<Self> {
        Server::start("", Some("de_DE")).map(Self)
    }

    /// Creates a database with all control tables.
    pub fn database(&self) -> TestDatabase {
        TestDatabase {
            name: "postgres",
            url: self.0.url_of(&self.0.database("template_trunkline")),
            pooler: false,
            _guard: Guard::Nothing,
        }
    }

    /// Returns the Unix socket that the server listens on.
    pub fn socket(&self) -> PathBuf {
        self.0.socket()
    }

    /// Suspends all processes of the server: connections stay open and get no response.
    pub fn suspend(&self) {
        self.0.signal("STOP");
    }

    /// Resumes after [`TestServer::suspend`].
    pub fn resume(&self) {
        self.0.signal("CONT");
    }

    /// Kills all processes of the server at once.
    pub fn kill(&self) {
        self.0.signal("KILL");
    }

    /// Starts the server after [`TestServer::kill`]; it recovers what was committed.
    pub fn start_again(&self) {
        self.0.start_again();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Returns both databases with all control tables; only SQLite if PostgreSQL's programs are missing.
pub async fn databases() -> Vec<TestDatabase> {
    let mut databases = Vec::new();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        databases.extend(TestDatabase::new(dialect).await);
    }
    databases
}

/// Reverts the last migration, for tests of the migrations.
pub fn revert_last_migration(c: &mut DbConn) -> Result<(), StoreError> {
    crate::migrations::revert_last(c)
}

/// Describes the database's tables, with one line for each column and index, without the table of migrations.
pub fn describe_tables(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    crate::dialect::describe(c)
}

/// Returns whether a session of PostgreSQL in this database waits for a lock.
pub fn waits_for_lock(c: &mut DbConn) -> Result<bool, StoreError> {
    crate::dialect::waits_for_lock(c)
}

/// Runs SQL statements.
pub fn run_sql(c: &mut DbConn, sql: &str) -> Result<(), StoreError> {
    Ok(on_db!(c, c => c.batch_execute(sql))?)
}
