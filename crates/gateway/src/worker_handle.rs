//! What a worker works with: the store, the providers, and what runs share with the use cases.

use std::sync::Arc;
use std::time::Duration;

use domain::{ActionJob, Clock, Connection, ProviderName, Sync, SyncName, Timestamp, Variant};
use registry::Provider;
use serde_json::Value as Json;
use store::Store;
use upstream::{Target, Upstream, VerifyError};

use crate::actions::Actions;
use crate::error::{ActionFailure, GatewayError};
use crate::health;
use crate::models::ModelTable;
use crate::services::Services;
use crate::syncs;

/// The services of a worker; cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle(pub(crate) Arc<Services>);

impl WorkerHandle {
    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Sends requests to providers.
    pub fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The provider of that name; `None` if its file is gone.
    pub fn provider(&self, name: &ProviderName) -> Option<&Arc<Provider>> {
        self.0.registry.get(name.as_str())
    }

    /// The table of a variant of a provider's sync; `None` if the provider has no such sync.
    pub async fn table(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Arc<ModelTable>>, GatewayError> {
        Ok(self.0.models.table(provider, sync, variant).await?)
    }

    /// Opens the stored credentials of a connection for requests to its provider.
    pub async fn target(&self, connection: &Connection) -> Result<Target, GatewayError> {
        self.0.target(connection).await
    }

    /// [`Self::target`] with the connection's sealed credentials in hand.
    pub async fn target_of(&self, connection: &Connection, sealed: &str) -> Result<Target, GatewayError> {
        self.0.target_of(connection, sealed).await
    }

    /// Verifies stored credentials after a request with them was refused, and returns the error of the verification. A refusal is stored as the
    /// connection's problem.
    pub async fn check_credentials(
        &self,
        connection: &Connection,
        target: &Target,
    ) -> Result<Result<(), VerifyError>, GatewayError> {
        health::check_credentials(&self.0, connection, target).await
    }

    /// Clears the problem with the connection's credentials after a request with them succeeded.
    pub async fn clear_problem(&self, connection: &Connection) -> Result<(), GatewayError> {
        health::clear_problem(&self.0, connection).await
    }

    /// Carries out an action that its holder has claimed and stores its result, while its lease of `length` is renewed; `None` if it has not
    /// ended.
    pub async fn carry_out(&self, row: ActionJob, length: Duration) -> Option<Result<Json, ActionFailure>> {
        Actions(Arc::clone(&self.0)).carry_out(row, length).await
    }

    /// When a sync next runs by its schedule: the file's, unless the connection has its own frequency. `None` while it is paused.
    pub fn next_due(&self, sync: &Sync, after: Timestamp) -> Option<Timestamp> {
        syncs::next_due(self.provider(&sync.provider)?, sync, after)
    }

    /// Waits until a use case of this process makes a sync due, so that a worker beside it need not wait for its next poll.
    pub async fn sync_became_due(&self) {
        self.0.sync_due.notified().await;
    }

    /// Waits until a use case of this process stores an action for the workers.
    pub async fn action_became_due(&self) {
        self.0.action_due.notified().await;
    }
}
