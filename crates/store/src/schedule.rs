//! The schedule of syncs, which is leased work, and the claims on it. See [`crate::lease`].

use diesel::dsl::exists;
use diesel::prelude::*;
use domain::{Connection, Run, RunId, RunStatus, Sync, SyncId, Timestamp, Trigger};

use crate::column::row;
use crate::dialect::on_db;
use crate::schema::{connections, credentials, runs, schedule, syncs, webhook_endpoints};
use crate::{DbConn, StoreError, lease};

/// A claimed sync with the run to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The sync.
    pub sync: Sync,
    /// Its run, which is running now.
    pub run: Run,
    /// Its connection.
    pub connection: Connection,
    /// The connection's sealed credentials. `None` while the connection is being deleted, which begins with them.
    pub sealed: Option<String>,
    /// Whether a webhook endpoint wants to know of the run even if it changes nothing.
    pub wants_unchanged: bool,
}

/// When a sync is due, and its lease holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// When it is due, or when its lease expires; `None` for never.
    pub due_at: Option<Timestamp>,
    /// The lease holder.
    pub holder: Option<String>,
}

row!(ScheduleState: schedule { due_at, holder });

/// Leases up to `limit` syncs that are due at `now` to `holder` until `until`, longest due first.
///
/// A sync's queued run is started, and its running run continued (`resumed` grows). A sync with neither gets a new run with the trigger
/// `schedule`.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let ids = lease::claim::<Sync>(c, now, until, holder, limit)?;
    start_runs(c, &ids, now)
}

/// Starts or continues the runs of the syncs, and returns them in the same order.
fn start_runs(c: &mut DbConn, sync_ids: &[i64], now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
    let mut with_run = Vec::new();
    for sync in sync_ids {
        let created = on_db!(&mut *c, c => diesel::insert_into(runs::table)
            .values((
                runs::id.eq(RunId::new(now).to_string()),
                runs::sync_id.eq(sync),
                runs::status.eq(RunStatus::Running.as_str()),
                runs::trigger.eq(Trigger::Schedule.as_str()),
                runs::created_at.eq(now.as_micros()),
                runs::started_at.eq(now.as_micros()),
            ))
            .on_conflict_do_nothing()
            .execute(c))?;
        if created == 0 {
            with_run.push(*sync);
        }
    }
    if !with_run.is_empty() {
        let theirs = |status: RunStatus| {
            runs::table.filter(
                runs::sync_id
                    .eq_any(&with_run)
                    .and(runs::status.eq(status.as_str())),
            )
        };
        diesel::update(theirs(RunStatus::Running))
            .set(runs::resumed.eq(runs::resumed + 1))
            .execute(c)?;
        diesel::update(theirs(RunStatus::Queued))
            .set((
                runs::status.eq(RunStatus::Running.as_str()),
                runs::started_at.eq(now.as_micros()),
            ))
            .execute(c)?;
    }
    // One by one: PostgreSQL keeps the plan for a single sync, and would plan the joins anew for each list.
    let mut claimed = Vec::with_capacity(sync_ids.len());
    for sync in sync_ids {
        let running = runs::table
            .inner_join(syncs::table.inner_join(connections::table.left_join(credentials::table)))
            .filter(runs::sync_id.eq(sync))
            .filter(runs::status.eq(RunStatus::Running.as_str()))
            .select((
                Sync::as_select(),
                Run::as_select(),
                Connection::as_select(),
                credentials::sealed.nullable(),
                exists(
                    webhook_endpoints::table
                        .filter(webhook_endpoints::environment_id.eq(connections::environment_id))
                        .filter(webhook_endpoints::unchanged_runs.eq(true))
                        .filter(webhook_endpoints::enabled.eq(true)),
                ),
            ))
            .get_result(c)
            .optional()?;
        claimed.extend(
            running.map(|(sync, run, connection, sealed, wants_unchanged)| Claimed {
                sync,
                run,
                connection,
                sealed,
                wants_unchanged,
            }),
        );
    }
    Ok(claimed)
}

/// Returns when the sync is due, and its lease holder.
pub fn state(c: &mut DbConn, sync: SyncId) -> Result<ScheduleState, StoreError> {
    schedule::table
        .find(sync.raw())
        .select(ScheduleState::as_select())
        .get_result(c)
        .map_err(StoreError::about("sync"))
}
