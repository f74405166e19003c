//! Connect sessions: for half an hour, the holder of a session's token may connect what the session allows, and nothing else.

mod new;

use std::sync::Arc;

use domain::{Connection, ConnectionName};
use registry::AuthMode;
use serde_json::{Map, Value as Json};
use store::connect_sessions::{self, ConnectSession};
use store::connections;
use store::{StoreError, credentials as sealed_credentials};
use vault::session_token;

pub use self::new::{
    IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection, create, reconnect,
};
use crate::credentials::{self, Authority, Connected, CredentialInput, PendingConnection};
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names, ResolvedConnection, ResolvedIntegration};
use crate::labels::Labels;

/// Query parameters of a front end that do not configure the connection, as in Nango's API.
const NO_CONFIG: &str = "webhook_url";

/// Whether `text` looks like the token of a session rather than an API key.
pub fn is_token(text: &str) -> bool {
    session_token::has_prefix(text)
}

/// The session of a token, which has not ended.
pub async fn authenticate(gateway: &Gateway, token: &str) -> Result<Arc<ConnectSession>> {
    if !session_token::is_well_formed(token) {
        return Err(GatewayError::MalformedSessionToken);
    }
    let (hash, now) = (session_token::hash(token), gateway.clock.now());
    let found = gateway
        .store
        .read(move |c| connect_sessions::by_hash(c, &hash, now));
    found.await?.map(Arc::new).ok_or(GatewayError::UnknownSession)
}

/// Ends a session before its time.
pub async fn end(gateway: &Gateway, session: &ConnectSession) -> Result<()> {
    let (environment, hash) = (session.environment, session.token_hash.clone());
    let deleted = gateway
        .store
        .write(move |c| connect_sessions::delete(c, environment, &hash));
    Ok(deleted.await?)
}

/// Connects as the session allows, with `credentials` of the type `mode`; `None` for no credentials, which is always `InvalidAuthMode`. What the
/// session sets wins over `params`.
///
/// A session can be used again: until it ends, its holder may retry, and connect further accounts.
pub async fn connect(
    gateway: &Gateway,
    session: &ConnectSession,
    integration: &str,
    mode: Option<AuthMode>,
    credentials: &Map<String, Json>,
    params: Map<String, Json>,
) -> Result<Connected> {
    let connected = connect_with(gateway, session, integration, mode, credentials, params).await;
    connected.map_err(|error| match error {
        GatewayError::InvalidBody(errors) => GatewayError::ConnectionInvalid(errors),
        other => other,
    })
}

async fn connect_with(
    gateway: &Gateway,
    session: &ConnectSession,
    integration: &str,
    mode: Option<AuthMode>,
    credentials: &Map<String, Json>,
    mut params: Map<String, Json>,
) -> Result<Connected> {
    let (integration, renewed) = resolve(gateway, session, integration).await?;
    let provider = &integration.provider;
    if mode != Some(provider.auth) {
        return Err(GatewayError::InvalidAuthMode {
            wanted: provider.auth.as_str(),
            given: mode.map_or("NONE", AuthMode::as_str),
            integration: integration.key,
        });
    }
    params.remove(NO_CONFIG);
    let set = session.defaults.get(integration.key.as_str());
    let set = set.and_then(|set| set.get("connection_config"));
    params.extend(set.and_then(Json::as_object).cloned().unwrap_or_default());
    let (existing, based_on) = match (renewed, session.connection.is_some()) {
        (Some((connection, sealed)), _) => {
            let resolved = ResolvedConnection {
                integration: integration.clone(),
                connection,
            };
            let target = gateway.open_to_renew(&resolved, &sealed).await?;
            params = credentials::config_over(&resolved.connection, &target, params);
            (Some(resolved.connection), Some(sealed))
        }
        // A session is deleted with its connection, so the connection was deleted just now.
        (None, true) => return Err(GatewayError::UnknownSession),
        (None, false) => (None, None),
    };
    let filled = CredentialInput::Named(credentials)
        .fill(provider, &params)
        .map_err(GatewayError::InvalidBody)?;
    let name = match &existing {
        Some(connection) => connection.name.clone(),
        None => ConnectionName::random(),
    };
    let pending = PendingConnection {
        environment: session.environment,
        integration,
        name,
        existing,
        based_on,
        filled,
        metadata: None,
        labels: Labels {
            tags: Some(session.tags.clone()).filter(|tags| !tags.is_empty()),
            end_user: session.end_user.clone(),
            webhook_url_override: session.webhook_url_override.clone(),
        },
        authority: Authority::Session(session.token_hash.clone()),
    };
    credentials::save(gateway, pending).await
}

/// The integration, if the session allows it, and the connection whose credentials the session replaces, with its sealed credentials.
async fn resolve(
    gateway: &Gateway,
    session: &ConnectSession,
    key: &str,
) -> Result<(ResolvedIntegration, Option<(Connection, String)>)> {
    let names = Names {
        environment: session.environment,
        integration: key,
        connection: "",
    };
    let (renewed, environment) = (session.connection, session.environment);
    let read = gateway.resolve_and_read(names, move |c, integration, _| {
        let Some(id) = renewed else { return Ok(None) };
        // Before the connection, so that it is not older.
        let sealed = match sealed_credentials::get(c, id) {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            sealed => sealed?,
        };
        let connection = connections::get_any_environment(c, id)?;
        let is_its = |row: &Connection| row.environment == environment && row.integration == integration.key;
        Ok(connection.filter(is_its).map(|connection| (connection, sealed)))
    });
    let (integration, _, renewed) = read.await?;
    if session.allows(&integration.key) {
        Ok((integration, renewed))
    } else {
        Err(GatewayError::IntegrationNotAllowed(integration.key))
    }
}
