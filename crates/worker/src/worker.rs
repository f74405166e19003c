//! The loop that claims what is due and carries it out, side by side, until it is told to stop.

use std::time::Duration;

use domain::{Id, IdKind, Timestamp};
use gateway::Gateway;
use store::runs;
use store::schedule::{self, Claimed};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actions::ActionLoop;
use crate::run;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Runs side by side.
    pub concurrency: usize,
    /// Actions side by side.
    pub actions: usize,
    /// After so long without a sign of life of its holder, a sync goes to another worker.
    pub lease: Duration,
    /// How often to look for what other processes made due.
    pub poll: Duration,
    /// How long runs may take to come to a stop between two pages once the worker is told to.
    pub drain: Duration,
    /// How long ended runs are kept; the last hundred of each sync stay.
    pub keep_runs: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            actions: 32,
            lease: Duration::from_mins(1),
            poll: Duration::from_secs(1),
            drain: Duration::from_secs(20),
            keep_runs: Duration::from_hours(30 * 24),
        }
    }
}

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

/// Ended runs of a sync that are kept whatever their age.
const KEEP_RUNS: i64 = 100;
/// How often old runs are looked for, in microseconds.
const TIDY_EVERY: i64 = 3_600 * Timestamp::SECOND;

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
        let actions = ActionLoop {
            gateway: self.gateway.clone(),
            options: self.options.clone(),
            id: self.id.clone(),
        };
        tokio::join!(self.run_syncs(stopping.clone()), actions.run(stopping));
        tracing::info!(worker.id = %self.id, "the worker ends");
    }

    async fn run_syncs(&self, stopping: CancellationToken) {
        let mut runs = JoinSet::new();
        let mut tidied: Option<Timestamp> = None;
        while !stopping.is_cancelled() {
            let free = self.options.concurrency.saturating_sub(runs.len());
            for claimed in self.claim(free).await {
                runs.spawn(self.hold(claimed, stopping.clone()));
            }
            self.tidy(&mut tidied).await;
            let full = runs.len() >= self.options.concurrency;
            let pause = self.pause().await;
            tokio::select! {
                () = stopping.cancelled() => {}
                Some(ended) = runs.join_next(), if !runs.is_empty() => report(ended),
                () = self.gateway.became_due(), if !full => {}
                () = tokio::time::sleep(pause), if !full => {}
            }
        }
        self.drain(runs).await;
    }

    async fn drain(&self, mut runs: JoinSet<()>) {
        let drained = tokio::time::timeout(self.options.drain, async {
            while let Some(ended) = runs.join_next().await {
                report(ended);
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

    async fn claim(&self, free: usize) -> Vec<Claimed> {
        if free == 0 {
            return Vec::new();
        }
        let (now, id) = (self.gateway.clock().now(), self.id.clone());
        let (until, limit) = (
            now.plus(self.lease_micros()),
            i64::try_from(free).unwrap_or(i64::MAX),
        );
        let claimed = self
            .gateway
            .store()
            .write(move |c| schedule::claim(c, now, until, &id, limit))
            .await;
        claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "nothing can be claimed; the next try follows");
            Vec::new()
        })
    }

    fn lease_micros(&self) -> i64 {
        i64::try_from(self.options.lease.as_micros()).unwrap_or(i64::MAX / 4)
    }

    /// Carries out a run while its lease is kept alive; ends it in its tracks once the lease is lost.
    fn hold(
        &self,
        claimed: Claimed,
        stopping: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (gateway, id, sync) = (self.gateway.clone(), self.id.clone(), claimed.sync.id);
        let (lease, every) = (self.lease_micros(), self.options.lease / 3);
        async move {
            let beat = async {
                let mut alive_until = gateway.clock().now().plus(lease);
                loop {
                    tokio::time::sleep(every).await;
                    let (now, worker) = (gateway.clock().now(), id.clone());
                    let until = now.plus(lease);
                    match gateway
                        .store()
                        .write(move |c| schedule::heartbeat(c, sync, &worker, until))
                        .await
                    {
                        Ok(true) => alive_until = until,
                        Err(error) if now < alive_until => {
                            tracing::warn!(%error, "a lease could not be renewed yet");
                        }
                        Ok(false) | Err(_) => break,
                    }
                }
            };
            tokio::select! {
                () = run::carry_out(gateway.clone(), claimed, id.clone(), stopping) => {}
                () = beat => tracing::warn!(sync.id = %sync, "a lease is lost: its run goes on elsewhere"),
            }
        }
    }

    /// Until the next sync is due, but not longer than the time between two looks.
    async fn pause(&self) -> Duration {
        let next = self.gateway.store().read(schedule::next_due).await.ok().flatten();
        let wait = next.map_or(i64::MAX, |due| due.since(self.gateway.clock().now()));
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or_default());
        // What is due and cannot be claimed (the database is away) is not asked for without a rest.
        wait.clamp(Duration::from_millis(20), self.options.poll)
    }

    async fn tidy(&self, last: &mut Option<Timestamp>) {
        let now = self.gateway.clock().now();
        if last.is_some_and(|last| now.since(last) < TIDY_EVERY) {
            return;
        }
        *last = Some(now);
        let before = now.plus(-i64::try_from(self.options.keep_runs.as_micros()).unwrap_or(i64::MAX / 4));
        if let Err(error) = self
            .gateway
            .store()
            .write(move |c| runs::prune(c, before, KEEP_RUNS))
            .await
        {
            tracing::warn!(%error, "old runs were not taken away");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a run ended unexpectedly; it is taken up again when its lease ends");
    }
}
