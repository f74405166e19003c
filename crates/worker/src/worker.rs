//! The loop that claims what is due and carries it out, side by side, until it is told to stop.

use std::time::Duration;

use domain::{Id, IdKind, Timestamp};
use gateway::Gateway;
use store::schedule::{self, Claimed};
use store::{StoreError, actions, runs};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::actions::ActionLoop;
use crate::options::{KEEP_RUNS, WorkerOptions};
use crate::run;

/// A worker of this process.
pub struct Worker {
    gateway: Gateway,
    options: WorkerOptions,
    id: String,
}

enum WorkerKind {}
impl IdKind for WorkerKind {
    const PREFIX: &'static str = "worker";
}

/// How often due times are looked for that a wrong clock has written.
const RELEASE_EVERY: Duration = Duration::from_mins(1);
/// Syncs that fall due within this time are claimed together, since a claim costs the database as much as a run does beside it. A sync that
/// another worker is just claiming is not asked for in a tight loop either.
const GATHER: Duration = Duration::from_millis(100);
/// How often old runs are looked for.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// Old runs that one transaction deletes, so that others get their turn.
const TIDY_BATCH: i64 = 2_000;

impl Worker {
    /// A worker over `gateway`.
    pub fn new(gateway: Gateway, options: WorkerOptions) -> Self {
        let id = Id::<WorkerKind>::new(gateway.clock().now()).to_string();
        Self { gateway, options, id }
    }

    /// Works until `stopping` is cancelled; then claims nothing more, lets every run stop between two pages and every action come to
    /// its end, and returns.
    pub async fn run(self, stopping: CancellationToken) {
        tracing::info!(worker.id = %self.id, "the worker begins");
        let action_loop = ActionLoop {
            gateway: self.gateway.clone(),
            options: self.options.clone(),
            id: self.id.clone(),
        };
        let working = async {
            tokio::join!(
                self.run_syncs(stopping.clone()),
                action_loop.run(stopping.clone())
            )
        };
        tokio::select! {
            _ = working => {}
            never = self.tidy() => match never {},
        }
        tracing::info!(worker.id = %self.id, "the worker ends");
    }

    async fn run_syncs(&self, stopping: CancellationToken) {
        let mut runs = JoinSet::new();
        let mut claims = 0_u64;
        let mut released = None;
        let mut look_again = Instant::now();
        while !stopping.is_cancelled() {
            let full = runs.len() >= self.options.concurrency;
            if !full && look_again <= Instant::now() {
                self.release_misdated(&mut released).await;
                // A name for each claim: a run whose sync was taken away must not pass for the one that this very worker began after it.
                claims += 1;
                let holder = format!("{}-{claims}", self.id);
                let free = self.options.concurrency.saturating_sub(runs.len());
                let (claimed, next_due) = self.claim(free, &holder).await;
                // Where all places are taken, more may be due: the next look is when one is free.
                let pause = if claimed.len() < free {
                    self.pause(next_due)
                } else {
                    Duration::ZERO
                };
                for claimed in claimed {
                    runs.spawn(self.hold(claimed, holder.clone(), stopping.clone()));
                }
                look_again = Instant::now() + pause;
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                Some(ended) = runs.join_next(), if !runs.is_empty() => {
                    if report(ended) {
                        look_again = Instant::now();
                    }
                }
                () = self.gateway.became_due(), if !full => look_again = Instant::now(),
                () = tokio::time::sleep_until(look_again), if !full => {}
            }
        }
        self.drain(runs).await;
    }

    /// Makes due what a clock that was ahead, of this process or another, has put too far into the future.
    async fn release_misdated(&self, last: &mut Option<Timestamp>) {
        let now = self.gateway.clock().now();
        if last.is_some_and(|last| !now.has_elapsed(RELEASE_EVERY, last)) {
            return;
        }
        *last = Some(now);
        let released = self.gateway.store().write(move |c| {
            Ok((
                schedule::release_misdated(c, now)?,
                actions::release_misdated(c, now)?,
            ))
        });
        match released.await {
            Ok((0, 0)) => {}
            Ok((syncs, actions)) => tracing::warn!(
                syncs,
                actions,
                "due times were further ahead than they can be: the clock was wrong when they were written, so they are due now"
            ),
            Err(error) => not_now(&error, "due times could not be checked yet"),
        }
    }

