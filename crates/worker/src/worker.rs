//! The worker of a process: it runs syncs and stored actions that are due, and deletes old runs and actions.

use std::sync::Arc;
use std::time::Duration;

use domain::{ActionJob, Endpoint, Id, IdKind, IncomingEvent, StoredSubscription, Sync};
use gateway::{Gateway, webhooks};
use store::incoming::LeasedIncoming;
use store::schedule::{self, Claimed};
use store::{Lease, actions, endpoints, runs, subscriptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::options::{KEEP_RUNS, WorkerOptions};
use crate::queue::{self, Claim, Work};
use crate::run;
use crate::{deliveries, incoming, publisher};

/// How long results of actions and their idempotency keys are kept, as in Nango.
const KEEP_ACTIONS: Duration = Duration::from_hours(5 * 24);
/// How often old actions and runs are deleted.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// How many webhook subscriptions are renewed or ended at a time.
const SUBSCRIPTIONS: usize = 4;
/// How many old runs one transaction deletes, so that other transactions get their turn.
const TIDY_BATCH: i64 = 2_000;

/// A worker of this process.
pub struct Worker {
    gateway: Arc<Gateway>,
    options: WorkerOptions,
    id: String,
}

enum WorkerKind {}
impl IdKind for WorkerKind {
    const PREFIX: &'static str = "worker";
}

impl Worker {
    /// Creates a worker that uses `gateway`.
    pub fn new(gateway: Arc<Gateway>, options: WorkerOptions) -> Self {
        let id = Id::<WorkerKind>::new(gateway.clock.now()).to_string();
        Self { gateway, options, id }
    }

    /// Works until `stopping` is cancelled. Then claims nothing more, lets every run stop between two pages and every action end, and
    /// returns.
    pub async fn run(self, stopping: CancellationToken) {
        tracing::info!(worker.id = %self.id, "the worker begins");
        let Self { gateway, options, id } = &self;
        let working = async {
            tokio::join!(
                queue::run(
                    gateway,
                    SyncWork(&self),
                    id,
                    options.concurrency,
                    options,
                    &stopping
                ),
                queue::run(
                    gateway,
                    ActionWork(&self),
                    id,
                    options.actions,
                    options,
                    &stopping
                ),
                queue::run(
                    gateway,
                    DeliveryWork {
                        worker: &self,
                        due: tokio::sync::Mutex::new(gateway.delivery_due.subscribe()),
                    },
                    id,
                    options.endpoints,
                    options,
                    &stopping
                ),
                queue::run(
                    gateway,
                    IncomingWork {
                        worker: &self,
                        reads: Arc::default(),
                    },
                    id,
                    options.incoming,
                    options,
                    &stopping
                ),
                queue::run(
                    gateway,
                    SubscriptionWork(&self),
                    id,
                    SUBSCRIPTIONS,
                    options,
                    &stopping
                ),
                publisher::run(gateway, options, &stopping)
            )
        };
        tokio::select! {
            _ = working => {}
            never = self.tidy() => match never {},
        }
        tracing::info!(worker.id = %self.id, "the worker ends");
    }

    /// Deletes old actions and runs, until it is dropped.
    async fn tidy(&self) -> std::convert::Infallible {
        let store = &self.gateway.store;
        loop {
            let now = self.gateway.clock.now();
            let pruned = store.write(move |c| actions::prune(c, now.minus(KEEP_ACTIONS), now));
            if let Err(error) = pruned.await {
                error.log_retry("old actions were not deleted; the worker tries again in an hour");
            }
            let before = now.minus(self.options.keep_runs);
            let prune = || store.write_long(move |c| runs::prune(c, before, KEEP_RUNS, TIDY_BATCH, now));
            let mut pruned = prune().await;
            while matches!(pruned, Ok(TIDY_BATCH)) {
                pruned = prune().await;
            }
            if let Err(error) = pruned {
                error.log_retry("old runs were not deleted; the worker tries again in an hour");
            }
            let before = now.minus(self.options.keep_events);
            let prune = || store.write_long(move |c| endpoints::prune_events(c, before, TIDY_BATCH, now));
            let mut pruned = prune().await;
            while matches!(pruned, Ok(TIDY_BATCH)) {
                pruned = prune().await;
            }
            if let Err(error) = pruned {
                error.log_retry("old events were not deleted; the worker tries again in an hour");
            }
            let prune = || store.write_long(move |c| store::incoming::prune(c, before, TIDY_BATCH));
            let mut pruned = prune().await;
            while matches!(pruned, Ok(TIDY_BATCH)) {
                pruned = prune().await;
            }
            if let Err(error) = pruned {
                error.log_retry("old incoming events were not deleted; the worker tries again in an hour");
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }
}

/// The runs of syncs.
struct SyncWork<'a>(&'a Worker);

impl Work for SyncWork<'_> {
    type Stored = Sync;
    type Claimed = Claimed;
    const NAME: &'static str = "syncs";
    const CLAIM: Claim<Claimed> = schedule::claim;

    async fn became_due(&self) {
        self.0.gateway.sync_due.notified().await;
    }

    /// Does a run, and cuts it off if its lease is lost.
    fn carry_out(
        &self,
        claimed: Claimed,
        holder: &str,
        stopping: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (gateway, stopping) = (self.0.gateway.clone(), stopping.clone());
        let (length, bounds) = (self.0.options.lease, self.0.options.lists);
        let lease = Lease::new(claimed.sync.id, holder);
        // Every line about the run names it.
        let span = tracing::info_span!(
            "run",
            run = %claimed.run.id,
            sync = %claimed.sync.name,
            integration = %claimed.sync.integration,
            connection = %claimed.sync.connection_name,
        );
        let leased = async move {
            tokio::select! {
                at_once = run::run_sync(gateway.clone(), claimed, lease.clone(), bounds, stopping) => at_once,
                () = lease.clone().keep(&gateway.store, &gateway.clock, length) => {
                    tracing::warn!("the lease is lost: another worker continues the run");
                    false
                }
            }
        };
        leased.instrument(span)
    }
}

/// Stored actions.
struct ActionWork<'a>(&'a Worker);

