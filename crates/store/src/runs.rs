//! Runs of syncs: at most one of a sync is queued or running.

use diesel::prelude::*;
use domain::{EnvironmentId, Run, RunFilter, RunId, RunStatus, Sync, SyncId, Timestamp, Trigger};

use crate::column::row;
use crate::dialect::{Bind, Statement, on_db};
use crate::run_notes::active;
pub use crate::run_notes::{Ending, RunNotes, note};
use crate::schema::{connections, runs, syncs};
use crate::{DbConn, StoreError};

row!(Run: runs {
    id, status, trigger, kind, created_at, started_at, finished_at, resumed, pages, added, updated,
    deleted, unchanged, skipped, misfits, progress, error_code, error_message, error_hint,
    incomplete, first_change, last_change
}, sync = runs::sync_id);

/// Returns the sync's queued or running run with true, or a new queued one with false.
pub fn enqueue(
    c: &mut DbConn,
    sync: SyncId,
    trigger: Trigger,
    now: Timestamp,
) -> Result<(Run, bool), StoreError> {
    let created = on_db!(&mut *c, c => diesel::insert_into(runs::table)
        .values((
            runs::id.eq(RunId::new(now).to_string()),
            runs::sync_id.eq(sync.raw()),
            runs::status.eq(RunStatus::Queued.as_str()),
            runs::trigger.eq(trigger.as_str()),
            runs::created_at.eq(now.as_micros()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    let row = runs::table
        .filter(runs::sync_id.eq(sync.raw()).and(runs::status.eq_any(active())))
        .select(Run::as_select())
        .get_result(c)
        .map_err(StoreError::about("sync"))?;
    Ok((row, created == 0))
}

/// Returns the run with that id, of any environment.
pub fn get_any_environment(c: &mut DbConn, id: RunId) -> Result<Option<Run>, StoreError> {
    Ok(runs::table
        .filter(runs::id.eq(id.to_string()))
        .select(Run::as_select())
        .get_result(c)
        .optional()?)
}

/// Returns the environment's run of that id, with its sync.
pub fn find(c: &mut DbConn, environment: EnvironmentId, id: RunId) -> Result<(Run, Sync), StoreError> {
    runs::table
        .inner_join(syncs::table.inner_join(connections::table))
        .filter(
            runs::id
                .eq(id.to_string())
                .and(connections::environment_id.eq(environment.raw())),
        )
        .select((Run::as_select(), Sync::as_select()))
        .get_result(c)
        .map_err(StoreError::about("run"))
}

/// Returns the environment's runs that match the filter, newest first, with their syncs.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &RunFilter,
) -> Result<Vec<(Run, Sync)>, StoreError> {
    let mut query = runs::table
        .inner_join(syncs::table.inner_join(connections::table))
        .filter(connections::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(integration) = &filter.integration {
        query = query.filter(connections::integration.eq(integration.as_str()));
    }
    if let Some(name) = &filter.connection_name {
        query = query.filter(connections::name.eq(name.as_str()));
    }
    if let Some(sync) = &filter.sync {
        query = query.filter(syncs::name.eq(sync.as_str()));
    }
    if let Some(prefix) = &filter.id_prefix {
        let prefix = prefix.as_str();
        // `g` sorts after every hexadecimal digit in any collation, so this is a range of the index.
        query = query.filter(runs::id.ge(prefix).and(runs::id.lt(format!("{prefix}g"))));
    }
    if let Some(before) = filter.before {
        let number = runs::table
            .inner_join(syncs::table.inner_join(connections::table))
            .filter(connections::environment_id.eq(environment.raw()))
            .filter(runs::id.eq(before.to_string()))
            .select(runs::number)
            .get_result::<i64>(c);
        query = query.filter(runs::number.lt(number.map_err(StoreError::about("run"))?));
    }
    Ok(query
        .order(runs::number.desc())
        .limit(filter.limit)
        .select((Run::as_select(), Sync::as_select()))
        .load(c)?)
}

/// Returns the sync's newest run.
pub fn latest(c: &mut DbConn, sync: SyncId) -> Result<Option<Run>, StoreError> {
    Ok(runs::table
        .filter(runs::sync_id.eq(sync.raw()))
        .order(runs::number.desc())
        .select(Run::as_select())
        .first(c)
        .optional()?)
}

/// Returns the sync's newest run that has ended.
pub fn latest_finished(c: &mut DbConn, sync: SyncId) -> Result<Option<Run>, StoreError> {
    Ok(runs::table
        .filter(runs::sync_id.eq(sync.raw()).and(runs::status.ne_all(active())))
        .order(runs::number.desc())
        .select(Run::as_select())
        .first(c)
        .optional()?)
}

/// Deletes the runs just after the sync's newest `keep` that succeeded and changed nothing, which most runs do. Call it at the end of every
/// run.
pub fn forget_unchanged(c: &mut DbConn, sync: SyncId, keep: i64) -> Result<(), StoreError> {
    // Each run adds one, so one row is usually enough; four catch up after a crash.
    let sql = format!(
        "DELETE FROM runs WHERE number IN (SELECT number FROM runs WHERE sync_id = ? ORDER BY number DESC LIMIT 4 OFFSET {keep}) \
         AND status = 'succeeded' AND added + updated + deleted + skipped = 0 AND misfits IS NULL AND incomplete IS NULL"
    );
    let binds = vec![Bind::integer(sync.raw())];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Deletes up to `limit` ended runs that were created before `before`, except each sync's newest `keep_per_sync` (at least one). Returns
/// how many; repeat until that is less than `limit`. A run that is later than `now` was created by a wrong clock and counts as old.
pub fn prune(
    c: &mut DbConn,
    before: Timestamp,
    keep_per_sync: i64,
    limit: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let future = now.plus(Timestamp::CLOCK_SKEW);
    let newest = "SELECT number FROM runs AS newer WHERE newer.sync_id = old.sync_id ORDER BY number DESC LIMIT 1 OFFSET ?";
    let sql = format!(
        "DELETE FROM runs WHERE number IN (SELECT number FROM runs AS old WHERE (created_at < ? OR created_at > ?) \
         AND status NOT IN ('queued', 'running') AND number < ({newest}) ORDER BY created_at LIMIT ?)"
    );
    let keep = keep_per_sync.saturating_sub(1).max(0);
    let binds = [before.as_micros(), future.as_micros(), keep, limit].map(Bind::integer);
    let deleted = Statement::new(sql, binds.into()).execute(c)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
