//! Actions: requests that an app makes by name, at once or through the worker, and never twice unless they may be repeated.

mod carry;
mod perform;
mod request;

use std::sync::Arc;
use std::time::Duration;

use domain::{ActionId, ActionJob, ActionStatus, Timestamp};
use serde_json::Value as Json;
use store::actions::{self, NewAction};

pub use self::carry::carry_out;
use self::perform::perform;
pub use self::request::{ActionRequest, at_route};
use self::request::{ResolvedAction, resolve};
use crate::caller::Caller;
use crate::error::{ActionFailure, GatewayError, Result};
use crate::gateway::Gateway;
use crate::inputs;

/// The output of an action.
#[derive(Debug)]
pub struct ActionOutput {
    /// The output.
    pub output: Json,
    /// Whether it is the output of an earlier request with the same key.
    pub replayed: bool,
}

impl ActionOutput {
    fn first(output: Json) -> Self {
        Self {
            output,
            replayed: false,
        }
    }
}

/// A stored action that a worker will carry out.
#[derive(Debug)]
pub struct StoredAction {
    /// The id of its result.
    pub id: ActionId,
    /// Whether an earlier request with the same key stored it.
    pub replayed: bool,
}

/// The prefix of the lease holder's name while a request itself carries out its action.
const REQUEST_HOLDER: &str = "request";
/// Whether a request that waits for the result holds the lease, so that the action is not asynchronous.
fn is_request_holder(holder: &str) -> bool {
    holder
        .strip_prefix(REQUEST_HOLDER)
        .is_some_and(|rest| rest.starts_with('-'))
}

/// How long after the last renewal by such a request a worker claims its action.
const REQUEST_LEASE: Duration = Duration::from_mins(1);
/// The most retries that a request may ask for, as in Nango's API.
pub const MAX_RETRIES: i64 = 5;

/// Carries out an action and waits for its output.
///
/// With a key it is stored first, so that it is done once: a request with the same key gets the output of the first.
pub async fn trigger(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    request: ActionRequest,
) -> Result<ActionOutput> {
    let key = request.key.clone();
    let resolved = resolve(gateway, caller, request).await?;
    match key {
        None => Ok(ActionOutput::first(at_once(gateway, resolved).await?)),
        Some(key) => with_key(gateway, resolved, key).await,
    }
}

async fn at_once(gateway: &Arc<Gateway>, resolved: ResolvedAction) -> Result<Json> {
    let ResolvedAction {
        connection,
        action,
        inputs,
    } = resolved;
    if action.repeatable {
        return Ok(perform(gateway, &connection, &action, &inputs).await?);
    }
    // Spawned as a task, so that a disconnecting caller does not stop a request that may have been carried out.
    let shared = Arc::clone(gateway);
    let work = gateway.spawn(async move { perform(&shared, &connection, &action, &inputs).await });
    match work.await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ActionFailure::outcome_unknown().into()),
    }
}

async fn with_key(gateway: &Arc<Gateway>, resolved: ResolvedAction, key: String) -> Result<ActionOutput> {
    let now = gateway.clock.now();
    let new = NewAction {
        due_at: now.plus(REQUEST_LEASE),
        holder: Some(format!("{REQUEST_HOLDER}-{}", ActionId::random())),
        ..new_action(&resolved, Some(key), 1, now)
    };
    // Stored by the task as well, so that a client that disconnects meanwhile leaves no stored action without its request.
    let shared = Arc::clone(gateway);
    let work = gateway.spawn(async move {
        let (row, fresh) = store(&shared, new).await?;
        if !fresh {
            let output = ended(&row)?.ok_or(GatewayError::KeyInUse)?;
            return Ok(ActionOutput {
                output,
                replayed: true,
            });
        }
        match carry_out(&shared, row, REQUEST_LEASE).await {
            Some(Ok(output)) => Ok(ActionOutput::first(output)),
            Some(Err(failure)) => Err(failure.into()),
            // Another holder has the lease now, or the result could not be stored: a later request with the key gets it.
            None => Err(GatewayError::KeyInUse),
        }
    });
    work.await.unwrap_or(Err(GatewayError::KeyInUse))
}

/// Stores an action for the workers, so that it is carried out even if this process exits now.
///
/// `retries` is the maximum number of retries after a failure without effect, or of a repeatable action.
pub async fn enqueue(
    gateway: &Gateway,
    caller: &Caller,
    request: ActionRequest,
    retries: i64,
) -> Result<StoredAction> {
    let key = request.key.clone();
    let resolved = resolve(gateway, caller, request).await?;
    let now = gateway.clock.now();
    let new = new_action(&resolved, key, retries.clamp(0, MAX_RETRIES) + 1, now);
    let (row, fresh) = store(gateway, new).await?;
    gateway.action_due.notify_one();
    Ok(StoredAction {
        id: row.id,
        replayed: !fresh,
    })
}

/// Stores the action, unless an earlier request with its key stored it. Returns the stored one, and whether it is new.
async fn store(gateway: &Gateway, new: NewAction) -> Result<(ActionJob, bool)> {
    let now = gateway.clock.now();
    let hash = new.key.as_ref().map(|(_, hash)| hash.clone());
    let stored = gateway.store.write(move |c| actions::insert(c, &new, now));
    let (row, fresh) = stored.await?;
    if fresh || row.input_hash == hash {
        Ok((row, fresh))
    } else {
        Err(GatewayError::KeyReused)
    }
}

/// The output of a stored action.
///
/// [`GatewayError::ActionPending`] while it has not ended, its own failure if it failed.
pub async fn result(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Json> {
    let unknown = || GatewayError::NotFound(format!("unknown action {id:?}: results are kept for five days"));
    let parsed: ActionId = id.parse().map_err(|_| unknown())?;
    let environment = caller.environment;
    let found = gateway.store.read(move |c| actions::find(c, environment, parsed));
    let row = found.await.map_err(GatewayError::or_unknown(unknown))?;
    ended(&row)?.ok_or(GatewayError::ActionPending {
        status: row.status.as_str(),
    })
}

/// The output of an action that succeeded, the failure of one that failed, `None` for one that has not ended.
fn ended(row: &ActionJob) -> Result<Option<Json>> {
    match row.status {
        ActionStatus::Queued | ActionStatus::Running => Ok(None),
        ActionStatus::Succeeded => Ok(Some(row.output.clone().unwrap_or_default())),
        // It has ended, so a retry does not help.
        ActionStatus::Failed => Err(ActionFailure {
            retry_after: None,
            ..ActionFailure::stored(row.error.as_ref())
        }
        .into()),
    }
}

fn new_action(
    resolved: &ResolvedAction,
    key: Option<String>,
    max_attempts: i64,
    now: Timestamp,
) -> NewAction {
    NewAction {
        id: ActionId::random(),
        connection: resolved.connection.id,
        name: resolved.action.name.clone(),
        input: resolved.inputs.clone(),
        repeatable: resolved.action.repeatable,
        max_attempts,
        due_at: now,
        holder: None,
        key: key.map(|key| (key, inputs::hash(&resolved.inputs))),
    }
}