    async fn drain(&self, mut runs: JoinSet<bool>) {
        let drained = tokio::time::timeout(self.options.drain, async {
            while let Some(ended) = runs.join_next().await {
                let _: bool = report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                runs = runs.len(),
                "runs did not stop in time; they are taken up again when their leases end"
            );
            runs.shutdown().await;
        }
    }

    /// Claims up to `free` syncs. Returns them and when the next one is due.
    async fn claim(&self, free: usize, holder: &str) -> (Vec<Claimed>, Option<Timestamp>) {
        let (now, holder) = (self.gateway.clock().now(), holder.to_owned());
        let (until, limit) = (
            now.plus(self.options.lease),
            i64::try_from(free).unwrap_or(i64::MAX),
        );
        let claimed = self.gateway.store().write(move |c| {
            let claimed = schedule::claim(c, now, until, &holder, limit)?;
            Ok((claimed, schedule::next_due(c)?))
        });
        claimed.await.unwrap_or_else(|error| {
            not_now(&error, "no sync could be claimed; the worker tries again");
            (Vec::new(), None)
        })
    }

    /// Carries out a run while its lease is renewed, and cancels it if the lease is lost. Returns whether its sync is due again at once.
    fn hold(
        &self,
        claimed: Claimed,
        holder: String,
        stopping: CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (gateway, sync) = (self.gateway.clone(), claimed.sync.id);
        let lease = self.options.lease;
        let (every, bounds) = (lease / 3, self.options.lists);
        // Every line about the run says whose it is.
        let span = tracing::info_span!(
            "run",
            run = %claimed.run.id,
            sync = %claimed.sync.name,
            integration = %claimed.sync.integration,
            connection = %claimed.sync.connection_name,
        );
        let held = async move {
            let beat = async {
                // By the steady clock: that of the wall may be set back.
                let mut renewed = Instant::now();
                loop {
                    tokio::time::sleep(every).await;
                    let (now, by, began) = (gateway.clock().now(), holder.clone(), Instant::now());
                    match gateway
                        .store()
                        .write(move |c| schedule::heartbeat(c, sync, &by, now.plus(lease), now))
                        .await
                    {
                        Ok(true) => renewed = began,
                        Err(error) if renewed.elapsed() < lease => {
                            not_now(&error, "a lease could not be renewed yet");
                        }
                        Ok(false) | Err(_) => break,
                    }
                }
            };
            tokio::select! {
                at_once = run::carry_out(gateway.clone(), claimed, holder.clone(), bounds, stopping) => at_once,
                () = beat => {
                    tracing::warn!("the lease is lost: another worker goes on with the run");
                    false
                }
            }
        };
        held.instrument(span)
    }

    /// How long to wait before the next claim: until a sync is due, at most the time between two looks.
    fn pause(&self, next_due: Option<Timestamp>) -> Duration {
        let wait = next_due.map_or(Duration::MAX, |due| due.since(self.gateway.clock().now()));
        wait.max(GATHER).min(self.options.poll)
    }

    /// Takes old runs away, for as long as it is polled.
    async fn tidy(&self) -> std::convert::Infallible {
        let keep = self.options.keep_runs;
        loop {
            let now = self.gateway.clock().now();
            let before = now.minus(keep);
            let pruned = self
                .gateway
                .store()
                .write_long(move |c| runs::prune(c, before, KEEP_RUNS, TIDY_BATCH, now))
                .await;
            match pruned {
                Ok(pruned) if pruned == TIDY_BATCH => continue,
                Ok(_) => {}
                Err(error) => not_now(
                    &error,
                    "old runs were not deleted; the worker tries again in an hour",
                ),
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }
}

/// Logs what did not work and is tried again. The store logs when the database goes away, so its absence is no news here.
pub(crate) fn not_now(error: &StoreError, what: &'static str) {
    if matches!(error, StoreError::Unavailable(_)) {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::warn!(%error, "{what}");
    }
}

/// Logs a panic. Returns whether the run's sync is due again at once.
fn report(ended: Result<bool, tokio::task::JoinError>) -> bool {
    ended.unwrap_or_else(|error| {
        if error.is_panic() {
            tracing::error!(%error, "a run ended unexpectedly; it is taken up again when its lease ends");
        }
        false
    })
}
