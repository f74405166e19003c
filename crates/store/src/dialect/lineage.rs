//! What happens to change numbers when a database is set back: by a restored backup, or by a failover to a standby that lagged behind.
//!
//! The counters go back with it, while readers of the change feed keep cursors from the time that is lost. Numbers that are handed out
//! again would stand below these, and be missed. So every counter is raised above any number that was ever handed out, and a cursor that
//! belongs to the lost time is known by the gap which that leaves: its reader is given everything again.
//!
//! PostgreSQL tells by itself: a restore or a promotion shows in the server's identity, its timeline, or the number of a table, which
//! every new connection compares. SQLite's file tells nothing, so its counters are raised at every start.

use super::{Bind, Statement, raise_counters};
use crate::{DbConn, Dialect, StoreError};

/// Which database the tables stand in: server, timeline, database and table. `None` on a standby, before the migrations, and where the
/// server does not say.
pub(crate) fn identity_of(c: &mut DbConn) -> Option<String> {
    if c.dialect() == Dialect::Sqlite {
        return None;
    }
    let sql = "SELECT CASE WHEN NOT pg_is_in_recovery() AND to_regclass('lineage') IS NOT NULL THEN concat_ws('-', \
               (SELECT system_identifier FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_lsn()), 8), \
               (SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('counters')::oid) END";
    match Statement::new(sql, Vec::new()).load(c, |row| row.text(0)) {
        Ok(found) => found.into_iter().flatten().next(),
        Err(error) => {
            tracing::debug!(%error, "the server does not tell its identity: restores are not noticed");
            None
        }
    }
}

/// Whether the tables were last found in that very database.
pub(crate) fn is_known(c: &mut DbConn, identity: &str) -> Result<bool, StoreError> {
    let sql = "SELECT identity = ? FROM lineage WHERE id = 1";
    let found = Statement::new(sql, vec![Bind::text(identity)])
        .load(c, |row| Ok(row.boolean(0)?.unwrap_or_default()))?;
    Ok(found.contains(&true))
}

/// Compares the identity with that of before, in one transaction, and raises the change numbers if it is another.
pub(crate) fn confirm(c: &mut DbConn, identity: &str) -> Result<(), StoreError> {
    let sql = "SELECT identity FROM lineage WHERE id = 1 FOR UPDATE";
    let before = Statement::new(sql, Vec::new()).load(c, |row| row.some_text(0))?;
    let Some(before) = before.first().filter(|before| *before != identity) else {
        return Ok(());
    };
    if !before.is_empty() {
        let bound = raise_counters(c)?;
        tracing::warn!(
            bound,
            "the database was restored or failed over: change numbers go on above all of before"
        );
    }
    let update = "UPDATE lineage SET identity = ? WHERE id = 1";
    Statement::new(update, vec![Bind::text(identity)]).execute(c)?;
    Ok(())
}
