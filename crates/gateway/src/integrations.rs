//! Integrations: a provider under a name of the environment. An environment may have several of one provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ConnectionFilter, EnvironmentId, IntegrationKey, StoredIntegration};
use registry::Provider;
use serde::Deserialize;
use serde_json::Value as Json;
use store::StoreError;
use store::connections;
use store::integrations::{self, IntegrationChange};
use utoipa::ToSchema;
use vault::VaultError;

use crate::caller::Caller;
use crate::deletion;
use crate::error::{FieldError, GatewayError, Result, refusable};
use crate::gateway::Gateway;
use crate::integration_config::{self, Config, ConfigChange};
use crate::integration_secrets::{ConfigUpdate, split};

/// An integration that an environment has, with its provider.
#[derive(Debug, Clone)]
pub struct FullIntegration {
    /// The integration.
    pub row: StoredIntegration,
    /// Its provider; `None` if the provider's file is missing.
    pub provider: Option<Arc<Provider>>,
}

impl FullIntegration {
    /// Returns the configuration without its secret fields. It is empty if the provider's file is missing, because then the secret fields
    /// are unknown.
    pub fn shown_config(&self) -> BTreeMap<String, String> {
        let Some(provider) = &self.provider else {
            return BTreeMap::new();
        };
        let mut config = self.row.config.clone();
        config.retain(|name, _| !provider.is_secret_integration_config(name));
        config
    }
}

/// The integration to create.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewIntegrationBody, example = json!({ "provider": "acme", "unique_key": "acme-eu", "display_name": "Acme (Europe)" }))]
pub struct NewIntegrationRequest {
    /// The provider's name: see `GET /providers`.
    #[schema(value_type = String)]
    pub provider: Option<String>,
    /// Your key for it: letters, digits and `~:.@ _-`, at most 255.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub unique_key: Option<String>,
    /// The name for people.
    #[schema(min_length = 1, max_length = 255)]
    pub display_name: Option<String>,
    /// Whether the provider's events are forwarded to you; true if left out.
    pub forward_webhooks: Option<bool>,
    /// Refused: credentials belong to connections.
    pub credentials: Option<Json>,
    /// The values of `${integrationConfig.…}` in the provider's file. Fields that the file marks as secret are accepted and never shown.
    pub integration_config: Option<BTreeMap<String, String>>,
    /// Your own values.
    pub custom: Option<BTreeMap<String, String>>,
}

/// The changes of an integration; what is left out stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IntegrationChangeBody, example = json!({ "display_name": "Acme (Europe)" }))]
pub struct IntegrationChangeRequest {
    /// Another key; only while the integration has no connections.
    #[schema(min_length = 1, max_length = 255)]
    pub unique_key: Option<String>,
    /// The name for people.
    #[schema(min_length = 1, max_length = 255)]
    pub display_name: Option<String>,
    /// Whether the provider's events are forwarded to you.
    pub forward_webhooks: Option<bool>,
    /// Refused: credentials belong to connections.
    pub credentials: Option<Json>,
    /// The values of `${integrationConfig.…}` in the provider's file. Keys that you leave out stay, secret ones too, and null removes a
    /// key. What decides where credentials are sent cannot be changed while there are connections.
    #[schema(example = json!({ "region": "eu", "label": null }))]
    pub integration_config: Option<BTreeMap<String, Option<String>>>,
    /// Your own values, which replace the stored ones.
    pub custom: Option<BTreeMap<String, String>>,
}

/// The longest value of an integration's configuration, and the longest name for people, in bytes: as in Nango's API.
const MAX_CONFIG: usize = 8_192;
const MAX_DISPLAY_NAME: usize = 255;
/// Connections of a deleted integration that one query reads.
const DELETE_PAGE: i64 = 100;

/// The integrations that the environment has made or connected to, oldest first.
pub async fn list(gateway: &Gateway, environment: EnvironmentId) -> Result<Vec<FullIntegration>> {
    let read = gateway.store.read(move |c| integrations::list(c, environment));
    let rows = read.await?;
    Ok(rows.into_iter().map(|row| with_provider(gateway, row)).collect())
}

/// One integration.
pub async fn find(gateway: &Gateway, environment: EnvironmentId, key: &str) -> Result<FullIntegration> {
    let unknown = || GatewayError::UnknownIntegration(key.to_owned());
    let key: IntegrationKey = key.parse().map_err(|_| unknown())?;
    let store = &gateway.store;
    let read = store.read(move |c| integrations::find(c, environment, &key));
    let row = read.await?;
    row.map(|row| with_provider(gateway, row)).ok_or_else(unknown)
}

