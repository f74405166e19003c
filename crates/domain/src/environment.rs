//! Environments, which are the tenants, and their API keys.

use crate::{EnvironmentName, Id, IdKind, RowId, Timestamp};

/// An environment's row number.
pub type EnvironmentId = RowId<Environment>;
/// An API key's public id, `key_…`; not the key itself.
pub type ApiKeyId = Id<ApiKey>;

/// An environment: a tenant that connections, integrations and keys belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its row number.
    pub id: EnvironmentId,
    /// Its name, unique.
    pub name: EnvironmentName,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An API key as it is stored: without the key itself, of which only a hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The environment that it gives access to.
    pub environment: EnvironmentId,
    /// That environment's name.
    pub environment_name: EnvironmentName,
    /// Its public id.
    pub id: ApiKeyId,
    /// Its display name.
    pub name: String,
    /// The first characters of the key, by which people recognise it.
    pub prefix: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl IdKind for ApiKey {
    const PREFIX: &'static str = "key";
}
