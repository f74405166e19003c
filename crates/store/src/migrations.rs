//! The migrations of the control tables, which are built in: a folder for each database, with migrations of the same names.

use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::dialect::{TABLES_LOCK, advisory_lock, applied_migrations, lineage, on_db};
use crate::{DbConn, Dialect, StoreError};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Returns the open database's migrations.
fn built_in(c: &DbConn) -> EmbeddedMigrations {
    match c.dialect() {
        Dialect::Postgres => POSTGRES,
        Dialect::Sqlite => SQLITE,
    }
}

/// Returns the names of the migrations that are not applied, in order. Writes nothing.
///
/// [`StoreError::Refused`] if a newer version of the program has changed the tables.
pub(crate) fn pending(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    let applied = applied_migrations(c)?;
    // Names and versions are the same for any of diesel's backends.
    let built_in = MigrationSource::<Sqlite>::migrations(&built_in(c)).map_err(StoreError::Migration)?;
    let mut built_in: Vec<(String, String)> = built_in
        .iter()
        .map(|migration| {
            let name = migration.name();
            (name.version().to_string(), name.to_string())
        })
        .collect();
    built_in.sort();
    let is_unknown = |version: &String| built_in.iter().all(|(known, _)| known != version);
    let unknown: Vec<_> = applied
        .iter()
        .filter(|version| is_unknown(version))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(StoreError::Refused(format!(
            "the database was changed by a newer version of Trunkline (this one does not know its migrations {}): start that \
             version or a later one, or restore the backup from before the upgrade",
            unknown.join(", ")
        )));
    }
    built_in.retain(|(version, _)| !applied.contains(version));
    Ok(built_in.into_iter().map(|(_, name)| name).collect())
}

/// Applies the missing migrations in the transaction of `c`, and returns their names.
///
/// [`StoreError::Refused`] if a newer version of the program has changed the tables.
pub(crate) fn run(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    advisory_lock(c, TABLES_LOCK)?;
    let names = pending(c)?;
    let built_in = built_in(c);
    on_db!(&mut *c, c => c.run_pending_migrations(built_in).map(drop)).map_err(StoreError::Migration)?;
    if let Some(identity) = lineage::identity_of(c) {
        lineage::confirm(c, &identity)?;
    }
    Ok(names)
}

/// Reverts the last migration, for tests of the migrations.
#[cfg(feature = "testing")]
pub fn revert_last_migration(c: &mut DbConn) -> Result<(), StoreError> {
    let built_in = built_in(c);
    on_db!(c, c => c.revert_last_migration(built_in).map(drop)).map_err(StoreError::Migration)
}
