//! The migrations of the control tables, which are built in: a folder for each database, with migrations of the same names.

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::dialect::{advisory_lock, applied_migrations, lineage};
use crate::error::BoxError;
use crate::{DbConn, Dialect, StoreError};

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

/// The difference between the applied and the built-in migrations.
#[derive(Debug)]
pub(crate) struct SchemaState {
    /// The names of the migrations that are not applied, in order.
    missing: Vec<String>,
    /// The versions that are applied and not built in.
    unknown: Vec<String>,
}

impl SchemaState {
    /// Returns the names of the migrations that are not applied, unless a newer version of the program has changed the tables.
    pub(crate) fn pending(self) -> Result<Vec<String>, StoreError> {
        if self.unknown.is_empty() {
            return Ok(self.missing);
        }
        Err(StoreError::Refused(format!(
            "the database was changed by a newer version of Trunkline (this one does not know its migrations {}): start that \
             version or a later one, or restore the backup from before the upgrade",
            self.unknown.join(", ")
        )))
    }
}

/// Compares the migrations and writes nothing.
pub(crate) fn state(c: &mut DbConn) -> Result<SchemaState, StoreError> {
    let applied = applied_migrations(c)?;
    let built_in = match c.dialect() {
        Dialect::Postgres => names(MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES)),
        Dialect::Sqlite => names(MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE)),
    };
    let built_in = built_in.map_err(StoreError::Migration)?;
    let known = |version: &String| built_in.iter().any(|(known, _)| known == version);
    Ok(SchemaState {
        unknown: applied
            .iter()
            .filter(|version| !known(version))
            .cloned()
            .collect(),
        missing: built_in
            .iter()
            .filter(|(version, _)| !applied.contains(version))
            .map(|(_, name)| name.clone())
            .collect(),
    })
}

/// Returns version and name of each migration.
fn names<DB: Backend>(
    migrations: diesel::migration::Result<Vec<Box<dyn Migration<DB>>>>,
) -> Result<Vec<(String, String)>, BoxError> {
    let mut names: Vec<_> = migrations?
        .iter()
        .map(|migration| {
            let name = migration.name();
            (name.version().to_string(), name.to_string())
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Applies the missing migrations in the transaction of `c`, and returns their names.
///
/// [`StoreError::Refused`] if a newer version of the program has changed the tables.
pub(crate) fn run(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    advisory_lock(c)?;
    state(c)?.pending()?;
    let names = with_migrations!(c, |c, source| {
        c.pending_migrations(source).and_then(|pending| {
            pending
                .iter()
                .map(|migration| c.run_migration(migration).map(|_| migration.name().to_string()))
                .collect::<Result<Vec<_>, _>>()
        })
    });
    let names = names.map_err(StoreError::Migration)?;
    if let Some(identity) = lineage::identity_of(c) {
        lineage::confirm(c, &identity)?;
    }
    Ok(names)
}

/// Reverts the last migration.
#[cfg(feature = "testing")]
pub(crate) fn revert_last(c: &mut DbConn) -> Result<(), StoreError> {
    with_migrations!(c, |c, source| c.revert_last_migration(source).map(drop)).map_err(StoreError::Migration)
}
