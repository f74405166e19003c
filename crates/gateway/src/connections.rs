//! Connections: lists, shows, verifies, changes and deletes them.

mod connect;
mod import;
mod patch;

use std::collections::BTreeMap;

use domain::{Connection, ConnectionFilter};
use registry::AuthMode;
use secrecy::SecretString;
use store::connections;
use store::{credentials as sealed_credentials, syncs};

pub use self::connect::ConnectRequest;
pub use self::import::Import;
pub use self::patch::{ConnectionPatch, MetadataChange};
use crate::caller::{Caller, Scope};
use crate::credentials::{self, verify_stored};
use crate::deletion;
use crate::error::GatewayError;
use crate::services::{Names, ResolvedConnection, Services};
use crate::sync_permissions::{SyncProblem, sync_problems};

/// The use cases of connections.
pub struct Connections<'a>(pub(crate) &'a Services);

/// The path of the configuration in bodies that create or change a connection.
const CONFIG: &[&str] = &["connection_config"];

/// A connection in a list.
#[derive(Debug)]
pub struct ListedConnection {
    /// The connection.
    pub connection: Connection,
    /// The problems of its syncs.
    pub sync_problems: Vec<SyncProblem>,
}

/// A connection with its credentials.
#[derive(Debug)]
pub struct FullConnection {
    /// The connection.
    pub connection: Connection,
    /// Its decrypted credentials; `None` if the caller may not see them.
    pub credentials: Option<StoredCredentials>,
    /// The problems of its syncs.
    pub sync_problems: Vec<SyncProblem>,
}

/// What a request for a connection wants of its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowCredentials {
    /// Shows them if the caller may see them.
    IfAllowed,
    /// Shows them, or refuses the caller.
    Required,
    /// Like `Required`, and verifies them with the provider first.
    Verified,
}

/// Decrypted credentials.
#[derive(Debug)]
pub enum StoredCredentials {
    /// One key.
    ApiKey(SecretString),
    /// User name and password, of which a provider may need only one.
    Basic {
        /// The user name.
        username: SecretString,
        /// The password.
        password: SecretString,
    },
}

impl StoredCredentials {
    fn new(mode: AuthMode, values: &BTreeMap<String, SecretString>) -> Self {
        let value = |name: &str| values.get(name).cloned().unwrap_or_default();
        match mode {
            AuthMode::ApiKey => Self::ApiKey(value("apiKey")),
            AuthMode::Basic => Self::Basic {
                username: value("username"),
                password: value("password"),
            },
        }
    }
}

/// Credentials that work.
#[derive(Debug)]
pub struct Verified {
    /// The provider's display name.
    pub display_name: String,
    /// Whether they were verified: if the provider's file has no verification, any credentials are accepted.
    pub verified: bool,
}

impl Connections<'_> {
    /// Lists the connections of the caller's environment, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: ConnectionFilter,
    ) -> Result<Vec<ListedConnection>, GatewayError> {
        let environment = caller.environment;
        let read = self.0.store.read(move |c| {
            let rows = connections::list(c, environment, &filter)?;
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            let problems = syncs::with_problem(c, environment, &ids)?;
            Ok((rows, problems))
        });
        let (rows, problems) = read.await?;
        let mut problems = sync_problems(self.0, problems);
        let listed = rows.into_iter().map(|row| ListedConnection {
            sync_problems: problems.remove(&row.id).unwrap_or_default(),
            connection: without_secrets(self.0, row),
        });
        Ok(listed.collect())
    }

    /// Returns one connection, without its credentials.
    pub async fn find(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
    ) -> Result<Connection, GatewayError> {
        let resolved = self.0.resolve(Names::of(caller, integration, name)).await?;
        Ok(without_secrets(self.0, resolved.connection))
    }

    /// Returns one connection, with its credentials if the caller may see them.
    pub async fn show(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
        show: ShowCredentials,
    ) -> Result<FullConnection, GatewayError> {
        let may_see = caller.may(Scope::ConnectionsReadCredentials);
        if show != ShowCredentials::IfAllowed && !may_see {
            return Err(GatewayError::Forbidden(Scope::ConnectionsReadCredentials));
        }
        let names = Names::of(caller, integration, name);
        let read = self.0.resolve_and_read(names, move |c, _, connection| {
            let Some(connection) = connection else {
                return Ok(None);
            };
            let problems = syncs::with_problem(c, connection.environment, &[connection.id])?;
            let sealed = may_see
                .then(|| sealed_credentials::get(c, connection.id))
                .transpose()?;
            Ok(Some((problems, sealed)))
        });
        let (integration, connection, read) = read.await?;
        let mut resolved = names.found(integration, connection)?;
        let (problems, sealed) = read.unwrap_or_default();
        let mut problems = sync_problems(self.0, problems);
        let sync_problems = problems.remove(&resolved.connection.id).unwrap_or_default();
        let opened = match &sealed {
            Some(sealed) => match self.0.open(&resolved, sealed).await {
                // There are no credentials; the problem of the connection says why.
                Err(GatewayError::CredentialsLost(_) | GatewayError::IntegrationSecretsLost(_))
                    if show == ShowCredentials::IfAllowed =>
                {
                    None
                }
                opened => Some(opened?),
            },
            None => None,
        };
        let mut credentials = None;
        if let Some(target) = opened {
            if show == ShowCredentials::Verified {
                verify_stored(self.0, &resolved.connection, &target).await?;
                resolved.connection.problem = None;
            }
            let (id, now) = (resolved.connection.id, self.0.clock.now());
            let store = &self.0.store;
            let write = store.write(move |c| connections::touch(c, id, now));
            write.await?;
            resolved.connection.last_fetched_at = Some(now);
            credentials = Some(StoredCredentials::new(
                target.provider.auth,
                &target.variables.credentials,
            ));
        }
        Ok(FullConnection {
            connection: without_secrets(self.0, resolved.connection),
            credentials,
            sync_problems,
        })
    }

    /// Deletes a connection, its sealed credentials, its syncs and its rows. An interrupted deletion can be repeated.
    pub async fn delete(&self, caller: &Caller, integration: &str, name: &str) -> Result<(), GatewayError> {
        let resolved = self.0.resolve(Names::of(caller, integration, name)).await?;
        deletion::delete_connection(self.0, &resolved.connection).await
    }

    /// Verifies the stored credentials of a connection at its provider, and stores the result on the connection.
    pub async fn verify(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
    ) -> Result<Verified, GatewayError> {
        let names = Names::of(caller, integration, name);
        let (resolved, sealed) = self.0.resolve_with_credentials(names).await?;
        let target = self.0.open(&resolved, &sealed).await?;
        let ResolvedConnection { connection, .. } = &resolved;
        verify_stored(self.0, connection, &target).await?;
        let provider = &target.provider;
        Ok(Verified {
            display_name: provider.display_name.clone(),
            verified: provider.verification.is_some(),
        })
    }

    /// Returns the message for a caller that tries to connect a provider with OAuth.
    pub fn how_to_connect(&self, provider: &str) -> Result<String, GatewayError> {
        let unknown = || GatewayError::UnknownIntegration(provider.to_owned());
        let provider = self.0.registry.get(provider).ok_or_else(unknown)?;
        Ok(credentials::how_to_connect(provider))
    }
}

/// The connection without the secret fields of its configuration, which older versions stored in clear.
fn without_secrets(services: &Services, mut row: Connection) -> Connection {
    if let Some(provider) = services.registry.get(row.provider.as_str()) {
        row.connection_config
            .retain(|name, _| !provider.is_secret_config(name));
    }
    row
}
