//! Actions that outlive the request for them: asynchronous ones, and those with a key by which they are not done twice.
//!
//! A row is stored before anything is done. `due_at` is its due time, and the end of the lease while somebody holds it; it is
//! empty once the action has ended. Before the call goes out the row says `running`, so that after a crash it is known which
//! calls may have been made.

use diesel::prelude::*;
use domain::{ActionId, ActionJob, ActionName, ActionStatus, ConnectionId, EnvironmentId, Timestamp};
use serde_json::{Map, Value as Json};

use crate::column::{MaybeJson, MaybeMicros, Micros, Number, Row, Word, row, to_json};
use crate::dialect::{claim_actions, on_db};
use crate::schema::{actions, connections};
use crate::{DbConn, StoreError};

row!(ActionJob {
    number: i64 = actions::number,
    id: Word = actions::id,
    connection: Number = actions::connection_id,
    name: Word = actions::name,
    input: MaybeJson = actions::input,
    repeatable: bool = actions::repeatable,
    status: Word = actions::status,
    attempts: i64 = actions::attempts,
    max_attempts: i64 = actions::max_attempts,
    due_at: MaybeMicros = actions::due_at,
    holder: Option<String> = actions::holder,
    output: MaybeJson = actions::output,
    error: MaybeJson = actions::error,
    input_hash: Option<String> = actions::input_hash,
    created_at: Micros = actions::created_at,
});

/// An action to be stored.
#[derive(Debug, Clone)]
pub struct NewAction {
    /// Its id.
    pub id: ActionId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: ActionName,
    /// What it is given.
    pub input: Map<String, Json>,
    /// Whether doing it twice is the same as doing it once.
    pub repeatable: bool,
    /// How often its call may go out.
    pub max_attempts: i64,
    /// When it is due; with a holder, when their lease ends.
    pub due_at: Timestamp,
    /// Who holds it from the beginning.
    pub holder: Option<String>,
    /// The caller's key, and a hash of the input that it was first used with.
    pub key: Option<(String, String)>,
}

/// How an action ended, for now or for good.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionEnd {
    /// Done; this is its answer.
    Succeeded(Json),
    /// Failed for good.
    Failed {
        /// Why.
        error: Json,
        /// Whether its key may be used again, since nothing was done.
        free_key: bool,
    },
    /// It is known that nothing was done: it is tried again.
    Again {
        /// When.
        due_at: Timestamp,
    },
}

/// Stores an action and true; or gives the one that its key was used for before, and false.
pub fn insert(c: &mut DbConn, new: &NewAction, now: Timestamp) -> Result<(ActionJob, bool), StoreError> {
    let (key, hash) = new.key.as_ref().map_or((None, None), |(key, hash)| {
        (Some(key.as_str()), Some(hash.as_str()))
    });
    let values = (
        actions::id.eq(new.id.to_string()),
        actions::connection_id.eq(new.connection.raw()),
        actions::name.eq(new.name.as_str()),
        actions::input.eq(to_json(&new.input)?),
        actions::repeatable.eq(new.repeatable),
        actions::status.eq(ActionStatus::Queued.as_str()),
        actions::max_attempts.eq(new.max_attempts),
        due(Some(new.due_at), now),
        actions::holder.eq(new.holder.as_deref()),
        actions::idempotency_key.eq(key),
        actions::input_hash.eq(hash),
        actions::created_at.eq(now.as_micros()),
    );
    let stored = on_db!(&mut *c, c => diesel::insert_into(actions::table)
        .values(values)
        .on_conflict_do_nothing()
        .execute(c))?;
    let all = actions::table.select(Row::<ActionJob>::as_select());
    let row = if stored == 1 {
        all.filter(actions::id.eq(new.id.to_string()))
            .first::<Row<ActionJob>>(c)
    } else {
        all.filter(
            actions::connection_id
                .eq(new.connection.raw())
                .and(actions::name.eq(new.name.as_str()))
                .and(actions::idempotency_key.eq(key)),
        )
        .first(c)
    };
    Ok((
        row.map_err(StoreError::about("action"))?.into_inner(),
        stored == 1,
    ))
}

/// Takes up to `limit` actions that are due at `now` for `holder` until `lease_until`, in turn between connections, of which none
/// has more than `each` under way.
///
/// One that was taken before and not given back comes as it is: `running` if its call may have gone out.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    lease_until: Timestamp,
    holder: &str,
    limit: i64,
    each: i64,
) -> Result<Vec<ActionJob>, StoreError> {
    let numbers = claim_actions(c, now, limit, each)?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let taken = actions::table.filter(actions::number.eq_any(&numbers));
    diesel::update(taken)
        .set((due(Some(lease_until), now), actions::holder.eq(holder)))
        .execute(c)?;
    Ok(actions::table
        .filter(actions::number.eq_any(&numbers))
        .order((actions::due_at, actions::number))
        .select(Row::<ActionJob>::as_select())
        .load(c)
        .map(Row::all)?)
}

