//! One run of one sync, from its claim to its end.

mod ending;

use std::sync::Arc;
use std::time::Duration;

use domain::Sync;
use gateway::{AUTH_PROBLEM, Gateway, GatewayError, health};
use store::Lease;
use store::runs::RunNotes;
use store::schedule::Claimed;
use tokio_util::sync::CancellationToken;
use upstream::{RequestError, VerifyError};

use self::ending::{Ending, RunResult, Then};
use crate::context::Context;
use crate::failure::Failure;
use crate::options::ListBounds;
use crate::steps::{backfill, full_scan, lookback, recheck, undated};
use crate::writer::FinalUpdate;

/// How long to wait before storing a run's end again while the database is unavailable.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Does a claimed run and returns the sync to the queue. Returns whether the sync is due again immediately.
pub(crate) async fn run_sync(
    gateway: Arc<Gateway>,
    claimed: Claimed,
    lease: Lease<Sync>,
    bounds: ListBounds,
    stopping: CancellationToken,
) -> bool {
    let mut ending = Ending::new(gateway.clone(), &claimed, lease.clone());
    tracing::info!("the run started");
    let prepared = Context::prepare(&gateway, claimed, lease, bounds, stopping.child_token()).await;
    let outcome = match prepared {
        Ok(context) => {
            let (outcome, final_update) = read_and_write(&Arc::new(context)).await;
            ending.final_update = final_update;
            outcome
        }
        Err(failure) => Err(failure),
    };
    let outcome = Arc::new(outcome);
    match &*outcome {
        Err(Failure::LeaseLost) => {
            tracing::warn!("the lease is lost: another worker has the sync now");
            return false;
        }
        Err(failure) if failure.database_is_away() => {
            tracing::info!(error = %failure.to_run_error().message, "the database failed the run: it continues soon");
        }
        Ok(_) | Err(Failure::Stopping) => {}
        Err(failure) => failure.log(),
    }
    let stored = loop {
        match ending.store(&outcome).await {
            // Until the lease expires: then this future is dropped.
            Err(GatewayError::Store(error)) if error.is_transient() && !stopping.is_cancelled() => {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(STORE_AGAIN) => {}
                }
            }
            stored => break stored,
        }
    };
    match (stored, &*outcome) {
        // The lease expires and the run is claimed again.
        (Err(error), _) => tracing::error!(%error, "the end of the run could not be stored"),
        (Ok(()), Ok(_)) => tracing::info!("the run succeeded"),
        (Ok(()), Err(Failure::Stopping)) => {
            tracing::info!("the run stopped; the next worker continues it");
        }
        // The failure is logged already.
        (Ok(()), Err(_)) => {}
    }
    matches!(*outcome, Ok(Then::AtOnce))
}

/// Reads, then writes the buffered pages, whatever the outcome of the reading.
async fn read_and_write(context: &Arc<Context>) -> (RunResult, FinalUpdate) {
    let outcome = match (read_if_authorized(context).await, context.writer.flush().await) {
        (Ok(then), flushed) => flushed.map(|()| then),
        (Err(_), Err(flushed)) if flushed.database_is_away() => Err(flushed),
        (Err(failure), Err(flushed)) => {
            flushed.log();
            Err(failure)
        }
        (failed, Ok(())) => failed,
    };
    (outcome, context.writer.take_final_update())
}

/// Reads, unless the provider refuses the credentials.
async fn read_if_authorized(context: &Arc<Context>) -> RunResult {
    let problem = context.connection.problem.as_ref();
    if problem.is_some_and(|problem| problem.kind == AUTH_PROBLEM) {
        // One verification shows whether the key works again; a run would send many requests.
        verify(context).await?;
        health::clear_problem(&context.gateway, &context.connection).await?;
    }
    let failure = match read(context).await {
        Err(failure) => failure,
        done => return done,
    };
    let Some(denial) = failure.denial().cloned() else {
        return Err(failure);
    };
    // Single refusals happen without a reason. Only a confirmed one means that the provider refuses the key as a whole.
    Err(match verify(context).await {
        Ok(()) => Failure::NotPermitted(denial),
        Err(confirmed) if confirmed.unauthorized() => confirmed,
        // The key has no permission for the verification endpoint either. That does not make it a bad key.
        Err(other) if other.denial().is_some() => Failure::NotPermitted(denial),
        Err(_) => failure,
    })
}

/// Takes the steps of a run, in order.
async fn read(context: &Arc<Context>) -> RunResult {
    if context.window().is_none() {
        note_kind(context, "full");
        full_scan::run(context).await?;
        return Ok(Then::Scheduled);
    }
    if context.writer.checkpoint().backfilled.is_none() {
        note_kind(context, "backfill");
        backfill::run(context).await?;
        return Ok(Then::AtOnce);
    }
    note_kind(context, "incremental");
    let read = lookback::run(context).await?;
    undated::run(context).await?;
    recheck::run(context, read).await?;
    Ok(Then::Scheduled)
}

fn note_kind(context: &Context, kind: &'static str) {
    context.writer.note(RunNotes {
        kind: Some(kind),
        ..RunNotes::default()
    });
}

/// Verifies the credentials. A refusal is noted on the connection.
async fn verify(context: &Context) -> Result<(), Failure> {
    let checked = health::check_credentials(&context.gateway, &context.connection, &context.target).await?;
    checked.map_err(|error| match error {
        VerifyError::Refused(refusal) => RequestError::Provider(refusal).into(),
        VerifyError::Request(error) => error.into(),
        VerifyError::Check(message) => Failure::Account(message),
    })
}
