//! Actions: one call that an app asks for by name, done at once or by the worker, and never twice without leave.

mod carry;
mod failure;
mod perform;
mod request;

use std::time::Duration;

use domain::{ActionId, ActionJob, ActionStatus};
use serde_json::Value as Json;
use store::StoreError;
use store::actions::{self, NewAction};

pub use self::failure::{ActionFailure, ActionFailureKind};
pub use self::request::{ActionRequest, ShortRoute};
use self::request::{Resolved, input_hash};
use crate::{Caller, Gateway, GatewayError};

/// The use cases of actions.
pub struct Actions<'a>(pub(crate) &'a Gateway);

/// What an action answered.
#[derive(Debug)]
pub struct ActionOutput {
    /// The answer.
    pub output: Json,
    /// Whether it is that of an earlier request with the same key.
    pub replayed: bool,
}

/// An action that is stored and will be carried out.
#[derive(Debug)]
pub struct StoredAction {
    /// By which its result can be asked for.
    pub id: ActionId,
    /// Whether an earlier request with the same key stored it.
    pub replayed: bool,
}

/// Under which name a request holds the action that it carries out itself.
const REQUEST_HOLDER: &str = "request";
/// How long after the last sign of life of such a request a worker looks after its action.
const REQUEST_LEASE: Duration = Duration::from_mins(1);
/// How often a request may ask for repetitions, as in Nango's API.
pub const MAX_RETRIES: i64 = 5;

impl Actions<'_> {
    /// Carries an action out and waits for its answer.
    ///
    /// With a key it is stored first, so that the same key never does it twice: a request that comes again gets the first answer.
    pub async fn trigger(
        &self,
        caller: &Caller,
        request: ActionRequest,
    ) -> Result<ActionOutput, GatewayError> {
        let key = request.key.clone();
        let resolved = self.resolve(caller, request).await?;
        match key {
            None => {
                let output = self.at_once(resolved).await?;
                Ok(ActionOutput {
                    output,
                    replayed: false,
                })
            }
            Some(key) => self.with_key(resolved, key).await,
        }
    }

    async fn at_once(&self, resolved: Resolved) -> Result<Json, GatewayError> {
        let Resolved {
            connection,
            action,
            inputs,
        } = resolved;
        if action.repeatable {
            return Ok(self.0.perform(&connection, &action, &inputs).await?);
        }
        // A caller who goes away in the middle does not stop what may be done already.
        let gateway = self.0.clone();
        let work = tokio::spawn(async move { gateway.perform(&connection, &action, &inputs).await });
        match work.await {
            Ok(done) => Ok(done?),
            Err(_) => Err(ActionFailure::outcome_unknown().into()),
        }
    }

    async fn with_key(&self, resolved: Resolved, key: String) -> Result<ActionOutput, GatewayError> {
        let now = self.0.clock().now();
        let new = NewAction {
            due_at: now.plus(REQUEST_LEASE),
            holder: Some(format!("{REQUEST_HOLDER}-{}", ActionId::random())),
            ..new_action(&resolved, Some(key), 1, now)
        };
        let (row, fresh) = self.store(new.clone()).await?;
        if !fresh {
            let output = replay(&row, &new)?;
            return Ok(ActionOutput {
                output,
                replayed: true,
            });
        }
        let gateway = self.0.clone();
        let work = tokio::spawn(async move { gateway.carry_out(row, REQUEST_LEASE).await });
        match work.await {
            Ok(Some(Ok(output))) => Ok(ActionOutput {
                output,
                replayed: false,
            }),
            Ok(Some(Err(failure))) => Err(failure.into()),
            // It is held elsewhere now, or its end could not be stored: the key tells later.
            Ok(None) | Err(_) => Err(GatewayError::KeyInUse),
        }
    }

    /// Stores an action for the workers; it is carried out even if this process ends now.
    ///
    /// `retries` is how often it may be tried again when it is known that nothing was done, or when it may be repeated.
    pub async fn enqueue(
        &self,
        caller: &Caller,
        request: ActionRequest,
        retries: i64,
    ) -> Result<StoredAction, GatewayError> {
        let key = request.key.clone();
        let resolved = self.resolve(caller, request).await?;
        let now = self.0.clock().now();
        let new = new_action(&resolved, key, retries.clamp(0, MAX_RETRIES) + 1, now);
        let (row, fresh) = self.store(new.clone()).await?;
        if !fresh {
            same_input(&row, &new)?;
        }
        self.0.wake_actions();
        Ok(StoredAction {
            id: row.id,
            replayed: !fresh,
        })
    }

    async fn store(&self, new: NewAction) -> Result<(ActionJob, bool), GatewayError> {
        let now = self.0.clock().now();
        let stored = self.0.store().write(move |c| actions::insert(c, &new, now));
        Ok(stored.await?)
    }

    /// What a stored action answered.
    ///
    /// [`GatewayError::ActionPending`] while it has not ended, its own failure if it failed.
    pub async fn result(&self, caller: &Caller, id: &str) -> Result<Json, GatewayError> {
        let unknown = || GatewayError::UnknownActionResult(id.to_owned());
        let parsed: ActionId = id.parse().map_err(|_| unknown())?;
        let environment = caller.environment;
        let found = self
            .0
            .store()
            .read(move |c| actions::find(c, environment, parsed))
            .await;
        let row = found.map_err(|error| match error {
            StoreError::NotFound { .. } => unknown(),
            other => other.into(),
        })?;
        ended(&row)?.ok_or(GatewayError::ActionPending {
            status: row.status.as_str(),
        })
    }
}

/// The answer of the first request with a key.
fn replay(row: &ActionJob, new: &NewAction) -> Result<Json, GatewayError> {
    same_input(row, new)?;
    ended(row)?.ok_or(GatewayError::KeyInUse)
}

/// The output of an action that succeeded, the failure of one that failed, `None` for one that has not ended.
fn ended(row: &ActionJob) -> Result<Option<Json>, GatewayError> {
    match row.status {
        ActionStatus::Queued | ActionStatus::Running => Ok(None),
        ActionStatus::Succeeded => Ok(Some(row.output.clone().unwrap_or_default())),
        // Asking again does not help: it has ended.
        ActionStatus::Failed => Err(ActionFailure {
            retry_after: None,
            ..ActionFailure::stored(row.error.as_ref())
        }
        .into()),
    }
}

fn same_input(row: &ActionJob, new: &NewAction) -> Result<(), GatewayError> {
    let hash = new.key.as_ref().map(|(_, hash)| hash);
    if row.input_hash.as_ref() == hash {
        Ok(())
    } else {
        Err(GatewayError::KeyReused)
    }
}

fn new_action(
    resolved: &Resolved,
    key: Option<String>,
    max_attempts: i64,
    now: domain::Timestamp,
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
        key: key.map(|key| (key, input_hash(&resolved.inputs))),
    }
}
