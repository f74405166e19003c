//! Integrations: an environment's own settings for a provider.

use std::collections::BTreeMap;

use crate::{EnvironmentId, IntegrationKey, ProviderName, RowId, Timestamp};

/// An integration's row number; apps know an integration by its [`IntegrationKey`].
pub type IntegrationId = RowId<StoredIntegration>;

/// An integration as it is stored. It is optional: an environment may use a provider under the provider's own name without storing an
/// integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIntegration {
    /// Its row number.
    pub id: IntegrationId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// The app's name for it; unique within the environment.
    pub key: IntegrationKey,
    /// The provider.
    pub provider: ProviderName,
    /// The display name; `None` means the provider's.
    pub display_name: Option<String>,
    /// Whether to forward the provider's webhooks to the app.
    pub forward_webhooks: bool,
    /// The values for `${integrationConfig.…}`, without the secret ones.
    pub config: BTreeMap<String, String>,
    /// The secret values for `${integrationConfig.…}`, sealed together.
    pub sealed_config: Option<String>,
    /// The app's own values.
    pub custom: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
