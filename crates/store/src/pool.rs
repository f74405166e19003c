//! Connections: how one is opened, and the pool of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::{ConnectionError, PgConnection, SqliteConnection};

use crate::dialect::{Statement, session};
use crate::store::is_broken;
use crate::url::Place;
use crate::{DatabaseUrl, DbConn, StoreError};

/// Connections for [`crate::Store::read`], and on PostgreSQL for writing too.
pub(crate) type Pool = r2d2::Pool<Connector>;

/// Opens connections to one database, and never tries another.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    url: DatabaseUrl,
    /// Whether SQLite's connections write; PostgreSQL's all do.
    writer: bool,
}

impl Connector {
    pub(crate) fn new(url: &DatabaseUrl, writer: bool) -> Self {
        Self {
            url: url.clone(),
            writer,
        }
    }

    /// A new connection.
    pub(crate) fn open(&self) -> Result<DbConn, StoreError> {
        self.establish()
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// A pool of at most `size`, filled as they are asked for.
    pub(crate) fn pool(self, size: u32) -> Result<Pool, StoreError> {
        let postgres = self.url.sqlite_path().is_none();
        r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            // A server may have restarted meanwhile; a file is always there.
            .test_on_check_out(postgres)
            .connection_timeout(Duration::from_secs(10))
            // Every error reaches the caller, who logs it once.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build(self)
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    fn establish(&self) -> Result<DbConn, OpenError> {
        match self.url.place() {
            Place::Postgres(url) => Ok(DbConn::Pg(PgConnection::establish(url.as_str())?)),
            Place::Sqlite(path) => {
                if self.writer {
                    create_private(path)?;
                }
                let mut connection = SqliteConnection::establish(path.to_str().ok_or(OpenError::Path)?)?;
                connection.batch_execute(session(self.writer))?;
                Ok(DbConn::Sqlite(connection))
            }
        }
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
pub(crate) enum OpenError {
    #[error("the database does not let us in")]
    Connect(#[from] ConnectionError),
    #[error("the database's file cannot be made")]
    File(#[from] std::io::Error),
    #[error("the path of the database's file is not UTF-8")]
    Path,
    #[error("the database does not answer as it should")]
    Session(#[from] diesel::result::Error),
    #[error("the connection is lost")]
    Lost(#[from] StoreError),
}

/// A connection of the pool.
pub(crate) struct Pooled {
    connection: DbConn,
    used: Instant,
}

impl Pooled {
    /// The connection, for use now.
    pub(crate) fn use_now(&mut self) -> &mut DbConn {
        self.used = Instant::now();
        &mut self.connection
    }
}

/// A connection that was used within this time is taken to be alive: asking each time would double the round trips.
const FRESH: Duration = Duration::from_secs(1);

impl r2d2::ManageConnection for Connector {
    type Connection = Pooled;
    type Error = OpenError;

    fn connect(&self) -> Result<Pooled, OpenError> {
        let connection = self.establish()?;
        Ok(Pooled {
            connection,
            used: Instant::now(),
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), OpenError> {
        if pooled.used.elapsed() > FRESH {
            Statement::new("SELECT 1", Vec::new()).load(&mut pooled.connection, |_| Ok(()))?;
        }
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking() || is_broken(&mut pooled.connection)
    }
}
