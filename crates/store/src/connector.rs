//! How a connection is opened, what a session is told, and how a transaction is run on it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, CacheSize, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::{ConnectionError, PgConnection, SqliteConnection};

use crate::dialect::{lineage, on_db, ping, session, speaks_another_language};
use crate::url::{Place, PostgresUrl};
use crate::{DatabaseUrl, DbConn, Dialect, StoreError};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Connections for reading beside SQLite's one writer; on PostgreSQL all connections.
    pub readers: u32,
    /// How long a call may take, the wait for a connection and for locks included; long ones three times as long.
    pub timeout: Duration,
    /// Whether a pooler in transaction mode stands before PostgreSQL: no statement is prepared by name then, and every transaction
    /// brings its own settings.
    pub pooler: bool,
    /// How PostgreSQL lists the connections, unless the URL says it.
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

/// How many times [`StoreOptions::timeout`] a long call may take.
pub(crate) const LONG: u32 = 3;
/// How long one server may take to accept a connection; libpq tries each host of the URL for as long.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a transaction may stand idle before the server ends it: a process that was suspended holds its locks no longer.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(1);

/// Opens connections to one database.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    url: DatabaseUrl,
    /// Whether SQLite's connections write; PostgreSQL's all do.
    writer: bool,
    options: StoreOptions,
    /// The identity of PostgreSQL's database that was last confirmed, shared by all connections.
    confirmed: Arc<Mutex<Option<String>>>,
}

impl Connector {
    pub(crate) fn new(url: &DatabaseUrl, writer: bool, options: &StoreOptions) -> Self {
        Self {
            url: url.clone(),
            writer,
            options: options.clone(),
            confirmed: Arc::default(),
        }
    }

    /// What it connects to, for the log.
    pub(crate) fn what(&self) -> &'static str {
        match (self.url.place(), self.writer) {
            (Place::Postgres(_), _) => "database",
            (Place::Sqlite(_), false) => "database's file",
            (Place::Sqlite(_), true) => "database's file, for writing,",
        }
    }

    /// When a thread that carries out a call is taken to be stuck; `None` if another connection would be no better off.
    ///
    /// By then the server has cancelled the statement, if it runs, and libpq has given up connecting.
    pub(crate) fn stuck_after(&self, timeout: Duration) -> Option<Duration> {
        match self.url.place() {
            Place::Postgres(url) => Some(timeout * LONG + CONNECT * url.hosts() + Duration::from_secs(1)),
            Place::Sqlite(_) => None,
        }
    }

    /// A new connection, ready for use.
    pub(crate) fn open(&self) -> Result<Opened, StoreError> {
        self.establish()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    fn establish(&self) -> Result<Opened, OpenError> {
        match self.url.place() {
            Place::Postgres(url) => self.postgres(url),
            Place::Sqlite(path) => {
                if self.writer {
                    create_private(path)?;
                }
                let mut connection = SqliteConnection::establish(path.to_str().ok_or(OpenError::Path)?)?;
                connection.batch_execute(session(self.writer))?;
                Ok(Opened {
                    connection: DbConn::Sqlite(connection),
                    own_limits: self.writer,
                    local: String::new(),
                    reads_in_transaction: false,
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
            // Data that the network swallows, and peers that are gone without a word.
            ("tcp_user_timeout", long.as_millis().to_string()),
            ("keepalives_idle", "10".to_owned()),
            ("keepalives_interval", "3".to_owned()),
            ("keepalives_count", "3".to_owned()),
        ];
        let mut connection = PgConnection::establish(&url.with_defaults(&parameters))
            .map_err(|error| OpenError::Refused(url.without_secrets(&error.to_string())))?;
        if self.options.pooler {
            // Another client may get the server's session at the next transaction, with whatever statements this one has named.
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
            reads_in_transaction: self.options.pooler,
            unknown_state: false,
        };
        self.confirm(&mut opened)?;
        Ok(opened)
    }

    /// Before a connection to another database than that of before is used, its change numbers are raised; see [`lineage`].
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
                // A server that takes no writes can be read all the same, and is asked again at the next connection.
                Err(StoreError::Busy(_)) => return Ok(()),
                confirmed => confirmed?,
            }
        }
        *known() = Some(identity);
        Ok(())
    }
}

/// Makes the file, if there is none, so that its owner alone may read it; SQLite gives its side files the same rights.
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

/// Why a connection cannot be had.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    /// In the server's or libpq's own words, without secrets.
    #[error("{0}")]
    Refused(String),
    #[error("cannot open the database's file")]
    Connect(#[from] ConnectionError),
    #[error("cannot create the database's file")]
    File(#[from] std::io::Error),
    #[error("the path of the database's file is not UTF-8")]
    Path,
    #[error("the new session was refused")]
    Session(#[from] diesel::result::Error),
    #[error("the new session was refused")]
    Store(#[from] StoreError),
}

/// An open connection, and how transactions begin on it.
pub(crate) struct Opened {
    connection: DbConn,
    /// Whether the limits of a call must be set for it: SQLite's writer, and PostgreSQL.
    own_limits: bool,
    /// What every transaction sets, where a session keeps no settings.
    local: String,
    /// Whether reads need a transaction for these.
    reads_in_transaction: bool,
    /// Whether a transaction may stand open that diesel does not know.
    unknown_state: bool,
}

impl Opened {
    /// Whether the database answers on it.
    pub(crate) fn answers(&mut self) -> bool {
        ping(&mut self.connection).is_ok()
    }

    /// Whether the connection must not be used again: it is lost, or a transaction stands open.
    pub(crate) fn is_broken(&mut self) -> bool {
        self.unknown_state
            || on_db!(&mut self.connection, c => AnsiTransactionManager::is_broken_transaction_manager(c))
    }

    /// Runs a call's body: in a transaction if it writes. `left` is how long it may wait for a lock of SQLite's; `unlimited` takes the
    /// limit off PostgreSQL's statements.
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
                // A deferred transaction that reads and then writes fails at once if another has written meanwhile.
                write.then(|| "BEGIN IMMEDIATE".to_owned())
            }
            DbConn::Pg(_) => {
                let no_limit = if unlimited {
                    "SET LOCAL statement_timeout = 0;"
                } else {
                    ""
                };
                let mode = if write { "" } else { " READ ONLY" };
                (write || self.reads_in_transaction).then(|| {
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
            // Of a batch that begins a transaction and fails after that, diesel knows nothing.
            self.unknown_state = self.connection.dialect() == Dialect::Postgres;
            return Err(error.into());
        }
        transaction(&mut self.connection, body)
    }
}

/// Runs `body` and ends the transaction that has begun.
fn transaction<T>(
    connection: &mut DbConn,
    body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let result = body(connection);
    let end = match result {
        Ok(_) => on_db!(connection, c => AnsiTransactionManager::commit_transaction(c)),
        Err(_) => on_db!(connection, c => AnsiTransactionManager::rollback_transaction(c)),
    };
    match (result, end) {
        (Ok(value), end) => end.map(|()| value).map_err(StoreError::from),
        // The first error tells more than that of the rollback; a connection that could not roll back is not used again.
        (Err(error), _) => Err(error),
    }
}
