//! Stored actions: asynchronous ones, and those with an idempotency key. They are leased work; see [`crate::lease`].
//!
//! An action is stored before anything is done. Its row says `running` before its request is sent, so after a crash it is known which
//! requests may have been sent.

use diesel::prelude::*;
use domain::{ActionId, ActionJob, ActionName, ActionStatus, ConnectionId, EnvironmentId, Timestamp};
use serde_json::{Map, Value as Json};

use crate::column::{row, to_json};
use crate::dialect::{Bind, on_db};
use crate::lease::{self, Lease};
use crate::schema::{actions, connections};
use crate::{DbConn, StoreError};

row!(ActionJob: actions {
    number, id, name, input, repeatable, status, attempts, max_attempts, due_at, holder, output,
    error, input_hash, created_at
}, connection = actions::connection_id);

/// An action to store.
#[derive(Debug, Clone)]
pub struct NewAction {
    /// Its id.
    pub id: ActionId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: ActionName,
    /// The input.
    pub input: Map<String, Json>,
    /// Whether running it twice has the same effect as once.
    pub repeatable: bool,
    /// How often its request may be sent.
    pub max_attempts: i64,
    /// When it is due or, with a holder, when the lease expires.
    pub due_at: Timestamp,
    /// The lease holder from the beginning.
    pub holder: Option<String>,
    /// The idempotency key, and a hash of the input.
    pub key: Option<(String, String)>,
}

/// How an attempt of an action ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionEnd {
    /// With this output.
    Succeeded(Json),
    /// With an error, for good.
    Failed {
        /// The error.
        error: Json,
        /// Whether the idempotency key may be used again, because nothing was done.
        free_key: bool,
    },
    /// Nothing was done, so it is retried.
    Again {
        /// When.
        due_at: Timestamp,
    },
}

/// Stores an action and returns it with true. If its idempotency key was used before, returns that action with false.
pub fn insert(c: &mut DbConn, new: &NewAction, now: Timestamp) -> Result<(ActionJob, bool), StoreError> {
    let (key, hash) = new.key.as_ref().map_or((None, None), |(key, hash)| {
        (Some(key.as_str()), Some(hash.as_str()))
    });
    let (due_at, due_within) = lease::due(Some(new.due_at), now);
    let values = (
        actions::id.eq(new.id.to_string()),
        actions::connection_id.eq(new.connection.raw()),
        actions::name.eq(new.name.as_str()),
        actions::input.eq(to_json(&new.input)?),
        actions::repeatable.eq(new.repeatable),
        actions::status.eq(ActionStatus::Queued.as_str()),
        actions::max_attempts.eq(new.max_attempts),
        actions::due_at.eq(due_at),
        actions::due_within.eq(due_within),
        actions::holder.eq(new.holder.as_deref()),
        actions::idempotency_key.eq(key),
        actions::input_hash.eq(hash),
        actions::created_at.eq(now.as_micros()),
    );
    let stored = on_db!(&mut *c, c => diesel::insert_into(actions::table)
        .values(values)
        .on_conflict_do_nothing()
        .execute(c))?;
    let all = actions::table.select(ActionJob::as_select());
    let row = if stored == 1 {
        all.filter(actions::id.eq(new.id.to_string()))
            .get_result::<ActionJob>(c)
    } else {
        all.filter(
            actions::connection_id
                .eq(new.connection.raw())
                .and(actions::name.eq(new.name.as_str()))
                .and(actions::idempotency_key.eq(key)),
        )
        .get_result(c)
    };
    Ok((row.map_err(StoreError::about("action"))?, stored == 1))
}

/// Leases up to `limit` actions that are due at `now` to `holder` until `until`. Connections take turns, and none has more than
/// [`lease::Shares::most`] actions in flight.
///
/// An action that was cut off is `running`: its request may have been sent.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<ActionJob>, StoreError> {
    let numbers = lease::claim::<ActionJob>(c, now, until, holder, limit)?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    Ok(actions::table
        .filter(actions::number.eq_any(&numbers))
        .order((actions::due_at, actions::number))
        .select(ActionJob::as_select())
        .load(c)?)
}

/// Records that the request is being sent, after `attempts` earlier ones. Returns false, and the caller must not send it, if the lease is
/// lost or another request was sent since.
pub fn begin(
    c: &mut DbConn,
    lease: &Lease<ActionJob>,
    attempts: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let leased = actions::table.find(lease.id.raw()).filter(
        actions::holder
            .eq(&lease.holder)
            .and(actions::attempts.eq(attempts)),
    );
    let begun = (
        actions::status.eq(ActionStatus::Running.as_str()),
        actions::attempts.eq(actions::attempts + 1),
        actions::started_at.eq(now.as_micros()),
    );
    Ok(diesel::update(leased).set(begun).execute(c)? == 1)
}

/// Stores the result of the action. Returns false and stores nothing if the lease is lost.
pub fn finish(
    c: &mut DbConn,
    lease: &Lease<ActionJob>,
    end: &ActionEnd,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (status, due_at, mut columns) = match end {
        ActionEnd::Again { due_at } => (ActionStatus::Queued, Some(*due_at), Vec::new()),
        ActionEnd::Succeeded(output) => {
            let output = ("output", Bind::text(to_json(output)?));
            (ActionStatus::Succeeded, None, vec![output])
        }
        ActionEnd::Failed { error, free_key } => {
            let mut columns = vec![("error", Bind::text(to_json(error)?))];
            if *free_key {
                columns.push(("idempotency_key", Bind::Text(None)));
            }
            (ActionStatus::Failed, None, columns)
        }
    };
    columns.push(("status", Bind::text(status.as_str())));
    if due_at.is_none() {
        columns.push(("input", Bind::Text(None)));
        columns.push(("finished_at", Bind::integer(now.as_micros())));
    }
    lease.finish_with(c, due_at, columns, now)
}

/// Returns the environment's action of that id.
pub fn find(c: &mut DbConn, environment: EnvironmentId, id: ActionId) -> Result<ActionJob, StoreError> {
    actions::table
        .inner_join(connections::table)
        .filter(
            actions::id
                .eq(id.to_string())
                .and(connections::environment_id.eq(environment.raw())),
        )
        .select(ActionJob::as_select())
        .get_result(c)
        .map_err(StoreError::about("action"))
}

/// Deletes actions of all environments that ended before `before`, with their keys. Returns how many.
///
/// An end that is later than `now` was written by a wrong clock. Such an action is deleted with the first that was stored after it.
pub fn prune(c: &mut DbConn, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
    let aged = || actions::finished_at.lt(before.as_micros());
    let newest_aged: Option<i64> = actions::table
        .filter(aged())
        .select(diesel::dsl::max(actions::number))
        .get_result(c)?;
    let misdated = actions::finished_at
        .gt(now.plus(Timestamp::CLOCK_SKEW).as_micros())
        .and(actions::number.lt(newest_aged.unwrap_or_default()));
    let old = actions::table.filter(aged().or(misdated));
    let deleted = diesel::delete(old).execute(c)?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
