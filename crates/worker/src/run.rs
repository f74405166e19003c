//! One run of one sync, from its claim to its end.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use domain::{RunId, SyncId, Timestamp};
use gateway::{AUTH_PROBLEM, Gateway, GatewayError, Health, permission_problem};
use store::connections::{self, Problem};
use store::records::Lease;
use store::runs::{self, Ending, RunNotes, RunStatus};
use store::schedule::{self, Claimed};
use store::syncs::{self, SyncRow};
use store::{DbConn, StoreError};
use tokio_util::sync::CancellationToken;
use upstream::{CallError, ProviderError, Urgency, VerifyError};

use crate::checkpoint::Checkpoint;
use crate::context::Context;
use crate::failure::Failure;
use crate::ordering::Ordering;
use crate::worker::{KEEP_RUNS, ListBounds};
use crate::{followup, reading, undated};

/// After a failure the next try comes after this, in microseconds, and after twice as long each further time.
const RETRY: i64 = 60 * Timestamp::SECOND;
const MAX_RETRY: i64 = 3_600 * Timestamp::SECOND;
/// The same while the provider refuses the credentials, which only a person can mend.
const RETRY_AUTH: i64 = 3_600 * Timestamp::SECOND;
const MAX_RETRY_AUTH: i64 = 24 * 3_600 * Timestamp::SECOND;

/// A run that the database cut off is due again after this, in microseconds.
const HAND_BACK: i64 = 2 * Timestamp::SECOND;
/// How often a run's end is tried to be stored while the database is away.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Carries out a claimed run and gives the sync back. Returns whether it is due again at once.
pub(crate) async fn carry_out(
    gateway: Gateway,
    claimed: Claimed,
    holder: String,
    bounds: ListBounds,
    stopping: CancellationToken,
) -> bool {
    let (run, resumed) = (claimed.run.id, claimed.run.resumed);
    let put_at = claimed.connection.updated_at;
    let lease = Lease {
        sync: claimed.sync.id,
        holder,
    };
    tracing::info!("the run started");
    let (outcome, left) =
        match Context::prepare(&gateway, claimed, lease.clone(), bounds, stopping.child_token()).await {
            Ok(context) => work_to_the_end(&Arc::new(context)).await,
            Err(failure) => (Err(failure), Left::default()),
        };
    match &outcome {
        Err(Failure::LeaseLost) => {
            tracing::warn!("the lease is lost: another worker has the sync now");
            return false;
        }
        Err(failure) if failure.database_is_away() => {
            tracing::info!(error = %failure.tell().message, "the database failed the run: it goes on soon");
        }
        Ok(_) | Err(Failure::Stopping) => {}
        Err(failure) => {
            failure.log();
        }
    }
    let ended = loop {
        let stored = match &outcome {
            Err(Failure::Stopping) => hand_back(&gateway, &lease, run, &left, 0).await,
            Err(failure) if failure.database_is_away() => {
                hand_back(&gateway, &lease, run, &left, soon(resumed)).await
            }
            Ok(then) => end(&gateway, &lease, (run, put_at), &left, Ok(*then)).await,
            Err(failure) => end(&gateway, &lease, (run, put_at), &left, Err(failure)).await,
        };
        match stored {
            // For as long as the lease lives: whoever polls this stops when it has expired.
            Err(GatewayError::Store(error)) if error.is_transient() && !stopping.is_cancelled() => {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(STORE_AGAIN) => {}
                }
            }
            stored => break stored,
        }
    };
    let at_once = matches!(outcome, Ok(Then::AtOnce));
    match ended {
        Ok(()) => match outcome {
            Ok(_) => tracing::info!("the run succeeded"),
            Err(Failure::Stopping) => tracing::info!("the run stopped; the next worker goes on with it"),
            // Its line is written.
            Err(_) => {}
        },
        // The lease expires and the run is claimed again.
        Err(error) => tracing::error!(%error, "the end of the run could not be stored"),
    }
    at_once
}

impl Context {
    async fn prepare(
        gateway: &Gateway,
        claimed: Claimed,
        lease: Lease,
        bounds: ListBounds,
        stopping: CancellationToken,
    ) -> Result<Self, Failure> {
        let Claimed {
            sync,
            run,
            connection,
            sealed,
        } = claimed;
        let mut target = match sealed {
            Some(sealed) => gateway.target_of(&connection, &sealed).await?,
            None => gateway.target(&connection).await?,
        };
        target.urgency = Urgency::Background;
        Arc::make_mut(&mut target.variables).variant = Some(sync.variant.clone());
        let declared = target
            .provider
            .syncs
            .get(&sync.name)
            .cloned()
            .ok_or(Failure::NotDeclared)?;
        let table = gateway
            .table(&target.provider.name, &sync.name, &sync.variant)
            .await?
            .ok_or(Failure::NotDeclared)?;
        let checkpoint = Checkpoint::load(&sync.checkpoint).checked(gateway.clock().now());
        let checkpoint = Mutex::new(checkpoint);
        let gateway = gateway.clone();
        Ok(Self {
            gateway,
            sync,
            connection,
            declared,
            table,
            target,
            lease,
            run: run.id,
            stopping,
            checkpoint,
            ordering: Ordering::default(),
            bounds,
            unwritten: Mutex::default(),
            written: OnceLock::new(),
        })
    }
}

