//! Connect sessions: for half an hour, the holder of a session's token may connect what the session allows, and nothing else.

mod forms;
mod new;

use std::sync::Arc;

use domain::{Connection, ConnectionName, IntegrationKey};
use registry::AuthMode;
use serde_json::{Map, Value as Json};
use store::connect_sessions::{self, ConnectSession};
use store::connections;
use store::{StoreError, credentials as sealed_credentials};
use upstream::Target;
use vault::session_token;

pub use self::forms::{AllowedIntegration, SessionForms, forms, integrations};
pub use self::new::{
    IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection, create, reconnect,
};
use crate::credentials::{self, Authority, Connected, CredentialInput, Filled, PendingConnection};
use crate::error::{FieldError, GatewayError, Result};
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
    mut params: Map<String, Json>,
) -> Result<Connected> {
    let target = SessionTarget::find(gateway, session, integration).await?;
    let provider = &target.integration.provider;
    if mode != Some(provider.auth) {
        return Err(GatewayError::InvalidAuthMode {
            wanted: provider.auth.as_str(),
            given: mode.map_or("NONE", AuthMode::as_str),
            integration: target.integration.key,
        });
    }
    params.remove(NO_CONFIG);
    params.extend(set_config(session, &target.integration.key));
    let config = target.config_over(params);
    let filled = CredentialInput::Named(credentials).fill(provider, &config);
    save(gateway, session, target, filled).await
}

/// Connects as the session allows, with the fields of one of [`SessionForms::forms`], of which the first is 0. The fields cannot replace what
/// the session sets.
pub async fn connect_by_form(
    gateway: &Gateway,
    session: &ConnectSession,
    integration: &str,
    form: usize,
    fields: &Map<String, Json>,
) -> Result<Connected> {
    let target = SessionTarget::find(gateway, session, integration).await?;
    let provider = &target.integration.provider;
    let preset = forms::preset(session, &target.integration.key);
    let Some(form) = provider.connect.get(form) else {
        let forms = provider.connect.len();
        let message = format!("must be below {forms}, the number of forms of this provider");
        return Err(GatewayError::invalid_body("form", message));
    };
    let form = [forms::without_preset(form, &preset)];
    let config = target.config_over(preset);
    let filled = CredentialInput::Form(&form, fields).fill(provider, &config);
    save(gateway, session, target, filled).await
}

/// Returns the configuration that the session sets for connections of the integration.
fn set_config(session: &ConnectSession, integration: &IntegrationKey) -> Map<String, Json> {
    let set = session.defaults.get(integration.as_str());
    let set = set.and_then(|set| set.get("connection_config"));
    set.and_then(Json::as_object).cloned().unwrap_or_default()
}

/// The integration, and the connection to reconnect, with its credentials opened.
struct SessionTarget {
    integration: ResolvedIntegration,
    /// The connection whose credentials the session replaces, with its opened and its sealed credentials.
    renewed: Option<(Connection, Target, String)>,
}

impl SessionTarget {
    async fn find(gateway: &Gateway, session: &ConnectSession, integration: &str) -> Result<Self> {
        let (integration, renewed) = resolve(gateway, session, integration).await?;
        let renewed = match renewed {
            None => None,
            Some((connection, sealed)) => {
                let resolved = ResolvedConnection {
                    integration: integration.clone(),
                    connection,
                };
                let target = gateway.open_to_renew(&resolved, &sealed).await?;
                Some((resolved.connection, target, sealed))
            }
        };
        Ok(Self { integration, renewed })
    }

    /// Returns the configuration of the connection that is renewed, after `params` have replaced entries.
    fn config_over(&self, params: Map<String, Json>) -> Map<String, Json> {
        match &self.renewed {
            Some((connection, target, _)) => credentials::config_over(connection, target, params),
            None => params,
        }
    }
}

/// Verifies and stores what a request filled in.
async fn save(
    gateway: &Gateway,
    session: &ConnectSession,
    target: SessionTarget,
    filled: Result<Filled, Vec<FieldError>>,
) -> Result<Connected> {
    let (existing, based_on) = target
        .renewed
        .map(|(connection, _, sealed)| (connection, sealed))
        .unzip();
    let name = match &existing {
        Some(connection) => connection.name.clone(),
        None => ConnectionName::random(),
    };
    let pending = PendingConnection {
        environment: session.environment,
        integration: target.integration,
        name,
        existing,
        based_on,
        filled: filled.map_err(GatewayError::ConnectionInvalid)?,
        metadata: None,
        labels: Labels {
            tags: Some(session.tags.clone()).filter(|tags| !tags.is_empty()),
            end_user: session.end_user.clone(),
            webhook_url_override: session.webhook_url_override.clone(),
        },
        authority: Authority::Session(session.token_hash.clone()),
    };
    let saved = credentials::save(gateway, pending).await;
    saved.map_err(|error| match error {
        GatewayError::InvalidBody(errors) => GatewayError::ConnectionInvalid(errors),
        other => other,
    })
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
    if !session.allows(&integration.key) {
        return Err(GatewayError::IntegrationNotAllowed(integration.key));
    }
    if session.connection.is_some() && renewed.is_none() {
        // A session is deleted with its connection, so the connection was deleted just now.
        return Err(GatewayError::UnknownSession);
    }
    Ok((integration, renewed))
}
