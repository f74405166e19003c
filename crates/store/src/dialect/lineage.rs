//! Keeps change numbers unique when a database loses its latest changes, by a restored backup or a failover to a standby that lagged.
//!
//! The counters go back too, while readers of the change feed keep cursors from the lost time. They would miss numbers that are assigned
//! again. So every counter is raised above any number that was ever assigned, which leaves a gap. A reader whose cursor is in the gap gets
//! everything again.
//!
//! PostgreSQL's restores and promotions show in the server's identity, its timeline, or the number of a table, which every new connection
//! compares. SQLite's do not show, so its counters are raised at every start.

use super::{Bind, Statement, raise_counters};
use crate::{DbConn, Dialect, StoreError};

/// Returns the identity of the database: server, timeline, database and table. `None` on a standby, before the migrations, and if the
/// server does not say.
pub(crate) fn identity_of(c: &mut DbConn) -> Option<String> {
    if c.dialect() == Dialect::Sqlite {
        return None;
    }
    let sql = "SELECT CASE WHEN NOT pg_is_in_recovery() AND to_regclass('lineage') IS NOT NULL THEN concat_ws('-', \
               (SELECT system_identifier FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_lsn()), 8), \
               (SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('counters')::oid) END";
    match Statement::new(sql, Vec::new()).first(c, |row| row.text(0)) {
        Ok(found) => found.flatten(),
        Err(error) => {
            tracing::debug!(%error, "the server does not show its identity, so restores are not noticed");
            None
        }
    }
}

/// Returns whether this is the last known identity.
pub(crate) fn is_known(c: &mut DbConn, identity: &str) -> Result<bool, StoreError> {
    let sql = "SELECT identity = ? FROM lineage WHERE id = 1";
    Statement::new(sql, vec![Bind::text(identity)]).is_true(c)
}

/// Stores the identity and, if it has changed, raises the change numbers.
pub(crate) fn confirm(c: &mut DbConn, identity: &str) -> Result<(), StoreError> {
    let sql = "SELECT identity FROM lineage WHERE id = 1 FOR UPDATE";
    let before = Statement::new(sql, Vec::new()).first(c, |row| row.some_text(0))?;
    let Some(before) = before.filter(|before| before != identity) else {
        return Ok(());
    };
    if !before.is_empty() {
        let bound = raise_counters(c)?;
        tracing::warn!(
            bound,
            "the database was restored or failed over: change numbers continue above all earlier ones"
        );
    }
    let update = "UPDATE lineage SET identity = ? WHERE id = 1";
    Statement::new(update, vec![Bind::text(identity)]).execute(c)?;
    Ok(())
}
