//! `POST /connections`: imports a connection with credentials by the names under which they are stored.

use domain::ConnectionName;
use serde_json::{Map, Value as Json};

use super::{CONFIG, Connections, FullConnection, StoredCredentials, without_secrets};
use crate::caller::{Caller, Scope};
use crate::credentials::{self, Authority, CredentialInput, Given, PendingConnection, random_name};
use crate::error::{FieldError, GatewayError};
use crate::labels::{self, Labels};
use crate::services::Names;
use crate::sync_permissions::sync_problems_of;

/// A connection to import. Its inner fields are not checked yet.
pub struct Import {
    /// The integration's key.
    pub integration: String,
    /// The connection id; a random UUID if `None`.
    pub name: Option<String>,
    /// `type` beside `apiKey`, or beside `username` and `password`.
    pub credentials: Json,
    /// The rest of its configuration.
    pub connection_config: Map<String, Json>,
    /// The app's metadata.
    pub metadata: Option<Map<String, Json>>,
    /// The app's labels.
    pub tags: Option<Json>,
    /// The app's user.
    pub end_user: Option<Json>,
    /// The URL for its events.
    pub webhook_url_override: Option<String>,
}

impl Connections<'_> {
    /// Verifies the credentials and stores them. If the name exists, this replaces its credentials and keeps its rows.
    ///
    /// The credentials are returned to callers that may see them.
    pub async fn import(&self, caller: &Caller, import: Import) -> Result<FullConnection, GatewayError> {
        let names = Names::of(
            caller,
            &import.integration,
            import.name.as_deref().unwrap_or_default(),
        );
        let (integration, existing) = self.0.resolve_optional(names).await?;
        let mut errors = Vec::new();
        let name = match &import.name {
            None => random_name(),
            Some(name) => ConnectionName::new(name)
                .map_err(|rule| FieldError::at("invalid", "connection_id", rule.to_string())),
        };
        let name = name.map_err(|error| errors.push(error)).ok();
        let labels = Labels::parse(import.tags, import.end_user, None, &mut errors);
        labels::check_webhook_url(import.webhook_url_override.as_deref(), &mut errors);
        let input = CredentialInput {
            credentials: Given::Typed(import.credentials),
            config: &import.connection_config,
            config_path: CONFIG,
        };
        let filled = input
            .fill(&integration.provider)
            .map_err(|found| errors.extend(found));
        let (Some(name), Ok(filled), true) = (name, filled, errors.is_empty()) else {
            return Err(GatewayError::InvalidBody(errors));
        };
        let credentials = caller
            .may(Scope::ConnectionsReadCredentials)
            .then(|| StoredCredentials::new(integration.provider.auth, &filled.secrets.credentials));
        let pending = PendingConnection {
            environment: caller.environment,
            integration,
            name,
            existing,
            based_on: None,
            filled,
            metadata: import.metadata,
            labels,
            webhook_url_override: import.webhook_url_override,
            authority: Authority::ApiKey(caller.key),
        };
        let connection = credentials::save(self.0, pending).await?.connection;
        Ok(FullConnection {
            sync_problems: sync_problems_of(self.0, &connection).await?,
            connection: without_secrets(self.0, connection),
            credentials,
        })
    }
}
