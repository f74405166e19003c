//! Connect sessions: for half an hour, the holder of a session's token may connect what the session allows, and nothing else.

mod new;

use std::fmt;
use std::sync::Arc;

use domain::{Connection, ConnectionName, EnvironmentId, IntegrationKey};
use registry::AuthMode;
use serde_json::{Map, Value as Json};
use store::connect_sessions::{self, ConnectSession};
use store::connections::{self, ConnectionChange};
use store::{StoreError, credentials as sealed_credentials};
use vault::session_token;

pub use self::new::{
    IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection, create, reconnect,
};
use crate::credentials::{self, Authority, Connected, CredentialInput, PendingConnection};
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names, ResolvedConnection, ResolvedIntegration};

/// Query parameters of a front end that do not configure the connection, as in Nango's API.
const NO_CONFIG: &str = "webhook_url";

/// A session that has not ended.
#[derive(Clone)]
pub struct Session(Arc<ConnectSession>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.0.id).finish()
    }
}

impl Session {
    /// Whether `text` looks like the token of a session rather than an API key.
    pub fn is_token(text: &str) -> bool {
        session_token::has_prefix(text)
    }

    /// The environment of its connections.
    pub fn environment(&self) -> EnvironmentId {
        self.0.environment
    }

    /// Whether the integration of that key may be connected.
    pub fn allows(&self, key: &IntegrationKey) -> bool {
        let allowed = self.0.allowed_integrations.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(key))
    }

    /// The session as it is stored.
    pub fn stored(&self) -> &ConnectSession {
        &self.0
    }

    /// Whether it replaces the credentials of a connection.
    pub fn reconnects(&self) -> bool {
        self.0.connection.is_some()
    }
}

/// The session of a token.
pub async fn authenticate(gateway: &Gateway, token: &str) -> Result<Session> {
    if !session_token::is_well_formed(token) {
        return Err(GatewayError::MalformedSessionToken);
    }
    let (hash, now) = (session_token::hash(token), gateway.clock.now());
    let store = &gateway.store;
    let found = store.read(move |c| connect_sessions::by_hash(c, &hash, now));
    let row = found.await?.ok_or(GatewayError::UnknownSession)?;
    Ok(Session(Arc::new(row)))
}

/// Ends a session before its time.
pub async fn end(gateway: &Gateway, session: &Session) -> Result<()> {
    let (environment, id) = (session.0.environment, session.0.id);
    let store = &gateway.store;
    let write = store.write(move |c| connect_sessions::delete(c, environment, id));
    write.await?;
    Ok(())
}

/// Connects as the session allows, with `credentials` of the type `mode`. What the session sets wins over `params`.
///
/// A session can be used again: until it ends, its holder may retry, and connect further accounts.
pub async fn connect(
    gateway: &Gateway,
    session: &Session,
    integration: &str,
    mode: AuthMode,
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
    session: &Session,
    integration: &str,
    mode: AuthMode,
    credentials: &Map<String, Json>,
    mut params: Map<String, Json>,
) -> Result<Connected> {
    let (integration, renewed) = resolve(gateway, session, integration).await?;
    let provider = &integration.provider;
    if provider.auth != mode {
        return Err(GatewayError::InvalidAuthMode {
            wanted: provider.auth.as_str(),
            given: mode.as_str(),
            integration: integration.key,
        });
    }
    params.remove(NO_CONFIG);
    let set = session.0.defaults.get(integration.key.as_str());
    let set = set.and_then(|set| set.get("connection_config"));
    params.extend(set.and_then(Json::as_object).cloned().unwrap_or_default());
    let (existing, based_on) = match (renewed, session.reconnects()) {
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
    let row = ConnectSession::clone(&session.0);
    let pending = PendingConnection {
        environment: row.environment,
        integration,
        name,
        existing,
        based_on,
        filled,
        change: ConnectionChange {
            metadata: None,
            tags: (!row.tags.is_empty()).then_some(row.tags),
            end_user: row.end_user,
            webhook_url_override: row.webhook_url_override.map(Some),
        },
        authority: Authority::Session(row.id),
    };
    credentials::save(gateway, pending).await
}

/// The error for a front end that connects without credentials: every provider takes some.
pub async fn connect_without(gateway: &Gateway, session: &Session, integration: &str) -> GatewayError {
    match resolve(gateway, session, integration).await {
        Ok((integration, _)) => GatewayError::InvalidAuthMode {
            wanted: integration.provider.auth.as_str(),
            given: "NONE",
            integration: integration.key,
        },
        Err(error) => error,
    }
}

/// The integration, if the session allows it, and the connection whose credentials the session replaces, with its sealed credentials.
async fn resolve(
    gateway: &Gateway,
    session: &Session,
    key: &str,
) -> Result<(ResolvedIntegration, Option<(Connection, String)>)> {
    let names = Names {
        environment: session.0.environment,
        integration: key,
        connection: "",
    };
    let (renewed, environment) = (session.0.connection, session.0.environment);
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