/// What a run leaves to be stored with its end.
#[derive(Debug, Default)]
struct Left {
    notes: RunNotes,
    /// `None` leaves the stored one.
    checkpoint: Option<Checkpoint>,
}

/// Reads, then writes what is held back, whatever the outcome of the reading.
async fn work_to_the_end(context: &Arc<Context>) -> (Result<Then, Failure>, Left) {
    let outcome = work(context).await;
    let outcome = match (outcome, context.settle().await) {
        (Ok(then), settled) => settled.map(|()| then),
        (Err(_), Err(settled)) if settled.database_is_away() => Err(settled),
        (Err(failure), Err(settled)) => {
            settled.log();
            Err(failure)
        }
        (failed, Ok(())) => failed,
    };
    let left = Left {
        notes: context.take_notes(),
        checkpoint: context.last_checkpoint(),
    };
    (outcome, left)
}

/// The reading, unless the credentials are refused.
async fn work(context: &Arc<Context>) -> Result<Then, Failure> {
    let problem = context.connection.problem.as_ref();
    if problem.is_some_and(|problem| problem.kind == AUTH_PROBLEM) {
        // One verification tells whether anything has changed; a run would make many calls.
        verify(context).await?;
        context.gateway.note_success(&context.connection).await?;
    }
    match read(context).await {
        Err(failure) => Err(match failure.denial().cloned() {
            // Single refusals happen without any reason: only one that is confirmed says that the key is refused as a whole.
            Some(denial) => match verify(context).await {
                Ok(()) => Failure::NotPermitted(denial),
                Err(confirmed) if confirmed.unauthorized() => confirmed,
                // The key may not read what it is verified by either, and nothing says that it is not good.
                Err(other) if other.denial().is_some() => Failure::NotPermitted(denial),
                Err(_) => failure,
            },
            None => failure,
        }),
        done => done,
    }
}

/// When a run that came to its end is followed by the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// By the schedule.
    Scheduled,
    /// At once: the first reading is followed by a run that brings what came meanwhile.
    AtOnce,
}

/// Everything that a run reads, in order.
async fn read(context: &Arc<Context>) -> Result<Then, Failure> {
    if context.window().is_none() {
        set_kind(context, "full");
        reading::full(context).await?;
        return Ok(Then::Scheduled);
    }
    if context.checkpoint().backfilled.is_none() {
        set_kind(context, "backfill");
        reading::backfill(context).await?;
        return Ok(Then::AtOnce);
    }
    set_kind(context, "incremental");
    let trailing = reading::lookback(context).await?;
    undated::read(context).await?;
    followup::follow_up(context, trailing).await?;
    Ok(Then::Scheduled)
}

fn set_kind(context: &Context, kind: &'static str) {
    context.note(RunNotes {
        kind: Some(kind),
        ..RunNotes::default()
    });
}

/// Tries the credentials; a refusal is noted on the connection.
async fn verify(context: &Context) -> Result<(), Failure> {
    match context
        .gateway
        .check_health(&context.connection, &context.target)
        .await?
    {
        Health::Good => Ok(()),
        Health::Refused(error) | Health::Unknown(error) => Err(match error {
            VerifyError::Refused(answer) => CallError::Provider(answer).into(),
            VerifyError::Call(error) => error.into(),
            VerifyError::Check { message } => Failure::Account(message),
        }),
    }
}

/// Gives the sync back in the middle of its run, which the next claim resumes, `wait` microseconds from now.
async fn hand_back(
    gateway: &Gateway,
    lease: &Lease,
    run: RunId,
    left: &Left,
    wait: i64,
) -> Result<(), GatewayError> {
    let (lease, now) = (lease.clone(), gateway.clock().now());
    let (notes, checkpoint) = (left.notes.clone(), left.checkpoint.clone());
    let given_back = gateway.store().write(move |c| {
        if !schedule::finish(c, lease.sync, &lease.holder, Some(now.plus(wait)), now)? {
            return Ok(());
        }
        if let Some(checkpoint) = checkpoint {
            syncs::set_checkpoint(c, lease.sync, &checkpoint.store())?;
        }
        runs::note(c, run, &notes, None)
    });
    Ok(given_back.await?)
}

/// How long a run that the database cut off waits, in microseconds: longer if that happened before, as with a disk that is full.
fn soon(resumed: i64) -> i64 {
    HAND_BACK.saturating_mul(resumed.clamp(0, 9) + 1)
}

