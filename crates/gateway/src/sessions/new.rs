//! Creates connect sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ConnectionId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use store::connect_sessions::{self, ConnectSession};
use store::integrations;
use utoipa::ToSchema;
use vault::session_token;

use crate::caller::Caller;
use crate::credentials::{lacking_config_message, read_config};
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::{Gateway, Names, ResolvedIntegration};
use crate::labels::{self, EndUser, Organization};

/// How long a session lasts, as in Nango's API.
const LASTS: Duration = Duration::from_mins(30);
/// The error for an unknown integration, as in Nango's API.
const NO_INTEGRATION: &str = "Integration does not exist";

/// What a session sets for connections of one integration.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationDefaults {
    /// For OAuth, which is not supported: stored and shown, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_scopes: Option<String>,
    /// For OAuth, which is not supported: stored and shown, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_params: Option<BTreeMap<String, String>>,
    /// Configuration of the connection; it overrides what the front end sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_config: Option<Map<String, Json>>,
}

/// What a connect page shows differently for one integration.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationOverrides {
    /// The address of the instructions that the page links to.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs_connect: Option<String>,
}

/// The session to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionBody, example = json!({ "end_user": { "id": "user-1", "email": "ada@example.com" }, "allowed_integrations": ["acme"] }))]
pub struct NewSession {
    /// Your user; required unless there are tags.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// The user's organization.
    #[schema(value_type = Option<Organization>)]
    organization: Option<Json>,
    /// Labels for the connections that it creates.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Keys of the integrations that may be connected; all if left out.
    #[schema(example = json!(["acme"]))]
    allowed_integrations: Option<Vec<String>>,
    /// What is set for connections, by integration.
    integrations_config_defaults: Option<BTreeMap<String, IntegrationDefaults>>,
    /// What a connect page shows differently, by integration.
    overrides: Option<BTreeMap<String, IntegrationOverrides>>,
    /// Where the events of the connections go. Stored, without effect: no events are sent yet.
    webhook_url_override: Option<String>,
}

/// The session to create, which replaces the credentials of one connection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReconnectBody)]
pub struct Reconnection {
    /// Your name for the connection.
    #[schema(example = "my-acme")]
    connection_id: String,
    /// Its integration's key.
    #[schema(example = "acme")]
    integration_id: String,
    /// Your user; unchanged if left out.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// The user's organization.
    #[schema(value_type = Option<Organization>)]
    organization: Option<Json>,
    /// Labels for the connection; unchanged if left out.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// What is set for the connection, by integration.
    integrations_config_defaults: Option<BTreeMap<String, IntegrationDefaults>>,
    /// What a connect page shows differently, by integration.
    overrides: Option<BTreeMap<String, IntegrationOverrides>>,
    /// Where the events of the connection go. Stored, without effect: no events are sent yet.
    webhook_url_override: Option<String>,
}

fn to_json<T: Serialize>(map: Option<BTreeMap<String, T>>) -> Map<String, Json> {
    let map = map.unwrap_or_default().into_iter();
    map.map(|(key, value)| (key, json!(value))).collect()
}

