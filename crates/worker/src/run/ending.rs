//! The end of a run: its result, when the sync is due next, and whether the key may read it, stored in one transaction.

use std::sync::Arc;
use std::time::Duration;

use domain::{Problem, RunId, RunStatus, Sync, SyncId, Timestamp};
use gateway::{Gateway, GatewayError, permission_problem};
use registry::Provider;
use store::connections;
use store::runs;
use store::schedule::Claimed;
use store::syncs;
use store::{DbConn, Lease, StoreError};
use upstream::Backoff;

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::options::KEEP_RUNS;
use crate::writer::FinalUpdate;

/// The waits after failures in a row.
const RETRY: Backoff = Backoff {
    first: Duration::from_mins(1),
    longest: Duration::from_hours(1),
};
/// The waits while the provider refuses the credentials, which only a person can correct.
const RETRY_AUTH: Backoff = Backoff {
    first: Duration::from_hours(1),
    longest: Duration::from_hours(24),
};
/// A run that the database cut off is due again after this. Longer if that happened before, as with a full disk.
const HAND_BACK: Duration = Duration::from_secs(2);

/// When a sync is due after a run that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Scheduled,
    /// After a backfill: the next run reads the records that were created during it.
    AtOnce,
}

/// How a run ended.
pub(super) type RunResult = Result<Then, Failure>;

/// Stores the end of a run.
pub(super) struct Ending {
    gateway: Arc<Gateway>,
    run: RunId,
    /// How often the run was cut off before.
    resumed: i64,
    /// When the connection was last changed before the run took its credentials.
    connection_updated_at: Timestamp,
    lease: Lease<Sync>,
    /// Whether a webhook endpoint wants to know of the run even if it changes nothing.
    wants_unchanged: bool,
    pub(super) final_update: FinalUpdate,
}

impl Ending {
    pub(super) fn new(gateway: Arc<Gateway>, claimed: &Claimed, lease: Lease<Sync>) -> Self {
        Self {
            gateway,
            run: claimed.run.id,
            resumed: claimed.run.resumed,
            connection_updated_at: claimed.connection.updated_at,
            lease,
            wants_unchanged: claimed.wants_unchanged,
            final_update: FinalUpdate::default(),
        }
    }

    /// Stores how the run ended, or returns the sync to the queue so that the next claim resumes the run.
    pub(super) async fn store(&self, outcome: &Arc<RunResult>) -> Result<(), GatewayError> {
        match &**outcome {
            Err(Failure::Stopping) => self.hand_back(Duration::ZERO).await,
            Err(failure) if failure.database_is_away() => {
                let wait = HAND_BACK * (u32::try_from(self.resumed.clamp(0, 9)).unwrap_or_default() + 1);
                self.hand_back(wait).await
            }
            _ => self.end(Arc::clone(outcome)).await,
        }
    }

    /// Returns the sync to the queue in the middle of its run. It is due again after `wait`.
    async fn hand_back(&self, wait: Duration) -> Result<(), GatewayError> {
        let (lease, run, now) = (self.lease.clone(), self.run, self.gateway.clock.now());
        let FinalUpdate {
            notes, checkpoint, ..
        } = self.final_update.clone();
        let given_back = self.gateway.store.write(move |c| {
            if !lease.finish(c, Some(now.plus(wait)), now)? {
                return Ok(());
            }
            if let Some(checkpoint) = checkpoint {
                syncs::set_checkpoint(c, lease.id, &checkpoint.to_json())?;
            }
            runs::note(c, run, &notes, None)
        });
        Ok(given_back.await?)
    }

