//! The gateway: starts the services, and gives out the use cases over them.

use std::sync::Arc;

use domain::Clock;
use registry::Registry;
use store::Store;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use upstream::Upstream;

use crate::actions::Actions;
use crate::api_keys::ApiKeys;
use crate::connections::Connections;
use crate::encryption::Encryption;
use crate::encryption_keys::{EncryptionKeys, KeySource};
use crate::environments::Environments;
use crate::error::GatewayError;
use crate::integrations::Integrations;
use crate::models::Models;
use crate::providers::Providers;
use crate::proxy::Proxy;
use crate::records::Records;
use crate::services::{Caches, Services};
use crate::sessions::Sessions;
use crate::syncs::{self, Syncs};
use crate::worker_handle::WorkerHandle;

/// The use cases over one store; cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Services>);

/// The parts of a gateway.
pub struct GatewayParts {
    /// The database, migrated.
    pub store: Store,
    /// The providers.
    pub registry: Registry,
    /// Sends requests to them.
    pub upstream: Upstream,
    /// The keys that seal credentials.
    pub keys: KeySource,
    /// The time.
    pub clock: Clock,
}

impl Gateway {
    /// Checks that the encryption keys fit the database, makes the tables of all models, and gives connections the syncs that their
    /// provider's file has gained.
    pub async fn start(parts: GatewayParts) -> Result<Self, GatewayError> {
        let GatewayParts {
            store,
            registry,
            upstream,
            keys,
            clock,
        } = parts;
        let services = Services {
            keys: EncryptionKeys::open(keys, store.clone(), clock.clone()).await?,
            models: Arc::new(Models::prepare(&registry, store.clone()).await?),
            store,
            registry: Arc::new(registry),
            upstream,
            clock,
            caches: Caches::new(),
            sync_due: Notify::new(),
            action_due: Notify::new(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        };
        Encryption(&services).seal_clear_fields().await?;
        syncs::add_missing_syncs(&services).await?;
        Ok(Self(Arc::new(services)))
    }

    /// API keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(&self.0)
    }

    /// Environments.
    pub fn environments(&self) -> Environments<'_> {
        Environments(&self.0)
    }

    /// Providers.
    pub fn providers(&self) -> Providers<'_> {
        Providers(&self.0)
    }

    /// Integrations.
    pub fn integrations(&self) -> Integrations<'_> {
        Integrations(&self.0)
    }

    /// Connections.
    pub fn connections(&self) -> Connections<'_> {
        Connections(&self.0)
    }

    /// Connect sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(&self.0)
    }

    /// Requests of apps to providers.
    pub fn proxy(&self) -> Proxy {
        Proxy(Arc::clone(&self.0))
    }

    /// Syncs and their runs.
    pub fn syncs(&self) -> Syncs<'_> {
        Syncs(&self.0)
    }

    /// Synced records.
    pub fn records(&self) -> Records<'_> {
        Records(&self.0)
    }

    /// Actions.
    pub fn actions(&self) -> Actions {
        Actions(Arc::clone(&self.0))
    }

    /// Encryption keys.
    pub fn encryption(&self) -> Encryption<'_> {
        Encryption(&self.0)
    }

    /// Returns the services of a worker.
    pub fn worker_handle(&self) -> WorkerHandle {
        WorkerHandle(Arc::clone(&self.0))
    }

    /// Checks that the database responds and takes writes, and returns how many migrations are pending.
    pub async fn check_database(&self) -> Result<usize, GatewayError> {
        self.0.store.ping().await?;
        Ok(self.0.store.pending_migrations().await?.len())
    }

    /// Waits for work that outlives its request, and closes the store. Use cases fail after that.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.store.close().await;
    }
}