/// The token of a new session, shown only once.
pub struct NewSessionToken {
    /// The token.
    pub token: SecretString,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// Creates a session for new connections.
pub async fn create(gateway: &Gateway, caller: &Caller, session: NewSession) -> Result<NewSessionToken> {
    let mut errors = Vec::new();
    if session.end_user.is_none() && session.tags.is_none() {
        let message = "is required unless there are tags: an object with the id that your app gives the user";
        errors.push(FieldError::at("missing", "end_user", message));
    }
    if session.allowed_integrations.as_ref().is_some_and(Vec::is_empty) {
        let message = "must name one integration at least; leave it out for all";
        errors.push(FieldError::at("invalid", "allowed_integrations", message));
    }
    make(gateway, caller, session, None, errors).await
}

/// Creates a session that replaces the credentials of one connection.
pub async fn reconnect(
    gateway: &Gateway,
    caller: &Caller,
    reconnection: Reconnection,
) -> Result<NewSessionToken> {
    let (connection, integration) = (&reconnection.connection_id, &reconnection.integration_id);
    let resolved = gateway.resolve(Names::of(caller, integration, connection)).await;
    let resolved = resolved.map_err(|error| match error {
        GatewayError::UnknownConnection { .. } => {
            GatewayError::invalid_body("connection_id", error.to_string())
        }
        GatewayError::UnknownIntegration(_) => GatewayError::invalid_body("integration_id", NO_INTEGRATION),
        other => other,
    })?;
    let row = resolved.connection;
    let session = NewSession {
        end_user: reconnection.end_user,
        organization: reconnection.organization,
        tags: reconnection.tags,
        allowed_integrations: Some(vec![row.integration.to_string()]),
        integrations_config_defaults: reconnection.integrations_config_defaults,
        overrides: reconnection.overrides,
        webhook_url_override: reconnection.webhook_url_override,
    };
    make(gateway, caller, session, Some(row.id), Vec::new()).await
}

async fn make(
    gateway: &Gateway,
    caller: &Caller,
    session: NewSession,
    connection: Option<ConnectionId>,
    mut errors: Vec<FieldError>,
) -> Result<NewSessionToken> {
    let (organization, webhook_url) = (session.organization, session.webhook_url_override);
    let labels = labels::parse(
        session.tags,
        session.end_user,
        organization,
        webhook_url,
        &mut errors,
    );
    let defaults = to_json(session.integrations_config_defaults);
    let overrides = to_json(session.overrides);
    let mut allowed = Vec::new();
    for (index, key) in session.allowed_integrations.iter().flatten().enumerate() {
        let path = ["allowed_integrations".to_owned(), index.to_string()];
        if let Some(one) = known(gateway, caller, key, &path, &mut errors).await? {
            let config = gateway.integration_config(&one).await?;
            if let Some(message) = lacking_config_message(gateway, &one, &config) {
                errors.push(FieldError::new("invalid", path, message));
            }
            allowed.push(one);
        }
    }
    for (key, set) in &defaults {
        let path = ["integrations_config_defaults".to_owned(), key.clone()];
        if let Some(one) = known(gateway, caller, key, &path, &mut errors).await? {
            check_defaults(&one, set, &mut errors);
        }
    }
    for key in overrides.keys() {
        let path = ["overrides".to_owned(), key.clone()];
        known(gateway, caller, key, &path, &mut errors).await?;
    }
    GatewayError::check_body(errors)?;
    let now = gateway.clock.now();
    let token = session_token::generate();
    let new = ConnectSession {
        environment: caller.environment,
        token_hash: session_token::hash(token.expose_secret()),
        connection,
        end_user: labels.end_user,
        tags: labels.tags.unwrap_or_default(),
        allowed_integrations: session
            .allowed_integrations
            .map(|_| allowed.iter().map(|one| one.key.clone()).collect()),
        defaults,
        overrides,
        webhook_url_override: labels.webhook_url_override.filter(|url| !url.is_empty()),
        created_at: now,
        expires_at: now.plus(LASTS),
    };
    let expires_at = new.expires_at;
    gateway
        .store
        .write(move |c| {
            // A provider that may be connected under its own name gets a row, so that the session can list it.
            for one in allowed.iter().filter(|one| one.row.is_none()) {
                integrations::ensure(c, new.environment, &one.key, &one.provider.name, now)?;
            }
            connect_sessions::insert(c, &new)
        })
        .await?;
    Ok(NewSessionToken { token, expires_at })
}

/// The integration, if the environment has it; else an error at the path.
async fn known(
    gateway: &Gateway,
    caller: &Caller,
    key: &str,
    path: &[String; 2],
    errors: &mut Vec<FieldError>,
) -> Result<Option<ResolvedIntegration>> {
    match gateway.resolve_integration(caller.environment, key).await {
        Err(GatewayError::UnknownIntegration(_)) => {
            errors.push(FieldError::new("invalid", path.clone(), NO_INTEGRATION));
            Ok(None)
        }
        resolved => resolved.map(Some),
    }
}

/// Adds errors for invalid defaults of a session: secrets, which the front end would see, and values that a connect request would refuse.
fn check_defaults(integration: &ResolvedIntegration, set: &Json, errors: &mut Vec<FieldError>) {
    let Some(config) = set.get("connection_config").and_then(Json::as_object) else {
        return;
    };
    let (key, provider) = (integration.key.as_str(), &integration.provider);
    let path = ["integrations_config_defaults", key, "connection_config"];
    for name in config.keys().filter(|name| provider.is_secret_config(name)) {
        let message = "is secret, and a session's front end would see it: let the user give it, or import the connection";
        errors.push(FieldError::within("invalid", &path, name, message));
    }
    read_config(provider, config, &path, errors);
}
