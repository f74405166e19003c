//! Finds whose request arrived at a webhook address, and the secrets with which it may be signed.

use std::sync::Arc;

use domain::{Connection, EnvironmentId, EnvironmentName};
use registry::{Provider, Webhooks};
use signature::Candidates;
use store::connections::LONGEST_CONFIG_VALUE;
use store::{StoreError, connections, environments, subscriptions, webhook_secrets};
use upstream::Target;

use super::{Gateway, ResolvedIntegration};
use crate::connection_webhooks::ConnectionSecrets;
use crate::error::{GatewayError, Result};

/// How many connections of an integration with the same account get its events, oldest first.
const MOST_CONNECTIONS: usize = 100;

/// A webhook address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WebhookAddress {
    /// That of an integration, as the path names it.
    Integration {
        /// The environment's name.
        environment: String,
        /// The integration's key.
        integration: String,
    },
    /// The random address of a connection, by the hash of its secret.
    Connection {
        /// The hash.
        hash: String,
    },
}

/// What is behind a webhook address.
pub(crate) struct Receiver {
    pub(crate) environment: EnvironmentId,
    pub(crate) integration: ResolvedIntegration,
    /// The connection, if the address is its own.
    pub(crate) own: Option<Arc<Vec<Verifier>>>,
    /// The secrets that the integration itself has.
    pub(crate) shared: Candidates,
}

/// A connection, and the secrets with which its requests may be signed.
pub(crate) struct Verifier {
    pub(crate) connection: Connection,
    pub(crate) candidates: Candidates,
}

impl Gateway {
    /// Returns what is behind a webhook address; `None` if there is nothing, or if the provider sends nothing.
    pub(crate) async fn receiver(&self, address: &WebhookAddress) -> Result<Option<Arc<Receiver>>> {
        let cache = &self.caches.receivers;
        if let Some(receiver) = cache.get(address) {
            return Ok(Some(receiver));
        }
        let generation = cache.generation();
        let found = match address {
            WebhookAddress::Integration {
                environment,
                integration,
            } => self.receiver_of_integration(environment, integration).await?,
            WebhookAddress::Connection { hash } => self.receiver_of_connection(hash).await?,
        };
        let found = found.map(Arc::new);
        if let Some(receiver) = &found {
            cache.insert(address.clone(), Arc::clone(receiver), generation);
        }
        Ok(found)
    }

    async fn receiver_of_integration(&self, environment: &str, key: &str) -> Result<Option<Receiver>> {
        let Ok(name) = environment.parse::<EnvironmentName>() else {
            return Ok(None);
        };
        let found = self.store.read(move |c| environments::by_name(c, &name)).await;
        let environment = match found {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            found => found?.id,
        };
        let integration = match self.resolve_integration(environment, key).await {
            Err(GatewayError::UnknownIntegration(_)) => return Ok(None),
            found => found?,
        };
        // Nothing was ever connected under a key without a row.
        if integration.row.is_none() || integration.provider.webhooks.is_none() {
            return Ok(None);
        }
        Ok(Some(Receiver {
            environment,
            shared: self.shared_secrets(&integration).await?,
            integration,
            own: None,
        }))
    }

    async fn receiver_of_connection(&self, hash: &str) -> Result<Option<Receiver>> {
        let hash = hash.to_owned();
        let read = self.store.read(move |c| {
            let secret = webhook_secrets::by_hash_any_environment(c, &hash)?;
            match secret.and_then(|secret| secret.connection_id) {
                Some(id) => connections::get_any_environment(c, id),
                None => Ok(None),
            }
        });
        let Some(connection) = read.await? else {
            return Ok(None);
        };
        let key = connection.integration.as_str();
        let integration = match self.resolve_integration(connection.environment, key).await {
            Err(GatewayError::UnknownIntegration(_)) => return Ok(None),
            found => found?,
        };
        if integration.provider.webhooks.is_none() {
            return Ok(None);
        }
        let environment = connection.environment;
        let own = match self.verifier(connection).await {
            Err(error) if is_lost(&error) => return Err(GatewayError::WebhookUnready),
            verifier => verifier?,
        };
        Ok(Some(Receiver {
            environment,
            shared: Candidates::default(),
            own: Some(Arc::new(vec![own])),
            integration,
        }))
    }

    /// Returns the secrets that need no connection.
    async fn shared_secrets(&self, integration: &ResolvedIntegration) -> Result<Candidates> {
        let config = match self.integration_config(integration).await {
            Err(GatewayError::IntegrationSecretsLost(_)) => return Ok(Candidates::default()),
            config => config?,
        };
        let lookup = |name: &str| config.get(name.strip_prefix("integrationConfig.")?).cloned();
        let webhooks = integration.provider.webhooks.as_ref();
        Ok(webhooks.map_or_else(Candidates::default, |webhooks| {
            Candidates::collect(webhooks, &lookup, &[])
        }))
    }

