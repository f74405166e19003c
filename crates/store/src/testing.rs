//! Temporary databases for tests: a SQLite file, and a database of a PostgreSQL server that the test process starts for itself.
//!
//! Each process starts the server once, with its folder in the temporary directory. A supervisor process waits until our
//! process exits, even if it is killed, then stops the server and removes the folder. PostgreSQL refuses to run as root, so it then runs as the user
//! `postgres`, which its packages create.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test without its database must fail"
)]

mod pooler;
mod server;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use pooler::Pooler;
pub use server::{StartError, TestServer};

use crate::dialect::on_db;
pub use crate::dialect::{describe_tables, waits_for_lock};
pub use crate::migrations::revert_last_migration;
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

/// The database with all control tables, which new ones on PostgreSQL are copies of.
const TEMPLATE: &str = "template_trunkline";

/// A database of a single test, removed with the value (SQLite) or with the process (PostgreSQL).
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is.
    pub url: DatabaseUrl,
    /// What it is reached through.
    pooler: Option<Pooler>,
    /// The folder of SQLite's file.
    _folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// Creates a database with all control tables; `None` if PostgreSQL is wanted and its programs are missing.
    pub async fn new(dialect: Dialect) -> Option<Self> {
        let database = Self::from_template(dialect, TEMPLATE)?;
        if dialect == Dialect::Sqlite {
            let store = database.store().await;
            store.migrate().await.expect("migrations of a new file");
        }
        Some(database)
    }

    /// Creates a database without tables.
    pub fn empty(dialect: Dialect) -> Option<Self> {
        Self::from_template(dialect, "template1")
    }

    /// Creates a database of PostgreSQL behind a PgBouncer in transaction mode; `None` if either is missing.
    ///
    /// # Panics
    /// If PgBouncer is missing and `TRUNKLINE_TEST_REQUIRE_POSTGRES` is set.
    pub fn behind_pooler() -> Option<Self> {
        let server = server::shared()?;
        let pooler = Pooler::start(server)?;
        let name = server.create_database(TEMPLATE);
        let url = format!("postgres://trunkline@127.0.0.1:{}/{name}", pooler.port);
        Some(Self {
            url: url.parse().expect("an address"),
            pooler: Some(pooler),
            _folder: None,
        })
    }

    /// Returns a copy of the database, like a backup that is restored elsewhere. Nothing may use this one meanwhile.
    #[must_use]
    pub fn copy(&self) -> Self {
        let Some(file) = self.url.sqlite_path() else {
            let address = self.address();
            let (_, name) = address.split_once("localhost/").expect("a database of a server");
            let (name, _) = name.split_once('?').expect("the server's socket");
            let server = server::shared().expect("the server of this database");
            server.end_connections(name);
            return Self::of_server(server, name);
        };
        let copy = Self::in_file();
        let sql = format!(
            "VACUUM INTO '{}'",
            copy.url.sqlite_path().expect("a file").display()
        );
        let mut connection =
            SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("the file opens");
        connection.batch_execute(&sql).expect("a copy can be made");
        copy
    }

    /// Returns the whole URL, for another process; the URL's own text leaves out what may be secret.
    pub fn address(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(_) => self.url.to_string(),
            DatabaseUrl::Postgres(url) => url.with_defaults(&[]),
        }
    }

    /// Opens the database with few connections.
    pub async fn store(&self) -> Store {
        Store::open(
            &self.url,
            StoreOptions {
                readers: 4,
                pooler: self.pooler.is_some(),
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

    fn from_template(dialect: Dialect, template: &str) -> Option<Self> {
        Some(match dialect {
            Dialect::Sqlite => Self::in_file(),
            Dialect::Postgres => Self::of_server(server::shared()?, template),
        })
    }

    /// Creates a folder for a file of SQLite, which opening the database creates.
    fn in_file() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("trunkline-")
            .tempdir()
            .expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self {
            url: url.parse().expect("an address"),
            pooler: None,
            _folder: Some(folder),
        }
    }

    /// Creates a database of the server.
    fn of_server(server: &TestServer, template: &str) -> Self {
        Self {
            url: server.url_of(&server.create_database(template)),
            pooler: None,
            _folder: None,
        }
    }
}

/// Runs SQL statements.
pub fn run_sql(c: &mut DbConn, sql: &str) -> Result<(), StoreError> {
    Ok(on_db!(c, c => c.batch_execute(sql))?)
}