impl Work for ActionWork<'_> {
    type Stored = ActionJob;
    type Claimed = ActionJob;
    const NAME: &'static str = "actions";
    const CLAIM: Claim<ActionJob> = actions::claim;

    async fn became_due(&self) {
        self.0.gateway.action_due.notified().await;
    }

    fn carry_out(
        &self,
        claimed: ActionJob,
        _: &str,
        _: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (gateway, length) = (self.0.gateway.clone(), self.0.options.lease);
        async move {
            drop(gateway::actions::carry_out(&gateway, claimed, length).await);
            // Others of its connection may have waited for it.
            true
        }
    }
}

/// The deliveries of webhook endpoints.
struct DeliveryWork<'a> {
    worker: &'a Worker,
    due: tokio::sync::Mutex<watch::Receiver<()>>,
}

impl Work for DeliveryWork<'_> {
    type Stored = Endpoint;
    type Claimed = Endpoint;
    const NAME: &'static str = "deliveries";
    const CLAIM: Claim<Endpoint> = endpoints::claim;

    async fn became_due(&self) {
        // The sender lives as long as the gateway.
        drop(self.due.lock().await.changed().await);
    }

    fn carry_out(
        &self,
        claimed: Endpoint,
        holder: &str,
        stopping: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (gateway, stopping) = (self.worker.gateway.clone(), stopping.clone());
        let (options, lease) = (self.worker.options.clone(), Lease::new(claimed.number, holder));
        async move {
            deliveries::deliver(gateway, claimed, lease, options, stopping).await;
            false
        }
    }
}

/// Webhook subscriptions that are due to be renewed or ended.
struct SubscriptionWork<'a>(&'a Worker);

impl Work for SubscriptionWork<'_> {
    type Stored = StoredSubscription;
    type Claimed = StoredSubscription;
    const NAME: &'static str = "subscriptions";
    const CLAIM: Claim<StoredSubscription> = subscriptions::claim;

    async fn became_due(&self) {
        self.0.gateway.subscription_due.notified().await;
    }

    fn carry_out(
        &self,
        claimed: StoredSubscription,
        holder: &str,
        _: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (gateway, length) = (self.0.gateway.clone(), self.0.options.lease);
        let lease = Lease::new(claimed.number, holder);
        async move {
            tokio::select! {
                () = webhooks::carry_on(&gateway, claimed, &lease) => {}
                () = lease.clone().keep(&gateway.store, &gateway.clock, length) => {}
            }
            false
        }
    }
}

/// The events that providers sent.
struct IncomingWork<'a> {
    worker: &'a Worker,
    reads: Arc<incoming::Reads>,
}

impl Work for IncomingWork<'_> {
    type Stored = IncomingEvent;
    type Claimed = Vec<LeasedIncoming>;
    const NAME: &'static str = "incoming events";
    const CLAIM: Claim<Vec<LeasedIncoming>> = store::incoming::claim;

    async fn became_due(&self) {
        self.worker.gateway.incoming_due.notified().await;
    }

    fn carry_out(
        &self,
        claimed: Vec<LeasedIncoming>,
        holder: &str,
        _: &CancellationToken,
    ) -> impl Future<Output = bool> + Send + 'static {
        let group = incoming::Group {
            gateway: Arc::clone(&self.worker.gateway),
            reads: Arc::clone(&self.reads),
            holder: holder.to_owned(),
            events: Arc::new(claimed),
        };
        let length = self.worker.options.lease;
        async move {
            incoming::process(group, length).await;
            // Others of its connection may have waited for it.
            true
        }
    }
}
