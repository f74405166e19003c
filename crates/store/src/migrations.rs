//! The migrations of the control tables, built in: a folder for each database, pairs of one name.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::dialect::advisory_lock;
use crate::{DbConn, StoreError};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Binds `$source` to the open database's migrations.
macro_rules! with_migrations {
    ($conn:expr, |$c:ident, $source:ident| $body:expr) => {
        match $conn {
            DbConn::Pg($c) => {
                let $source = POSTGRES;
                $body
            }
            DbConn::Sqlite($c) => {
                let $source = SQLITE;
                $body
            }
        }
    };
}

/// Applies what is missing, all in the transaction of `c`; gives the names.
pub(crate) fn run(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    advisory_lock(c)?;
    let names = with_migrations!(c, |c, source| {
        c.pending_migrations(source).and_then(|pending| {
            pending
                .iter()
                .map(|migration| c.run_migration(migration).map(|_| migration.name().to_string()))
                .collect::<Result<Vec<_>, _>>()
        })
    });
    names.map_err(StoreError::Migration)
}

/// The names of those that are missing.
pub(crate) fn pending(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    advisory_lock(c)?;
    let pending = with_migrations!(c, |c, source| {
        c.pending_migrations(source).map(|pending| {
            pending
                .iter()
                .map(|migration| migration.name().to_string())
                .collect()
        })
    });
    pending.map_err(StoreError::Migration)
}

/// Takes the last one back.
#[cfg(feature = "testing")]
pub(crate) fn revert_last(c: &mut DbConn) -> Result<(), StoreError> {
    with_migrations!(c, |c, source| c.revert_last_migration(source).map(drop)).map_err(StoreError::Migration)
}