    async fn end(&self, outcome: Arc<RunResult>) -> Result<(), GatewayError> {
        let now = self.gateway.clock.now();
        let (lease, registry, run) = (self.lease.clone(), Arc::clone(&self.gateway.registry), self.run);
        let FinalUpdate {
            notes,
            checkpoint,
            changed,
        } = self.final_update.clone();
        let is_event = changed || self.wants_unchanged || outcome.is_err();
        let updated_at = self.connection_updated_at;
        let error = (*outcome).as_ref().err().map(Failure::to_run_error);
        let stored = self.gateway.store.write(move |c| {
            store::lease::lock(c, lease.id)?;
            let Some(sync) = syncs::get_any_environment(c, lease.id)? else {
                return Ok(());
            };
            let mut checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::from_json(&sync.checkpoint));
            checkpoint.failures = match &error {
                Some(_) => checkpoint.failures.saturating_add(1),
                None => 0,
            };
            let provider = registry.get(sync.provider.as_str());
            let scheduled = provider.and_then(|provider| gateway::syncs::next_due(provider, &sync, now));
            let regular = match scheduled {
                // Another process may have the provider file that this one lacks, and the file may come back.
                None if error.is_some() && !sync.paused => Some(now.plus(RETRY.longest)),
                regular => regular,
            };
            let due = regular.map(|regular| due(&outcome, regular, now, checkpoint.failures, sync.id));
            if !lease.finish(c, due, now)? {
                return Err(StoreError::LeaseLost);
            }
            syncs::set_checkpoint(c, lease.id, &checkpoint.to_json())?;
            note_permission(c, provider, &sync, &outcome, updated_at, now)?;
            let status = match &error {
                Some(_) => RunStatus::Failed,
                None => RunStatus::Succeeded,
            };
            let ending = runs::Ending {
                status,
                error: error.as_ref(),
                at: now,
            };
            runs::note(c, run, &notes, Some(ending))?;
            if is_event && let Some(ended) = runs::get_any_environment(c, run)? {
                let declared = provider.and_then(|provider| provider.syncs.get(&sync.name));
                let model = declared.map(|declared| &*declared.model);
                gateway::events::run_ended(c, &sync, &ended, model, error.as_ref(), now)?;
            }
            runs::forget_unchanged(c, lease.id, KEEP_RUNS)
        });
        match stored.await {
            // The worker that has the sync now ends the run.
            Err(StoreError::LeaseLost) => Ok(()),
            other => {
                other?;
                if is_event {
                    self.gateway.event_written.notify_one();
                }
                Ok(())
            }
        }
    }
}

/// Returns when a sync is due after a run with this outcome. `regular` is when its schedule says so.
///
/// Without good credentials or a permission it is never due sooner than that. After another failure it is never due later, whatever wait
/// the provider requested: after a request that comes too soon, it can do so again.
fn due(outcome: &RunResult, regular: Timestamp, now: Timestamp, failures: u32, sync: SyncId) -> Timestamp {
    let failure = match outcome {
        Ok(Then::AtOnce) => return now,
        Ok(Then::Scheduled) => return regular,
        Err(Failure::NotPermitted(_)) => return regular.max(now.plus(RETRY_AUTH.first)),
        Err(failure) => failure,
    };
    let retry_after = match failure {
        Failure::Request(error) => error.retry_after().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let after = |backoff| now.plus(spread(backoff, failures, sync).max(retry_after));
    if failure.unauthorized() {
        after(RETRY_AUTH).max(regular)
    } else {
        after(RETRY).min(regular)
    }
}

/// Returns the wait after `failures` in a row, plus up to a tenth, so that syncs do not all retry at the same time.
fn spread(backoff: Backoff, failures: u32, sync: SyncId) -> Duration {
    let wait = backoff.after(failures);
    wait + wait / 1_000 * u32::try_from(sync.raw().rem_euclid(100)).unwrap_or_default()
}

/// Notes on the sync whether its key may read it, unless the connection was changed since `updated_at`: it may have another key then.
fn note_permission(
    c: &mut DbConn,
    provider: Option<&Arc<Provider>>,
    sync: &Sync,
    outcome: &RunResult,
    updated_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let problem = match outcome {
        Ok(_) if sync.problem.is_none() => return Ok(()),
        Ok(_) => None,
        Err(Failure::NotPermitted(denial)) => {
            let Some(provider) = provider else {
                return Ok(());
            };
            let new = permission_problem(provider, &sync.name, denial, now);
            // A problem that lasts keeps the time at which it began.
            let same = |old: &Problem| (&old.code, &old.message) == (&new.code, &new.message);
            if sync.problem.as_ref().is_some_and(same) {
                return Ok(());
            }
            Some(new)
        }
        // Such a failure says nothing about the permission.
        Err(_) => return Ok(()),
    };
    let connection = connections::get_any_environment(c, sync.connection)?;
    if connection.is_some_and(|connection| connection.updated_at == updated_at) {
        syncs::set_problem(c, sync.id, problem.as_ref())?;
    }
    Ok(())
}