    /// Opens the secrets of the connection's webhooks.
    pub(crate) async fn connection_secrets(&self, connection: &Connection) -> Result<ConnectionSecrets> {
        let id = connection.id;
        let read = self.store.read(move |c| {
            let secrets = webhook_secrets::of_connection(c, id)?;
            Ok((secrets, subscriptions::of_connection(c, id)?))
        });
        let (secrets, subscriptions) = read.await?;
        ConnectionSecrets::open(&self.keys, &secrets, subscriptions).await
    }

    /// Whether the connection has a secret with which its provider signs, or the provider signs nothing.
    pub(crate) fn can_verify(&self, target: &Target, secrets: &ConnectionSecrets) -> bool {
        target.provider.webhooks.as_ref().is_some_and(|webhooks| {
            webhooks.needs_own_address() || !self.candidates(webhooks, target, secrets).is_empty()
        })
    }

    /// Collects the secrets with which a connection's requests may be signed.
    fn candidates(&self, webhooks: &Webhooks, target: &Target, secrets: &ConnectionSecrets) -> Candidates {
        let stored = secrets.signing(self.clock.now());
        Candidates::collect(webhooks, &|name| target.variables.lookup(name), &stored)
    }

    async fn verifier(&self, connection: Connection) -> Result<Verifier> {
        let target = self.target(&connection).await?;
        let secrets = self.connection_secrets(&connection).await?;
        let webhooks = target.provider.webhooks.as_ref();
        let candidates = webhooks.map_or_else(Candidates::default, |webhooks| {
            self.candidates(webhooks, &target, &secrets)
        });
        // Without its secret, an address whose signature is optional would accept anything.
        if secrets.lost && candidates.is_empty() {
            return Err(GatewayError::WebhookUnready);
        }
        Ok(Verifier {
            connection,
            candidates,
        })
    }

    /// Returns the connections of an integration whose configuration has the value that the provider's file looks for.
    pub(crate) async fn verifiers(
        &self,
        environment: EnvironmentId,
        integration: &ResolvedIntegration,
        value: &str,
    ) -> Result<Arc<Vec<Verifier>>> {
        let provider = &integration.provider;
        let Some(matched) = provider
            .webhooks
            .as_ref()
            .and_then(|webhooks| webhooks.connection.as_ref())
        else {
            return Ok(Arc::default());
        };
        let value = bare(provider, &matched.config, value).to_owned();
        // No connection has such a value, and a database may refuse to look for it. The signature has not been verified.
        if value.len() > LONGEST_CONFIG_VALUE || value.contains('\0') {
            return Ok(Arc::default());
        }
        let cache = &self.caches.verifiers;
        let cached = (environment, integration.key.clone(), value.clone());
        if let Some(found) = cache.get(&cached) {
            return Ok(found);
        }
        let generation = cache.generation();
        let (key, config) = (integration.key.clone(), matched.config.clone());
        let read = self.store.read(move |c| {
            let limit = i64::try_from(MOST_CONNECTIONS).unwrap_or(i64::MAX);
            connections::with_config(c, environment, &key, (&config, &value), limit + 1)
        });
        let mut with_value = read.await?;
        if with_value.len() > MOST_CONNECTIONS {
            tracing::warn!(
                integration = %integration.key,
                "more than {MOST_CONNECTIONS} connections have the same account: only the oldest get its events"
            );
            with_value.truncate(MOST_CONNECTIONS);
        }
        let mut found = Vec::with_capacity(with_value.len());
        for connection in with_value {
            match self.verifier(connection.clone()).await {
                Err(error) if is_lost(&error) => found.push(Verifier {
                    connection,
                    candidates: Candidates::default(),
                }),
                verifier => found.push(verifier?),
            }
        }
        let found = Arc::new(found);
        // An account that no connection has yet is looked up again, so that it counts as soon as it is connected.
        if !found.is_empty() {
            cache.insert(cached, Arc::clone(&found), generation);
        }
        Ok(found)
    }
}

/// Removes what the provider's address adds to the value of a field.
fn bare<'a>(provider: &Provider, config: &str, value: &'a str) -> &'a str {
    let field = provider.connection_config.get(config);
    field.map_or(value, |field| field.bare(value))
}

/// Whether the secrets of a connection cannot be opened, or it has none any more.
const fn is_lost(error: &GatewayError) -> bool {
    matches!(
        error,
        GatewayError::WebhookUnready
            | GatewayError::CredentialsLost(_)
            | GatewayError::IntegrationSecretsLost(_)
            | GatewayError::UnknownIntegration(_)
            | GatewayError::Store(StoreError::NotFound { .. })
    )
}
