//! `POST /connections`: imports a connection with credentials by the names under which they are stored.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::{ConnectionDetails, without_secrets};
use crate::caller::{Caller, Scope};
use crate::credentials::{self, Authority, CredentialInput, PendingConnection, requested_name};
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::labels::{self, EndUser};
use crate::sync_permissions::read_syncs_with_problem;

/// Credentials as they are stored.
#[derive(ToSchema)]
#[serde(tag = "type")]
#[expect(
    dead_code,
    reason = "describes what `CredentialInput` reads by the provider's file"
)]
pub(super) enum GivenCredentials {
    /// One key
    #[serde(rename = "API_KEY")]
    ApiKey {
        #[serde(rename = "apiKey")]
        #[schema(example = "sk_live_0123456789abcdef")]
        api_key: String,
    },
    /// User name and password
    #[serde(rename = "BASIC")]
    Basic { username: String, password: String },
}

/// The connection to import.
#[derive(Deserialize, ToSchema)]
#[schema(as = ImportBody)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// Your name for the connection; a random UUID if left out. The name of an existing connection replaces its credentials and keeps its
    /// rows.
    #[schema(example = "my-acme")]
    connection_id: Option<String>,
    /// Credentials of the provider's type.
    #[schema(value_type = GivenCredentials)]
    credentials: Json,
    /// What else its requests need; not secret. What one of the provider's forms takes from the credentials may be left out.
    #[serde(default)]
    connection_config: Option<Map<String, Json>>,
    /// Your metadata.
    metadata: Option<Map<String, Json>>,
    /// Your user, who also becomes labels.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// Your labels: at most 10, names in lower case, values of 1 to 255 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Where its events go instead of the environment's addresses.
    webhook_url_override: Option<String>,
}

/// Verifies the credentials and stores them. If the name exists, this replaces its credentials and keeps its rows.
///
/// The credentials are returned to callers that may see them.
pub async fn import(gateway: &Gateway, caller: &Caller, import: Import) -> Result<ConnectionDetails> {
    let name = import.connection_id.as_deref();
    let names = Names::of(caller, &import.provider_config_key, name.unwrap_or_default());
    let (integration, existing) = gateway.resolve_optional(names).await?;
    let mut errors = Vec::new();
    let name = requested_name(name, "connection_id", &mut errors);
    let webhook_url = import.webhook_url_override;
    let labels = labels::parse(import.tags, import.end_user, None, webhook_url, &mut errors);
    let filled = CredentialInput::Typed(import.credentials)
        .fill(
            &integration.provider,
            &import.connection_config.unwrap_or_default(),
        )
        .map_err(|found| errors.extend(found));
    let (Some(name), Ok(filled), true) = (name, filled, errors.is_empty()) else {
        return Err(GatewayError::InvalidBody(errors));
    };
    let credentials = caller
        .may(Scope::ConnectionsReadCredentials)
        .then(|| (integration.provider.auth, filled.secrets.credentials.clone()));
    let pending = PendingConnection {
        environment: caller.environment,
        integration,
        name,
        existing,
        based_on: None,
        filled,
        metadata: import.metadata,
        labels,
        authority: Authority::ApiKey(caller.key),
    };
    let connection = credentials::save(gateway, pending).await?.connection;
    Ok(ConnectionDetails {
        syncs_with_problem: read_syncs_with_problem(gateway, &connection).await?,
        connection: without_secrets(gateway, connection),
        credentials,
    })
}
