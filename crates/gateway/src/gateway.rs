//! What all use cases share, made once at start.

use std::sync::Arc;

use domain::{Clock, IntegrationKey, ProviderName, StoredIntegration, SyncName, Variant};
use registry::{Provider, Registry};
use store::Store;
use tokio::sync::Notify;
use upstream::Upstream;

use crate::actions::Actions;
use crate::brief::Brief;
use crate::connect_sessions::Sessions;
use crate::connections::Connections;
use crate::credentials::Credentials;
use crate::environments::Environments;
use crate::health::Health;
use crate::integrations::Integrations;
use crate::key_ring::{CurrentKey, KeySource};
use crate::keys::{self, Caller, Keys};
use crate::models::{ModelTable, Models};
use crate::providers::Providers;
use crate::proxy::{Proxy, Recent};
use crate::records::Records;
use crate::syncs::Syncs;
use crate::{GatewayError, Rotation};

/// The use cases over one store; cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

/// What a gateway is made of.
pub struct Parts {
    /// The database, migrated.
    pub store: Store,
    /// The providers.
    pub registry: Registry,
    /// The way to them.
    pub upstream: Upstream,
    /// The keys that seal credentials.
    pub keys: KeySource,
    /// The time.
    pub clock: Clock,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) upstream: Upstream,
    pub(crate) credentials: Credentials,
    pub(crate) models: Arc<Models>,
    pub(crate) clock: Clock,
    pub(crate) due: Notify,
    pub(crate) recent: Recent,
    pub(crate) callers: Brief<String, Caller>,
    pub(crate) action_due: Notify,
}

impl Gateway {
    /// Checks that the key fits the database, makes the tables of all models, and gives connections that were there before a
    /// sync was added to their provider's file that sync.
    pub async fn start(parts: Parts) -> Result<Self, GatewayError> {
        let Parts {
            store,
            registry,
            upstream,
            keys,
            clock,
        } = parts;
        let credentials = Credentials::open(keys, &store, &clock).await?;
        let models = Models::prepare(&registry, &store).await?;
        let inner = Inner {
            store,
            registry: Arc::new(registry),
            upstream,
            credentials,
            models: Arc::new(models),
            clock,
            due: Notify::new(),
            recent: Recent::new(),
            callers: Brief::new(keys::CACHED),
            action_due: Notify::new(),
        };
        inner.seal_secret_config().await?;
        inner.add_missing_syncs().await?;
        Ok(Self(Arc::new(inner)))
    }

    /// API keys.
    pub fn keys(&self) -> Keys<'_> {
        Keys(&self.0)
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

    /// Calls of apps to providers.
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
    pub fn actions(&self) -> Actions<'_> {
        Actions(self)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The database, for the worker.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The providers.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The way to the providers.
    pub fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }

    /// The tables of all models, those of base variants.
    pub fn models(&self) -> &Models {
        &self.0.models
    }

    /// The table that a variant of a provider's sync fills; `None` if the provider has no such sync.
    pub async fn table(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Arc<ModelTable>>, GatewayError> {
        self.0.table(provider, sync, variant).await
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Resolves when a use case of this process made something due, so that a worker beside it need not wait for its next look.
    pub async fn became_due(&self) {
        self.0.due.notified().await;
    }

    /// Opens the stored credentials of a connection for calls to its provider.
    pub async fn target(&self, connection: &domain::Connection) -> Result<upstream::Target, GatewayError> {
        self.0.target(connection).await
    }

    /// [`Gateway::target`] with the connection's sealed credentials in hand.
    pub async fn target_of(
        &self,
        connection: &domain::Connection,
        sealed: &str,
    ) -> Result<upstream::Target, GatewayError> {
        self.0.target_of(connection, sealed).await
    }

    /// Tries the stored credentials of a connection once, after its provider refused them; see [`Health`].
    pub async fn check_health(
        &self,
        connection: &domain::Connection,
        target: &upstream::Target,
    ) -> Result<Health, GatewayError> {
        self.0.check_health(connection, target).await
    }

    /// Notes that a call with the connection's credentials succeeded, which clears what was noted against them.
    pub async fn note_success(&self, connection: &domain::Connection) -> Result<(), GatewayError> {
        self.0.note_success(connection).await
    }

    /// Puts a new key into the key file, to seal with from now on. [`Gateway::reseal`] follows it.
    ///
    /// Where an earlier rotation was cut off, its key stays the current one; so does the first of keys from configuration.
    pub async fn rotate_key(&self) -> Result<CurrentKey, GatewayError> {
        self.0.credentials.rotate_key(&self.0.store, &self.0.clock).await
    }

    /// Seals with the current key every credential, and every secret field of an integration, that is not; may be stopped and repeated at any time.
    ///
    /// `progress` is told how many were sealed so far.
    pub async fn reseal(&self, progress: impl FnMut(Rotation)) -> Result<Rotation, GatewayError> {
        self.0
            .credentials
            .reseal(&self.0.store, &self.0.clock, progress)
            .await
    }
}

/// What an environment calls a provider, found by its key.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Its key.
    pub key: IntegrationKey,
    /// Its provider.
    pub provider: Arc<Provider>,
    /// Its row; `None` while nothing was ever connected or set under a provider's own name, which every environment may use.
    pub row: Option<StoredIntegration>,
}

impl Inner {
    /// The provider of that name, as a row holds it.
    pub(crate) fn provider(&self, name: &ProviderName) -> Result<&Arc<Provider>, GatewayError> {
        self.registry
            .get(name.as_str())
            .ok_or_else(|| GatewayError::UnknownIntegration(name.to_string()))
    }
}
