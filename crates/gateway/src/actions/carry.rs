//! Stored actions from claim to end. Each request is sent once, unless the action is repeatable.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::{ActionId, ActionJob, ActionName, ActionStatus, Connection, ConnectionId, Timestamp};
use registry::Action;
use serde_json::Value as Json;
use store::actions::{self, ActionEnd};
use store::{DbConn, Lease, StoreError, connections};
use upstream::Backoff;

use super::perform::perform;
use crate::error::{ActionFailure, AttemptError, GatewayError, MOST_STORED, Result};
use crate::events;
use crate::gateway::Gateway;

/// A repeatable action that was interrupted this many times beyond its attempts fails: it may be what crashes the processes.
const MOST_CUT_OFF: i64 = 10;
/// The waits between attempts, as in Nango.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(3),
    longest: Duration::from_mins(10),
};

/// Carries out a claimed action and stores its result, while its lease of `length` is renewed.
///
/// Returns `None` if it has not ended: it will be retried, or another worker has claimed it.
pub async fn carry_out(
    gateway: &Gateway,
    row: ActionJob,
    length: Duration,
) -> Option<Result<Json, ActionFailure>> {
    let id = row.id;
    let lease = Lease::new(row.number, row.holder.clone().unwrap_or_default());
    let outcome = tokio::select! {
        outcome = try_once(gateway, &row, &lease) => outcome,
        never = keep_leased(gateway, &row, &lease, length) => match never {},
    };
    let end = match outcome {
        Ok(None) => return None,
        Ok(Some(end)) => end,
        Err(error) => {
            tracing::error!(action.id = %id, %error, "an action could not be looked after; it is taken up again when its lease ends");
            return None;
        }
    };
    let result = match &end {
        ActionEnd::Succeeded(output) => Some(Ok(output.clone())),
        ActionEnd::Failed { error, .. } => Some(Err(ActionFailure::stored(Some(error)))),
        ActionEnd::Again { .. } => None,
    };
    let end = storable(end);
    let now = gateway.clock.now();
    let job = (row.connection, row.name.clone(), id);
    let asynchronous = !row.holder.as_deref().is_some_and(super::is_request_holder);
    let stored = gateway.store.write(move |c| {
        let finished = actions::finish(c, &lease, &end, now)?;
        if finished && asynchronous {
            note_end(c, &job, &end, now)?;
        }
        Ok(finished)
    });
    match stored.await {
        Ok(true) => {
            gateway.event_written.notify_one();
            result
        }
        Ok(false) => {
            tracing::warn!(action.id = %id, "the lease of an action was lost before its end was stored");
            None
        }
        Err(error) => {
            tracing::error!(action.id = %id, %error, "the end of an action could not be stored");
            None
        }
    }
}

/// Writes the event of an action that has ended.
fn note_end(
    c: &mut DbConn,
    (connection, name, id): &(ConnectionId, ActionName, ActionId),
    end: &ActionEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    let error = match end {
        ActionEnd::Again { .. } => return Ok(()),
        ActionEnd::Succeeded(_) => None,
        ActionEnd::Failed { error, .. } => Some(error),
    };
    match connections::get_any_environment(c, *connection)? {
        Some(connection) => events::action_ended(c, &connection, (name, *id), error, now),
        None => Ok(()),
    }
}

/// Renews the lease for as long as it is polled. Even if the lease is lost, the request is not stopped: that would not undo it.
async fn keep_leased(
    gateway: &Gateway,
    row: &ActionJob,
    lease: &Lease<ActionJob>,
    length: Duration,
) -> Infallible {
    loop {
        lease.clone().keep(&gateway.store, &gateway.clock, length).await;
        tracing::warn!(action.id = %row.id, "the lease of an action is lost");
    }
}

/// Makes one attempt. Returns `None` if the lease is lost.
async fn try_once(gateway: &Gateway, row: &ActionJob, lease: &Lease<ActionJob>) -> Result<Option<ActionEnd>> {
    let cut_off = row.status == ActionStatus::Running;
    let hopeless = row.attempts >= row.max_attempts.saturating_add(MOST_CUT_OFF);
    if cut_off && (!row.repeatable || hopeless) {
        return Ok(Some(failed(&ActionFailure::outcome_unknown(), false)));
    }
    let (connection, action) = match found(gateway, row).await? {
        Ok(found) => found,
        Err(failure) => return Ok(Some(failed(&failure, true))),
    };
    let (lease, before, now) = (lease.clone(), row.attempts, gateway.clock.now());
    let begun = gateway
        .store
        .write(move |c| actions::begin(c, &lease, before, now));
    if !begun.await? {
        return Ok(None);
    }
    let inputs = row.input.clone().unwrap_or_default();
    let end = match perform(gateway, &connection, &action, &inputs).await {
        Ok(output) => ActionEnd::Succeeded(output),
        Err(AttemptError::Other(GatewayError::Store(error))) if error.is_transient() => ActionEnd::Again {
            due_at: gateway.clock.now().plus(pause(row.attempts, Duration::ZERO)),
        },
        Err(AttemptError::Other(error)) => failed(&ActionFailure::impossible(error.to_string()), true),
        Err(AttemptError::Request {
            failure,
            nothing_done,
            retry_after,
        }) => match retry_after.filter(|_| row.attempts + 1 < row.max_attempts) {
            Some(wait) => ActionEnd::Again {
                due_at: gateway.clock.now().plus(pause(row.attempts, wait)),
            },
            None => failed(&failure, nothing_done && retry_after.is_some()),
        },
    };
    Ok(Some(end))
}

/// Returns the action's connection and current declaration. The inner error ends the action.
async fn found(
    gateway: &Gateway,
    row: &ActionJob,
) -> Result<Result<(Connection, Arc<Action>), ActionFailure>> {
    let id = row.connection;
    let read = gateway
        .store
        .read(move |c| connections::get_any_environment(c, id));
    let Some(connection) = read.await? else {
        return Ok(Err(ActionFailure::impossible(
            "the connection was deleted".to_owned(),
        )));
    };
    let action = gateway
        .registry
        .get(connection.provider.as_str())
        .and_then(|provider| provider.actions.get(&row.name));
    Ok(match action {
        Some(action) => Ok((connection, Arc::clone(action))),
        None => Err(ActionFailure::impossible(format!(
            "the provider's file declares no action {:?} any more; nothing was done",
            row.name
        ))),
    })
}

/// Returns the result to store: an error replaces a response that is too large. A waiting caller still gets the whole response.
fn storable(end: ActionEnd) -> ActionEnd {
    if let ActionEnd::Succeeded(output) = &end {
        let mut length = ByteCounter(0);
        let written = serde_json::to_writer(&mut length, output);
        if written.is_err() || length.0 > MOST_STORED {
            return failed(&ActionFailure::answer_too_large(length.0), false);
        }
    }
    end
}

/// A writer that counts the bytes and drops them.
struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(failure: &ActionFailure, free_key: bool) -> ActionEnd {
    ActionEnd::Failed {
        error: serde_json::to_value(failure).unwrap_or_default(),
        free_key,
    }
}

/// Returns the wait before the next attempt, at least as long as the provider asks for.
fn pause(attempts: i64, requested: Duration) -> Duration {
    let failures = u32::try_from(attempts.saturating_add(1)).unwrap_or(u32::MAX);
    BACKOFF.after(failures).max(requested)
}
