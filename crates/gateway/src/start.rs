//! Starts the gateway.

use std::sync::Arc;

use domain::Clock;
use registry::Registry;
use store::Store;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;
use upstream::Upstream;

use crate::encryption;
use crate::encryption_keys::{EncryptionKeys, KeySource};
use crate::error::Result;
use crate::gateway::{Caches, Gateway};
use crate::inbox::Inbox;
use crate::models::Models;
use crate::refusals::Refusals;
use crate::syncs;

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
    /// The URL under which providers reach the API, without a slash at its end, if it is known.
    pub public_url: Option<String>,
}

impl Gateway {
    /// Checks that the encryption keys fit the database, makes the tables of all models, and gives connections the syncs that their
    /// provider's file has gained.
    pub async fn start(parts: GatewayParts) -> Result<Arc<Self>> {
        let gateway = Self {
            keys: EncryptionKeys::open(parts.keys, parts.store.clone(), parts.clock.clone()).await?,
            models: Arc::new(Models::prepare(&parts.registry, parts.store.clone()).await?),
            store: parts.store,
            registry: Arc::new(parts.registry),
            upstream: parts.upstream,
            clock: parts.clock,
            caches: Caches::new(),
            sync_due: Notify::new(),
            action_due: Notify::new(),
            event_written: Notify::new(),
            delivery_due: watch::Sender::new(()),
            incoming_due: Notify::new(),
            subscription_due: Notify::new(),
            public_url: parts.public_url,
            inbox: Arc::new(Inbox::default()),
            refusals: Refusals::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        };
        encryption::seal_clear_fields(&gateway).await?;
        syncs::add_missing_syncs(&gateway).await?;
        Ok(Arc::new(gateway))
    }
}
