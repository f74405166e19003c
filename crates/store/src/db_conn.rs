//! A connection to either database.

use diesel::{Connection, PgConnection, SqliteConnection};

use crate::{Dialect, StoreError};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum DbConn {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

impl DbConn {
    /// Returns which database it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Pg(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

/// Runs several reads in one transaction, which costs PostgreSQL less than one for each. They share no snapshot (READ COMMITTED).
pub fn at_once<T>(
    c: &mut DbConn,
    body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    c.transaction(body)
}