/// Creates an integration.
pub async fn create(
    gateway: &Gateway,
    caller: &Caller,
    request: NewIntegrationRequest,
) -> Result<FullIntegration> {
    let sent = request.integration_config.into_iter().flatten();
    let sent: ConfigChange = sent.map(|(name, value)| (name, Some(value))).collect();
    let (name, custom) = (request.display_name.as_deref(), request.custom.as_ref());
    let mut errors = errors(request.credentials.is_some(), name, Some(&sent), custom);
    let key = key(request.unique_key.as_deref(), true, &mut errors);
    let provider = provider(gateway, request.provider.as_deref(), &mut errors);
    let config = integration_config::merged(&BTreeMap::new(), &sent);
    if let Some(provider) = provider {
        let reachable = gateway.upstream.overrides_base_url(&provider.name);
        integration_config::check(provider, &sent, &config, reachable, &mut errors);
    }
    let (Some(key), Some(provider), true) = (key, provider, errors.is_empty()) else {
        return Err(GatewayError::InvalidBody(errors));
    };
    let (secret, public) = split(config, Some(provider), &Config::new());
    let settings = IntegrationChange {
        key: None,
        display_name: request.display_name,
        forward_webhooks: request.forward_webhooks,
        config: Some(public),
        custom: request.custom,
    };
    let (environment, new, provider) = (caller.environment, key.clone(), provider.name.clone());
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let made = gateway.store.write_durably(move |c| {
        if !integrations::ensure(c, environment, &new, &provider, now)? {
            return Ok(false);
        }
        let row = integrations::find(c, environment, &new)?;
        let row = row.ok_or(StoreError::NotFound { what: "integration" })?;
        integrations::change(c, row.id, &settings, now)?;
        if !secret.is_empty() {
            sealer.store_config(c, &row, &secret, now)?;
        }
        Ok(true)
    });
    if !made.await? {
        return Err(taken(&key));
    }
    find(gateway, caller.environment, key.as_str()).await
}

/// Changes an integration. One that has connections keeps its key, since apps name their connections by it, and what decides where
/// their credentials go.
///
/// The rules are checked in the transaction that writes, with the integration locked.
pub async fn update(
    gateway: &Gateway,
    caller: &Caller,
    of: &str,
    request: IntegrationChangeRequest,
) -> Result<FullIntegration> {
    match update_once(gateway, caller, of, request.clone()).await {
        // Another process sealed its secret fields with a new key after this one had read the key file.
        Err(GatewayError::Vault(VaultError::UnknownKey(_))) => {
            update_once(gateway, caller, of, request).await
        }
        updated => updated,
    }
}

