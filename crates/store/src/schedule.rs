//! When syncs are due and who holds them.
//!
//! `due_at` is both due time and end of the lease: claiming moves it to the lease's end, so a dead worker's sync falls due by
//! itself, and whoever finishes must still be the holder.
//!
//! `due_within` is how far ahead of the clock `due_at` was when it was written. A `due_at` that is further ahead was written by a
//! clock that was wrong, and [`release_misdated`] makes it due.

use diesel::prelude::*;
use domain::{Connection, Run, Sync, SyncId, Timestamp};

use crate::column::MaybeMicros;
use crate::dialect::{Cached, claim_due, lock_holder};
use crate::runs;
use crate::schema::schedule;
use crate::{DbConn, StoreError};

/// A sync that a worker holds, with the run that it is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The sync.
    pub sync: Sync,
    /// Its run, running.
    pub run: Run,
    /// Its connection.
    pub connection: Connection,
    /// The connection's credentials, sealed; `None` if they are gone, as they are first when a connection is deleted.
    pub sealed: Option<String>,
}

/// When a sync is due and who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = schedule)]
pub struct ScheduleState {
    /// When it is due, or when its lease ends; `None` for never.
    #[diesel(deserialize_as = MaybeMicros)]
    pub due_at: Option<Timestamp>,
    /// Who holds it.
    pub holder: Option<String>,
}

/// Takes up to `limit` syncs that are due at `now` for `holder` until `lease_until`, longest due first.
///
/// Each claim has a holder of its own name, even those of one worker: what is left of a run whose sync was taken away must not
/// pass for the one that began after it.
///
/// A sync's queued or running run is taken over (`resumed` grows if it was running); without one, a run with trigger
/// `schedule` is made.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    lease_until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let ids = claim_due(c, now, limit)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let held = (due(lease_until, now), schedule::holder.eq(holder));
    let ours = schedule::table.filter(schedule::sync_id.eq_any(&ids));
    Cached(diesel::update(ours).set(held)).execute(c)?;
    runs::take_over(c, &ids, now)
}

/// Prolongs the lease; false if `holder` is no longer the holder.
pub fn heartbeat(
    c: &mut DbConn,
    sync: SyncId,
    holder: &str,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = schedule::table
        .find(sync.raw())
        .filter(schedule::holder.eq(holder));
    Ok(Cached(diesel::update(held).set(due(lease_until, now))).execute(c)? == 1)
}

/// Gives the sync back, due at `next_due` (`None`: never); false if `holder` is no longer the holder.
pub fn finish(
    c: &mut DbConn,
    sync: SyncId,
    holder: &str,
    next_due: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = schedule::table
        .find(sync.raw())
        .filter(schedule::holder.eq(holder));
    let given_back = (due(next_due, now), schedule::holder.eq(None::<String>));
    Ok(Cached(diesel::update(held).set(given_back)).execute(c)? == 1)
}

/// Locks the sync's schedule until the transaction ends, so that what is decided by its state holds: whoever changes when a sync
/// is due, or ends its run, does so one after the other.
pub fn lock(c: &mut DbConn, sync: SyncId) -> Result<(), StoreError> {
    lock_holder(c, sync).map(drop)
}

/// Makes the sync due now, unless a worker holds it or it is due already.
pub fn bring_forward(c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
    let free = schedule::table
        .find(sync.raw())
        .filter(schedule::holder.is_null());
    diesel::update(
        free.filter(
            schedule::due_at
                .is_null()
                .or(schedule::due_at.gt(now.as_micros())),
        ),
    )
    .set(due(now, now))
    .execute(c)?;
    Ok(())
}

/// Sets when the sync is due next (`None`: never), unless a worker holds it, who sets that at the end of the run.
pub fn set_due(
    c: &mut DbConn,
    sync: SyncId,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let free = schedule::table
        .find(sync.raw())
        .filter(schedule::holder.is_null());
    diesel::update(free).set(due(due_at, now)).execute(c)?;
    Ok(())
}

/// Takes the sync from whoever holds it, who cannot write any more, and gives it to `holder` until `lease_until`.
pub fn take_away(
    c: &mut DbConn,
    sync: SyncId,
    holder: &str,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(schedule::table.find(sync.raw()))
        .set((due(lease_until, now), schedule::holder.eq(holder)))
        .execute(c)?;
    Ok(())
}

/// Makes due at `now` what was set to be due, or leased, by a clock that was ahead of it; returns how many rows were.
pub fn release_misdated(c: &mut DbConn, now: Timestamp) -> Result<usize, StoreError> {
    let limit = now.plus(Timestamp::CLOCK_SKEW).as_micros();
    let misdated = schedule::table
        .filter(schedule::due_at.gt(limit))
        .filter((schedule::due_at - schedule::due_within.nullable()).gt(limit));
    Ok(diesel::update(misdated).set(due(now, now)).execute(c)?)
}

pub(crate) type Due = (
    diesel::dsl::Eq<schedule::due_at, Option<i64>>,
    diesel::dsl::Eq<schedule::due_within, i64>,
);

/// Both columns of a due time that is written at `now`.
pub(crate) fn due(at: impl Into<Option<Timestamp>>, now: Timestamp) -> Due {
    let at = at.into();
    let within = at.map_or(0, |at| at.as_micros().saturating_sub(now.as_micros()).max(0));
    (
        schedule::due_at.eq(at.map(Timestamp::as_micros)),
        schedule::due_within.eq(within),
    )
}

/// When the next sync of any environment falls due, leases included.
pub fn next_due(c: &mut DbConn) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = schedule::table
        .select(diesel::dsl::min(schedule::due_at))
        .first(c)?;
    Ok(due.map(Timestamp::from_micros))
}

/// When the sync is due and who holds it.
pub fn state(c: &mut DbConn, sync: SyncId) -> Result<ScheduleState, StoreError> {
    schedule::table
        .find(sync.raw())
        .select(ScheduleState::as_select())
        .first(c)
        .map_err(StoreError::about("sync"))
}