/// Ends the run, sets when the sync is due next, and notes whether the key may read it, in one transaction. `put_at` is when
/// the connection was put whose credentials the run had.
async fn end(
    gateway: &Gateway,
    lease: &Lease,
    (run, put_at): (RunId, Timestamp),
    left: &Left,
    outcome: Result<Then, &Failure>,
) -> Result<(), GatewayError> {
    let now = gateway.clock().now();
    let failure = outcome.err();
    let told = failure.map(Failure::tell);
    let unauthorized = failure.is_some_and(Failure::unauthorized);
    let not_permitted = matches!(failure, Some(Failure::NotPermitted(_)));
    let permitted = match failure {
        None => Permitted::Yes,
        Some(Failure::NotPermitted(refusal)) => Permitted::No(refusal.clone()),
        Some(_) => Permitted::Unknown,
    };
    let asked_to_wait = failure.and_then(|failure| match failure {
        Failure::Call(error) => error.retry_after(),
        _ => None,
    });
    let wait = asked_to_wait
        .and_then(|wait| i64::try_from(wait.as_micros()).ok())
        .unwrap_or_default();
    let at_once = outcome.is_ok_and(|then| then == Then::AtOnce);
    let (lease, gateway_) = (lease.clone(), gateway.clone());
    let (notes, checkpoint) = (left.notes.clone(), left.checkpoint.clone());
    let stored = gateway.store().write(move |c| {
        schedule::lock(c, lease.sync)?;
        let Some(sync) = syncs::get_any_environment(c, lease.sync)? else {
            return Ok(());
        };
        let mut checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::load(&sync.checkpoint));
        let regular = match gateway_.syncs().next_due(&sync, now) {
            // Another process may know what this one's files lack, and they may be put back.
            None if told.is_some() && !sync.paused => Some(now.plus(MAX_RETRY)),
            regular => regular,
        };
        checkpoint.failures = if told.is_some() {
            checkpoint.failures.saturating_add(1)
        } else {
            0
        };
        let due = match regular {
            None => None,
            Some(_) if at_once => Some(now),
            Some(regular) if told.is_none() => Some(regular),
            Some(regular) => {
                let retry = retry(checkpoint.failures, unauthorized, sync.id);
                let due = now.plus(retry.max(wait));
                // Without good credentials, or a permission, it is never sooner than by the schedule, otherwise never later, whatever
                // the provider asks for: who is asked too soon says so again.
                Some(if unauthorized {
                    due.max(regular)
                } else if not_permitted {
                    regular.max(now.plus(RETRY_AUTH))
                } else {
                    due.min(regular)
                })
            }
        };
        if !schedule::finish(c, lease.sync, &lease.holder, due, now)? {
            return Err(StoreError::LeaseLost);
        }
        syncs::set_checkpoint(c, lease.sync, &checkpoint.store())?;
        note_permission(c, &gateway_, &sync, permitted, (put_at, now))?;
        let ending = Ending {
            status: if told.is_some() {
                RunStatus::Failed
            } else {
                RunStatus::Succeeded
            },
            error: told.as_ref(),
            at: now,
        };
        runs::note(c, run, &notes, Some(ending))?;
        runs::forget_unchanged(c, lease.sync, KEEP_RUNS)
    });
    match stored.await {
        // Whoever holds the sync now ends the run.
        Err(StoreError::LeaseLost) => Ok(()),
        other => Ok(other?),
    }
}

/// What a run says of the key's permission to read.
enum Permitted {
    Yes,
    No(ProviderError),
    Unknown,
}

/// Notes on the sync whether its key may read it, unless the connection was put again since `put_at`: then it may have another key.
fn note_permission(
    c: &mut DbConn,
    gateway: &Gateway,
    sync: &SyncRow,
    permitted: Permitted,
    (put_at, now): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let problem = match permitted {
        Permitted::Unknown => return Ok(()),
        Permitted::Yes if sync.problem.is_none() => return Ok(()),
        Permitted::Yes => None,
        Permitted::No(refusal) => {
            let Some(provider) = gateway.registry().get(sync.provider.as_str()) else {
                return Ok(());
            };
            let new = permission_problem(provider, &sync.name, &refusal, now);
            // What lasts keeps the time of its beginning.
            let same = |old: &Problem| (&old.code, &old.message) == (&new.code, &new.message);
            if sync.problem.as_ref().is_some_and(same) {
                return Ok(());
            }
            Some(new)
        }
    };
    let connection = connections::get_any_environment(c, sync.connection)?;
    if connection.is_some_and(|connection| connection.updated_at == put_at) {
        syncs::set_problem(c, sync.id, problem.as_ref())?;
    }
    Ok(())
}

/// How long to wait after so many failures in a row, in microseconds; up to a tenth more, so that not all strike at once.
fn retry(failures: u32, unauthorized: bool, sync: SyncId) -> i64 {
    let (first, most) = if unauthorized {
        (RETRY_AUTH, MAX_RETRY_AUTH)
    } else {
        (RETRY, MAX_RETRY)
    };
    let doubled = first.saturating_mul(1_i64.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(1));
    let wait = doubled.min(most);
    wait.saturating_add(sync.raw().rem_euclid(100).saturating_mul(wait / 1_000))
}
