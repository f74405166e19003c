//! The state that all use cases share, and code that several of them need. This module imports no use case.

mod receivers;
mod resolve;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Clock, Connection, ConnectionId, EnvironmentId, IntegrationKey, ProviderName, SyncName, Variant,
};
use registry::{Provider, Registry};
use store::Store;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use upstream::{Target, Upstream};

pub use self::receivers::WebhookAddress;
pub(crate) use self::receivers::{Receiver, Verifier};
pub use self::resolve::Names;
pub(crate) use self::resolve::ResolvedConnection;
pub use self::resolve::ResolvedIntegration;
pub(crate) use self::targets::template_values;
use crate::caller::Caller;
use crate::encryption_keys::EncryptionKeys;
use crate::error::{GatewayError, Result};
use crate::inbox::Inbox;
use crate::models::{ModelTable, Models};
use crate::refusals::Refusals;
use crate::ttl_cache::TtlCache;

/// What the use cases and the worker work with, made once at start and shared in an [`Arc`].
pub struct Gateway {
    /// The database.
    pub store: Store,
    /// The providers.
    pub registry: Arc<Registry>,
    /// Sends requests to them.
    pub upstream: Upstream,
    /// The time.
    pub clock: Clock,
    /// Wakes this process's worker when a use case makes a sync due, so that it need not wait for its next poll.
    pub sync_due: Notify,
    /// Wakes this process's worker when a use case stores an action for it.
    pub action_due: Notify,
    /// Wakes this process's worker when an event was written, so that it is published without a wait.
    pub event_written: Notify,
    /// Wakes this process's worker, and the tasks that deliver, when an event was published or a delivery was made due.
    pub delivery_due: watch::Sender<()>,
    /// Wakes this process's worker when an event of a provider was stored.
    pub incoming_due: Notify,
    /// Wakes this process's worker when a webhook subscription was made due.
    pub subscription_due: Notify,
    /// The URL under which providers reach the API, without a slash at its end; `None` if it is not configured.
    pub public_url: Option<String>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) refusals: Refusals,
    pub(crate) keys: EncryptionKeys,
    pub(crate) models: Arc<Models>,
    pub(crate) caches: Caches,
    /// Work that continues after its request has ended. Shutdown waits for it.
    pub(crate) tasks: TaskTracker,
    /// The runtime of that work. The runtimes of the API's threads end with the API.
    pub(crate) runtime: Handle,
}

/// How long an API key is accepted without another read of the database. A key that another process revokes is accepted for so long.
const CALLER_TTL: Duration = Duration::from_secs(2);
/// How long opened credentials serve further requests of the proxy. What another process stores or deletes counts after that.
const OPENED_TTL: Duration = Duration::from_secs(1);
/// How soon a connection's credentials are checked again after the proxy met a refusal that was not confirmed.
const CHECKED_TTL: Duration = Duration::from_secs(10);
/// How long the secrets behind a webhook address serve further requests. What another process stores or deletes counts after that.
const RECEIVER_TTL: Duration = Duration::from_secs(5);

/// The caches between requests. A change by this process clears a cache at once.
pub(crate) struct Caches {
    /// Callers, by the hash of their API key.
    pub(crate) callers: TtlCache<String, Caller>,
    /// Connections with open credentials, by environment and the names that the caller wrote.
    pub(crate) opened: TtlCache<(EnvironmentId, String, String), Arc<OpenedConnection>>,
    /// Connections whose credentials are being checked, or were just now.
    pub(crate) checked: TtlCache<ConnectionId, ()>,
    /// What is behind webhook addresses, with open secrets.
    pub(crate) receivers: TtlCache<WebhookAddress, Arc<Receiver>>,
    /// The connections that have a value in their configuration, with open secrets.
    pub(crate) verifiers: TtlCache<(EnvironmentId, IntegrationKey, String), Arc<Vec<Verifier>>>,
}

/// A connection with open credentials.
pub(crate) struct OpenedConnection {
    pub(crate) connection: Connection,
    pub(crate) target: Target,
}

impl Caches {
    pub(crate) fn new() -> Self {
        Self {
            callers: TtlCache::new(CALLER_TTL),
            opened: TtlCache::new(OPENED_TTL),
            checked: TtlCache::new(CHECKED_TTL),
            receivers: TtlCache::new(RECEIVER_TTL),
            verifiers: TtlCache::new(RECEIVER_TTL),
        }
    }

    /// Forgets open secrets, because some have changed.
    pub(crate) fn forget_secrets(&self) {
        self.opened.clear();
        self.receivers.clear();
        self.verifiers.clear();
    }
}

impl Gateway {
    /// Checks that the database responds and takes writes, and returns how many migrations are pending.
    pub async fn check_database(&self) -> Result<usize> {
        self.store.ping().await?;
        Ok(self.store.pending_migrations().await?.len())
    }

    /// Waits for work that outlives its request, and closes the store. Use cases fail after that.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }

    /// Starts work that goes on when its request has ended. Shutdown waits for it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn_on(work, &self.runtime)
    }

    /// The provider of that name, as a connection or an integration stores it.
    pub(crate) fn provider(&self, name: &ProviderName) -> Result<&Arc<Provider>> {
        self.registry
            .get(name.as_str())
            .ok_or_else(|| GatewayError::UnknownIntegration(name.to_string()))
    }

    /// The table of a variant of a provider's sync; `None` if the provider has no such sync.
    pub async fn table(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Arc<ModelTable>>> {
        Ok(self.models.table(provider, sync, variant).await?)
    }
}
