//! Opens sealed credentials and secret fields for requests to providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Connection;
use serde_json::{Map, Value as Json};
use store::credentials;
use store::integration_secrets::GIVEN_UP;
use upstream::{Priority, Target, Variables};

use super::{Gateway, Names, ResolvedConnection, ResolvedIntegration};
use crate::error::{GatewayError, Result};
use crate::integration_config::Config;
use crate::integration_secrets;
use crate::secrets::{self, Secrets};

impl Gateway {
    /// What was sealed for the connection.
    pub(crate) async fn open_secrets(&self, connection: &Connection, sealed: &str) -> Result<Secrets> {
        if sealed == credentials::GIVEN_UP {
            return Err(GatewayError::CredentialsLost(connection.name.clone()));
        }
        let place = secrets::place(connection.environment, connection.id);
        Ok(Secrets::from_json(&self.keys.unseal(&place, sealed).await?)?)
    }

    /// Opens a connection's sealed credentials for requests to its provider.
    pub(crate) async fn open(&self, resolved: &ResolvedConnection, sealed: &str) -> Result<Target> {
        let secrets = self.open_secrets(&resolved.connection, sealed).await?;
        self.target_with(&resolved.integration, &resolved.connection, secrets)
            .await
    }

    /// [`Self::open`] for a connection that gets new credentials: if its own were given up, the target has none.
    pub(crate) async fn open_to_renew(&self, resolved: &ResolvedConnection, sealed: &str) -> Result<Target> {
        let secrets = match self.open_secrets(&resolved.connection, sealed).await {
            Err(GatewayError::CredentialsLost(_)) => Secrets::default(),
            opened => opened?,
        };
        self.target_with(&resolved.integration, &resolved.connection, secrets)
            .await
    }

    /// Reads a connection's sealed credentials and its integration, and opens them.
    pub async fn target(&self, connection: &Connection) -> Result<Target> {
        let id = connection.id;
        let (integration, _, sealed) = self
            .resolve_and_read(Names::of_integration(connection), move |c, _, _| {
                credentials::get(c, id)
            })
            .await?;
        let secrets = self.open_secrets(connection, &sealed).await?;
        self.target_with(&integration, connection, secrets).await
    }

    /// [`Self::target`] with the connection's sealed credentials in hand: reads the database only if the provider's integrations have a
    /// configuration.
    pub async fn target_of(&self, connection: &Connection, sealed: &str) -> Result<Target> {
        let secrets = self.open_secrets(connection, sealed).await?;
        let provider = self.provider(&connection.provider)?;
        let integration = if provider.integration_config.is_empty() {
            ResolvedIntegration {
                key: connection.integration.clone(),
                provider: Arc::clone(provider),
                row: None,
            }
        } else {
            self.resolve_optional(Names::of_integration(connection)).await?.0
        };
        self.target_with(&integration, connection, secrets).await
    }

    async fn target_with(
        &self,
        integration: &ResolvedIntegration,
        connection: &Connection,
        mut secrets: Secrets,
    ) -> Result<Target> {
        let provider = &integration.provider;
        let mut config = connection.connection_config.clone();
        secrets.take_from(provider, &mut config);
        let variables = Variables {
            credentials: secrets.credentials,
            secret_config: secrets.config,
            connection_config: template_values(&config),
            integration_config: self.integration_config(integration).await?,
            metadata: connection.metadata.clone().unwrap_or_default(),
            ..Variables::default()
        };
        Ok(Target {
            provider: Arc::clone(provider),
            connection: Some(connection.id),
            variables: Arc::new(variables),
            priority: Priority::Interactive,
        })
    }

    /// What fills `${integrationConfig.…}`: what was set, secret fields among it, over the defaults of the provider's file.
    ///
    /// [`GatewayError::IntegrationSecretsLost`] if its secret fields were given up with the key that sealed them.
    pub(crate) async fn integration_config(&self, integration: &ResolvedIntegration) -> Result<Config> {
        let mut config = integration.provider.integration_defaults();
        // What an earlier file declared fills no placeholder of this one.
        if integration.provider.integration_config.is_empty() {
            return Ok(config);
        }
        if let Some(row) = &integration.row {
            match row.sealed_config.as_deref() {
                None => {}
                Some(GIVEN_UP) => return Err(GatewayError::IntegrationSecretsLost(row.key.clone())),
                Some(sealed) => {
                    let text = self.keys.unseal(&integration_secrets::place(row), sealed).await?;
                    config.extend(integration_secrets::parse(&text)?);
                }
            }
            config.extend(row.config.clone());
        }
        Ok(config)
    }
}

/// The values of a stored configuration that fill templates: texts, numbers, true and false.
pub(crate) fn template_values(config: &Map<String, Json>) -> BTreeMap<String, String> {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    config
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}
