//! The loop that claims stored actions and carries them out, many side by side, until it is told to stop.

use std::time::Duration;

use domain::{ActionJob, Timestamp};
use gateway::Gateway;
use store::actions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::WorkerOptions;
use crate::worker::not_now;

/// Actions of one connection under way at once, so that its backlog leaves room for others.
const EACH: i64 = 8;
/// How long results are kept, and keys with them. As in Nango.
const KEEP: Duration = Duration::from_hours(5 * 24);
/// How often old results are looked for.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// Carries out actions for one worker.
pub(crate) struct ActionLoop {
    pub(crate) gateway: Gateway,
    pub(crate) options: WorkerOptions,
    pub(crate) id: String,
}

impl ActionLoop {
    /// Works until `stopping` is cancelled; then claims nothing more and lets those under way come to their end.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut tidied: Option<Timestamp> = None;
        while !stopping.is_cancelled() {
            let free = self.options.actions.saturating_sub(under_way.len());
            for row in self.claim(free).await {
                let (gateway, id, lease) = (self.gateway.clone(), self.id.clone(), self.options.lease);
                under_way.spawn(async move { drop(gateway.carry_out(row, &id, lease).await) });
            }
            self.tidy(&mut tidied).await;
            let full = under_way.len() >= self.options.actions;
            let pause = self.pause().await;
            tokio::select! {
                () = stopping.cancelled() => {}
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => report(ended),
                () = self.gateway.action_became_due(), if !full => {}
                () = tokio::time::sleep(pause), if !full => {}
            }
        }
        let drained = tokio::time::timeout(self.options.drain, async {
            while let Some(ended) = under_way.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                actions = under_way.len(),
                "actions did not end in time; what became of them is looked at when their leases end"
            );
            under_way.shutdown().await;
        }
    }

    async fn claim(&self, free: usize) -> Vec<ActionJob> {
        if free == 0 {
            return Vec::new();
        }
        let (now, id) = (self.gateway.clock().now(), self.id.clone());
        let lease = self.options.lease;
        let limit = i64::try_from(free).unwrap_or(i64::MAX);
        let claimed = self
            .gateway
            .store()
            .write(move |c| actions::claim(c, now, now.plus(lease), &id, limit, EACH))
            .await;
        claimed.unwrap_or_else(|error| {
            not_now(&error, "no action could be claimed; the worker tries again");
            Vec::new()
        })
    }

    /// Until the next action is due. What is due already and was not claimed waits for others of its connection: of those in this
    /// process the loop learns by itself, for those elsewhere it looks again.
    async fn pause(&self) -> Duration {
        let next = self.gateway.store().read(actions::next_due).await.ok().flatten();
        let now = self.gateway.clock().now();
        next.map(|due| due.since(now))
            .filter(|wait| !wait.is_zero())
            .map_or(self.options.poll, |wait| wait.min(self.options.poll))
    }

    async fn tidy(&self, last: &mut Option<Timestamp>) {
        let now = self.gateway.clock().now();
        if last.is_some_and(|last| !now.has_elapsed(TIDY_EVERY, last)) {
            return;
        }
        *last = Some(now);
        let old = self
            .gateway
            .store()
            .write(move |c| actions::prune(c, now.minus(KEEP), now))
            .await;
        if let Err(error) = old {
            not_now(
                &error,
                "old results of actions were not deleted; the worker tries again in an hour",
            );
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an action ended unexpectedly; what became of it is looked at when its lease ends");
    }
}
