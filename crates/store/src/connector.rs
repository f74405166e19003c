//! Opens connections, sets up their sessions, and runs transactions on them.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, CacheSize, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::{ConnectionError, PgConnection, SqliteConnection};

use crate::dialect::{lineage, on_db, session, speaks_another_language};
use crate::{DatabaseUrl, DbConn, Dialect, PostgresUrl, StoreError};

/// The options of a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The most connections; on SQLite, for reading, besides the single writer.
    pub readers: u32,
    /// How long a call may take, including the wait for a connection and for locks. Long calls may take three times as long.
    pub timeout: Duration,
    /// Whether PostgreSQL is behind a pooler in transaction mode. Then no statement is prepared by name, and every transaction brings its
    /// own settings.
    pub pooler: bool,
    /// The connections' name in PostgreSQL, unless the URL sets it.
    pub application_name: String,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            readers: 8,
            timeout: Duration::from_secs(5),
            pooler: false,
            application_name: "trunkline".to_owned(),
        }
    }
}

/// The deadline of a long call, as a multiple of [`StoreOptions::timeout`].
pub(crate) const LONG: u32 = 3;
/// How long one server may take to accept a connection. libpq gives each host of the URL that long.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a transaction may be idle before the server ends it, so that a suspended process does not keep its locks.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(1);

/// Opens connections to one database.
#[derive(Debug)]
pub(crate) struct Connector {
    url: DatabaseUrl,
    /// Whether SQLite's connections write; all of PostgreSQL do.
    writer: bool,
    options: StoreOptions,
    /// The last confirmed identity of PostgreSQL's database, shared by all connections.
    confirmed: Mutex<Option<String>>,
}

impl Connector {
    pub(crate) fn new(url: &DatabaseUrl, writer: bool, options: &StoreOptions) -> Self {
        Self {
            url: url.clone(),
            writer,
            options: options.clone(),
            confirmed: Mutex::default(),
        }
    }

    /// Returns what it connects to, for the log.
    pub(crate) fn what(&self) -> &'static str {
        match (&self.url, self.writer) {
            (DatabaseUrl::Postgres(_), _) => "database",
            (DatabaseUrl::Sqlite(_), false) => "database's file",
            (DatabaseUrl::Sqlite(_), true) => "database's file, for writing,",
        }
    }

    /// Returns after how long a thread counts as stuck; `None` if a new connection would not help.
    ///
    /// By then a running server has cancelled the statement, and libpq has given up connecting.
    pub(crate) fn stuck_after(&self, timeout: Duration) -> Option<Duration> {
        match &self.url {
            DatabaseUrl::Postgres(url) => {
                Some(timeout * LONG + CONNECT * url.hosts() + Duration::from_secs(1))
            }
            DatabaseUrl::Sqlite(_) => None,
        }
    }

    /// Opens a connection that is ready for use.
    pub(crate) fn open(&self) -> Result<Opened, StoreError> {
        self.establish()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    fn establish(&self) -> Result<Opened, OpenError> {
        match &self.url {
            DatabaseUrl::Postgres(url) => self.postgres(url),
            DatabaseUrl::Sqlite(path) => {
                if self.writer {
                    create_private(path)?;
                }
                let mut connection = SqliteConnection::establish(path.to_str().ok_or(OpenError::Path)?)?;
                connection.batch_execute(session(self.writer))?;
                Ok(Opened {
                    connection: DbConn::Sqlite(connection),
                    own_limits: self.writer,
                    local: String::new(),
                    unknown_state: false,
                })
            }
        }
    }

    fn postgres(&self, url: &PostgresUrl) -> Result<Opened, OpenError> {
        let long = self.options.timeout * LONG;
        let parameters = [
            ("connect_timeout", CONNECT.as_secs().to_string()),
            ("fallback_application_name", self.options.application_name.clone()),
            // For lost packets, and peers that are gone without closing the connection.
            ("tcp_user_timeout", long.as_millis().to_string()),
            ("keepalives_idle", "10".to_owned()),
            ("keepalives_interval", "3".to_owned()),
            ("keepalives_count", "3".to_owned()),
        ];
        let mut connection = PgConnection::establish(&url.with_defaults(&parameters))
            .map_err(|error| OpenError::Refused(url.without_secrets(&error.to_string())))?;
        if self.options.pooler {
            // The next transaction may use another session, which does not have the statements that this one prepared.
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
        }
        let mut connection = DbConn::Pg(connection);
        let mut settings = vec![
            format!("statement_timeout = {}", long.as_millis()),
            format!(
                "idle_in_transaction_session_timeout = {}",
                IDLE_IN_TRANSACTION.as_millis()
            ),
        ];
        if speaks_another_language(&mut connection)? {
            settings.push("lc_messages = 'C'".to_owned());
        }
        let set = |word: &str| {
            let set = settings.iter().map(|setting| format!("{word} {setting};"));
            set.collect::<String>()
        };
        let local = if self.options.pooler {
            set("SET LOCAL")
        } else {
            on_db!(&mut connection, c => c.batch_execute(&set("SET")))?;
            String::new()
        };
        let mut opened = Opened {
            connection,
            own_limits: true,
            local,
            unknown_state: false,
        };
        self.confirm(&mut opened)?;
        Ok(opened)
    }

    /// Raises the change numbers before a connection to another database than the last one is used; see [`lineage`].
    fn confirm(&self, opened: &mut Opened) -> Result<(), StoreError> {
        let Some(identity) = lineage::identity_of(&mut opened.connection) else {
            return Ok(());
        };
        let known = || self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if known().as_ref() == Some(&identity) {
            return Ok(());
        }
        if !lineage::is_known(&mut opened.connection, &identity)? {
            match opened.run(true, self.options.timeout, false, |c| {
                lineage::confirm(c, &identity)
            }) {
                // A read-only server can still be read. The next connection tries again.
                Err(StoreError::Busy(_)) => return Ok(()),
                confirmed => confirmed?,
            }
        }
        *known() = Some(identity);
        Ok(())
    }
}