/// Notes that the call goes out now, after `attempts` of them; false, and it must not, if `holder` is not the holder any more or
/// another call has gone out since, such as when one worker claims again what it was too slow with.
pub fn begin(
    c: &mut DbConn,
    number: i64,
    holder: &str,
    attempts: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = actions::table
        .find(number)
        .filter(actions::holder.eq(holder).and(actions::attempts.eq(attempts)));
    let begun = (
        actions::status.eq(ActionStatus::Running.as_str()),
        actions::attempts.eq(actions::attempts + 1),
        actions::started_at.eq(now.as_micros()),
    );
    Ok(diesel::update(held).set(begun).execute(c)? == 1)
}

/// Prolongs the lease; false if `holder` is not the holder any more.
pub fn heartbeat(
    c: &mut DbConn,
    number: i64,
    holder: &str,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = actions::table.find(number).filter(actions::holder.eq(holder));
    Ok(diesel::update(held).set(due(Some(lease_until), now)).execute(c)? == 1)
}

/// Stores how it ended; false, and nothing is stored, if `holder` is not the holder any more.
pub fn finish(
    c: &mut DbConn,
    number: i64,
    holder: &str,
    end: &ActionEnd,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = || actions::table.find(number).filter(actions::holder.eq(holder));
    let given_back = || actions::holder.eq(None::<String>);
    let over = (
        given_back(),
        due(None, now),
        actions::input.eq(None::<String>),
        actions::finished_at.eq(now.as_micros()),
    );
    let changed = match end {
        ActionEnd::Again { due_at } => diesel::update(held())
            .set((
                given_back(),
                due(Some(*due_at), now),
                actions::status.eq(ActionStatus::Queued.as_str()),
            ))
            .execute(c)?,
        ActionEnd::Succeeded(output) => diesel::update(held())
            .set((
                over,
                actions::status.eq(ActionStatus::Succeeded.as_str()),
                actions::output.eq(to_json(output)?),
            ))
            .execute(c)?,
        ActionEnd::Failed { error, free_key } => {
            if *free_key {
                diesel::update(held())
                    .set(actions::idempotency_key.eq(None::<String>))
                    .execute(c)?;
            }
            diesel::update(held())
                .set((
                    over,
                    actions::status.eq(ActionStatus::Failed.as_str()),
                    actions::error.eq(to_json(error)?),
                ))
                .execute(c)?
        }
    };
    Ok(changed == 1)
}

/// The environment's action of that id.
pub fn find(c: &mut DbConn, environment: EnvironmentId, id: ActionId) -> Result<ActionJob, StoreError> {
    actions::table
        .inner_join(connections::table)
        .filter(
            actions::id
                .eq(id.to_string())
                .and(connections::environment_id.eq(environment.raw())),
        )
        .select(Row::<ActionJob>::as_select())
        .first(c)
        .map(Row::into_inner)
        .map_err(StoreError::about("action"))
}

/// When the next action of any environment falls due, leases included.
pub fn next_due(c: &mut DbConn) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = actions::table
        .select(diesel::dsl::min(actions::due_at))
        .first(c)?;
    Ok(due.map(Timestamp::from_micros))
}

/// How many actions of all environments somebody holds.
pub fn held_any_environment(c: &mut DbConn) -> Result<i64, StoreError> {
    Ok(actions::table
        .filter(actions::due_at.is_not_null().and(actions::holder.is_not_null()))
        .count()
        .get_result(c)?)
}

/// Makes due at `now` what was set to be due, or leased, by a clock that was ahead of it; returns how many rows were.
pub fn release_misdated(c: &mut DbConn, now: Timestamp) -> Result<usize, StoreError> {
    let limit = now.plus(Timestamp::CLOCK_SKEW).as_micros();
    let misdated = actions::table
        .filter(actions::due_at.gt(limit))
        .filter((actions::due_at - actions::due_within.nullable()).gt(limit));
    Ok(diesel::update(misdated).set(due(Some(now), now)).execute(c)?)
}

/// Deletes actions of all environments that ended before `before`, with their keys; returns how many.
///
/// An end in the future of `now` was written by a wrong clock. Such an action goes with the first that was stored after it.
pub fn prune(c: &mut DbConn, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
    let aged = || actions::finished_at.lt(before.as_micros());
    let newest_aged: Option<i64> = actions::table
        .filter(aged())
        .select(diesel::dsl::max(actions::number))
        .first(c)?;
    let misdated = actions::finished_at
        .gt(now.plus(Timestamp::CLOCK_SKEW).as_micros())
        .and(actions::number.lt(newest_aged.unwrap_or_default()));
    let old = actions::table.filter(aged().or(misdated));
    let deleted = diesel::delete(old).execute(c)?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

type Due = (
    diesel::dsl::Eq<actions::due_at, Option<i64>>,
    diesel::dsl::Eq<actions::due_within, i64>,
);

/// Both columns of a due time that is written at `now`: `due_within` tells how far ahead it was then, as in the schedule of syncs.
fn due(at: Option<Timestamp>, now: Timestamp) -> Due {
    let within = at.map_or(0, |at| at.as_micros().saturating_sub(now.as_micros()).max(0));
    (
        actions::due_at.eq(at.map(Timestamp::as_micros)),
        actions::due_within.eq(within),
    )
}