async fn update_once(
    gateway: &Gateway,
    caller: &Caller,
    of: &str,
    request: IntegrationChangeRequest,
) -> Result<FullIntegration> {
    let FullIntegration { row, provider } = find(gateway, caller.environment, of).await?;
    let (name, custom) = (request.display_name.as_deref(), request.custom.as_ref());
    let sent = request.integration_config.as_ref();
    let mut errors = errors(request.credentials.is_some(), name, sent, custom);
    let new_key = key(request.unique_key.as_deref(), false, &mut errors).filter(|key| *key != row.key);
    let (environment, old) = (caller.environment, row.key);
    let reachable = provider
        .as_deref()
        .is_some_and(|provider| gateway.upstream.overrides_base_url(&provider.name));
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let key = new_key.clone().unwrap_or_else(|| old.clone());
    let changed = gateway.store.write_durably(refusable(move |c| {
        let row = integrations::lock(c, environment, &old)?.ok_or(StoreError::NotFound { what: "integration" })?;
        let count = connections::count(c, environment, Some(&old))?;
        if count > 0 && new_key.is_some() {
            let message = format!(
                "cannot be changed while the integration has connections, and it has {count}: make another integration"
            );
            errors.push(FieldError::at("invalid", "unique_key", message));
        }
        let mut update = None;
        if let Some(sent) = &request.integration_config {
            let opened = sealer.open_config(&row)?;
            let made = ConfigUpdate::of(&row, opened, sent, provider.as_deref());
            if let Some(provider) = &provider {
                integration_config::check(provider, sent, &made.new, reachable, &mut errors);
                if count > 0 {
                    integration_config::refuse_moves(provider, &made.old, sent, &mut errors);
                }
            }
            update = Some(made);
        }
        GatewayError::check_body(errors)?;
        let config = update.map(|update| update.seal(c, &sealer, &row, now)).transpose()?;
        let change = IntegrationChange {
            key: new_key,
            display_name: request.display_name,
            forward_webhooks: request.forward_webhooks,
            config,
            custom: request.custom,
        };
        Ok(integrations::change(c, row.id, &change, now)?)
    }));
    let changed = changed.await;
    // Its configuration is part of opened targets.
    gateway.caches.forget_secrets();
    match changed {
        Ok(Ok(())) => find(gateway, environment, key.as_str()).await,
        Ok(Err(error)) => Err(error),
        Err(StoreError::Conflict { .. }) => Err(taken(&key)),
        Err(StoreError::NotFound { .. }) => Err(GatewayError::UnknownIntegration(of.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Deletes an integration with its connections and their rows. An interrupted deletion can be repeated.
pub async fn delete(gateway: &Gateway, caller: &Caller, key: &str) -> Result<()> {
    let row = find(gateway, caller.environment, key).await?.row;
    let environment = caller.environment;
    while !delete_if_unused(gateway, environment, &row.key).await? {
        let filter = ConnectionFilter {
            integrations: vec![row.key.clone()],
            limit: DELETE_PAGE,
            ..ConnectionFilter::default()
        };
        let store = &gateway.store;
        let page = store.read(move |c| connections::list(c, environment, &filter));
        for connection in page.await? {
            deletion::delete_connection(gateway, &connection).await?;
        }
    }
    Ok(())
}

/// Deletes the integration unless it has connections. The lock makes requests that connect meanwhile come before this or fail after it.
async fn delete_if_unused(
    gateway: &Gateway,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<bool> {
    let key = key.clone();
    let deleted = gateway.store.write(move |c| {
        let row = integrations::lock(c, environment, &key)?;
        let unused = connections::count(c, environment, Some(&key))? == 0;
        if unused && let Some(row) = row {
            integrations::delete(c, row.id)?;
        }
        Ok(unused)
    });
    Ok(deleted.await?)
}

fn with_provider(gateway: &Gateway, row: StoredIntegration) -> FullIntegration {
    FullIntegration {
        provider: gateway.registry.get(row.provider.as_str()).cloned(),
        row,
    }
}

fn provider<'a>(
    gateway: &'a Gateway,
    name: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> Option<&'a Provider> {
    let Some(name) = name else {
        let message = "is required: a provider's name";
        errors.push(FieldError::at("missing", "provider", message));
        return None;
    };
    let provider = gateway.registry.get(name);
    if provider.is_none() {
        let mut skipped = gateway.registry.skipped().iter();
        let message = match skipped.find(|entry| entry.name == name) {
            Some(entry) => format!("cannot be served: {}", entry.reason),
            None => "is not a provider: GET /providers lists all".to_owned(),
        };
        errors.push(FieldError::at("invalid", "provider", message));
    }
    provider.map(Arc::as_ref)
}

/// The errors of a request that need no read of the database.
fn errors(
    has_credentials: bool,
    display_name: Option<&str>,
    config: Option<&ConfigChange>,
    custom: Option<&Config>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if has_credentials {
        let message = "belong to a connection here, not to the integration: only OAuth has credentials of its own, which is not served";
        errors.push(FieldError::at("invalid", "credentials", message));
    }
    let is_wrong = |name: &str| name.is_empty() || name.len() > MAX_DISPLAY_NAME || name.contains('\0');
    if display_name.is_some_and(is_wrong) {
        let message = "must be text of 1 to 255 bytes";
        errors.push(FieldError::at("invalid", "display_name", message));
    }
    let config = config.into_iter().flatten();
    let config = config.map(|(key, value)| ("integration_config", key, value.as_deref().unwrap_or_default()));
    let custom = custom.into_iter().flatten();
    let custom = custom.map(|(key, value)| ("custom", key, value.as_str()));
    for (field, key, value) in config.chain(custom) {
        if value.len() > MAX_CONFIG || value.contains('\0') || key.contains('\0') {
            let message = "must be text of 8192 bytes at most, without the character U+0000";
            errors.push(FieldError::new("invalid", [field, key], message));
        }
    }
    errors
}

/// The checked key, if one was given; an error if it was not and is needed.
fn key(text: Option<&str>, needed: bool, errors: &mut Vec<FieldError>) -> Option<IntegrationKey> {
    let Some(text) = text else {
        if needed {
            let message = "is required: the name of the integration";
            errors.push(FieldError::at("missing", "unique_key", message));
        }
        return None;
    };
    if registry::is_reserved(text) {
        let message = "is reserved for routes of Trunkline itself: choose another name";
        errors.push(FieldError::at("invalid", "unique_key", message));
        return None;
    }
    IntegrationKey::new(text)
        .map_err(|rule| {
            errors.push(FieldError::at("invalid", "unique_key", rule.to_string()));
        })
        .ok()
}

/// The error for a key that is in use. Nango spells the path so in this one error.
fn taken(key: &IntegrationKey) -> GatewayError {
    let message = format!("Unique key already exists: there is an integration {key:?}");
    GatewayError::invalid_body("uniqueKey", message)
}
