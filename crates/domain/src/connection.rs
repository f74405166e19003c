//! Connections: an environment's access to one account of a provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{ConnectionName, EnvironmentId, IntegrationKey, ProviderName, RowId, Timestamp};

/// A connection's row number; apps know a connection by its [`ConnectionName`].
pub type ConnectionId = RowId<Connection>;

/// A connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its row number.
    pub id: ConnectionId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// The app's name for it; unique within the environment and integration.
    pub name: ConnectionName,
    /// The integration.
    pub integration: IntegrationKey,
    /// The provider.
    pub provider: ProviderName,
    /// Further configuration, not secret.
    pub connection_config: Map<String, Json>,
    /// The app's own metadata.
    pub metadata: Option<Map<String, Json>>,
    /// The app's tags.
    pub tags: BTreeMap<String, String>,
    /// The app's user; an object with at least an `id`.
    pub end_user: Option<Json>,
    /// The connection's problem, if any.
    pub problem: Option<Problem>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its credentials were last read.
    pub last_fetched_at: Option<Timestamp>,
    /// The URL that receives its events, in place of the environment's.
    pub webhook_url_override: Option<String>,
}

/// A problem of a connection or a sync. Stored as JSON, so field names never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind, a stable word such as `auth`.
    pub kind: String,
    /// The provider's error code.
    pub code: Option<String>,
    /// The message.
    pub message: String,
    /// When it was first seen.
    pub at: Timestamp,
}

/// Selects the connections to list. An empty or `None` field selects all.
#[derive(Debug, Clone)]
pub struct ConnectionFilter {
    /// Connections with exactly this name.
    pub name: Option<ConnectionName>,
    /// Connections whose name, or whose user's id, email or display name, contains this text; case is ignored.
    pub search: Option<String>,
    /// Connections of any of these integrations.
    pub integrations: Vec<IntegrationKey>,
    /// Connections with all of these tags.
    pub tags: Vec<(String, String)>,
    /// Connections of the user with this id.
    pub end_user_id: Option<String>,
    /// Connections whose user belongs to the organization with this id.
    pub organization_id: Option<String>,
    /// The size of a page.
    pub limit: i64,
    /// The number of the page, from 0.
    pub page: i64,
}

impl Default for ConnectionFilter {
    fn default() -> Self {
        Self {
            name: None,
            search: None,
            integrations: Vec::new(),
            tags: Vec::new(),
            end_user_id: None,
            organization_id: None,
            limit: 100,
            page: 0,
        }
    }
}