/// Creates the file, unless it exists, readable only by its owner. SQLite gives its side files the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    /// The message of the server or of libpq, without secrets.
    #[error("{0}")]
    Refused(String),
    #[error("cannot open the database file")]
    Connect(#[from] ConnectionError),
    #[error("cannot create the database file")]
    File(#[from] std::io::Error),
    #[error("the path of the database file is not valid UTF-8")]
    Path,
    #[error("cannot set up the session")]
    Session(#[from] diesel::result::Error),
    #[error("cannot set up the session")]
    Store(#[from] StoreError),
}

/// An open connection, and the settings of its transactions.
pub(crate) struct Opened {
    connection: DbConn,
    /// Whether each call sets its own time limits: on SQLite's writer, and on PostgreSQL.
    own_limits: bool,
    /// The settings of every transaction, behind a pooler. Reads then need a transaction for them.
    local: String,
    /// Whether a transaction may be open that diesel does not know of.
    unknown_state: bool,
}

impl Opened {
    /// Returns whether the database responds.
    pub(crate) fn responds(&mut self) -> bool {
        on_db!(&mut self.connection, c => c.batch_execute("SELECT 1")).is_ok()
    }

    /// Returns whether the connection must not be used again: it is lost, or a transaction is open.
    pub(crate) fn is_broken(&mut self) -> bool {
        self.unknown_state
            || on_db!(&mut self.connection, c => AnsiTransactionManager::is_broken_transaction_manager(c))
    }

    /// Runs `body`, in a transaction if it writes. `left` is how long it may wait for a lock of SQLite. `unlimited` removes the time limit
    /// of PostgreSQL's statements.
    pub(crate) fn run<T>(
        &mut self,
        write: bool,
        left: Duration,
        unlimited: bool,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begin = match &mut self.connection {
            DbConn::Sqlite(c) => {
                if self.own_limits {
                    c.batch_execute(&format!("PRAGMA busy_timeout = {}", left.as_millis().max(1)))?;
                }
                // A deferred transaction that reads and then writes fails at once if another one wrote in between.
                write.then(|| "BEGIN IMMEDIATE".to_owned())
            }
            DbConn::Pg(_) => {
                let no_limit = if unlimited {
                    "SET LOCAL statement_timeout = 0;"
                } else {
                    ""
                };
                let mode = if write { "" } else { " READ ONLY" };
                (write || !self.local.is_empty()).then(|| {
                    format!(
                        "BEGIN ISOLATION LEVEL READ COMMITTED{mode};{}{no_limit}",
                        self.local
                    )
                })
            }
        };
        let Some(begin) = begin else {
            return body(&mut self.connection);
        };
        if let Err(error) =
            on_db!(&mut self.connection, c => AnsiTransactionManager::begin_transaction_sql(c, &begin))
        {
            // The batch may have begun a transaction and failed after that, which diesel does not notice.
            self.unknown_state = self.connection.dialect() == Dialect::Postgres;
            return Err(error.into());
        }
        match body(&mut self.connection) {
            Ok(value) => {
                on_db!(&mut self.connection, c => AnsiTransactionManager::commit_transaction(c))?;
                Ok(value)
            }
            Err(error) => {
                // The first error says more than that of the rollback. A connection that could not roll back is not used again.
                drop(on_db!(&mut self.connection, c => AnsiTransactionManager::rollback_transaction(c)));
                Err(error)
            }
        }
    }
}
