//! Connections: lists, shows, verifies, changes and deletes them.

mod connect;
mod import;
mod patch;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Connection, ConnectionFilter, Sync};
use registry::{AuthMode, Provider};
use secrecy::SecretString;
use store::connections;
use store::{credentials as sealed_credentials, syncs};

pub use self::connect::{ConnectRequest, connect};
pub use self::import::{Import, import};
pub use self::patch::{ConnectionPatch, MetadataChange, patch, set_metadata};
use crate::caller::{Caller, Scope};
use crate::credentials::{self, verify_stored};
use crate::deletion;
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::sync_permissions::declared_by_connection;

/// A connection with its syncs that have a problem and, if they are shown, its credentials.
#[derive(Debug)]
pub struct ConnectionDetails {
    /// The connection.
    pub connection: Connection,
    /// Its syncs that have a problem.
    pub syncs_with_problem: Vec<Sync>,
    /// Its decrypted credentials, by the names under which they are stored. `None` in a list, if the caller may not see them, or if a lost
    /// encryption key sealed them or the secret fields of their integration.
    pub credentials: Option<(AuthMode, BTreeMap<String, SecretString>)>,
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

/// Lists the connections of the caller's environment, newest first.
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    filter: ConnectionFilter,
) -> Result<Vec<ConnectionDetails>> {
    let environment = caller.environment;
    let read = gateway.store.read(move |c| {
        let rows = connections::list(c, environment, &filter)?;
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let problems = syncs::with_problem(c, environment, &ids)?;
        Ok((rows, problems))
    });
    let (rows, problems) = read.await?;
    let mut problems = declared_by_connection(gateway, problems);
    let listed = rows.into_iter().map(|row| ConnectionDetails {
        syncs_with_problem: problems.remove(&row.id).unwrap_or_default(),
        connection: without_secrets(gateway, row),
        credentials: None,
    });
    Ok(listed.collect())
}

/// Returns one connection, without its credentials.
pub async fn find(gateway: &Gateway, names: Names<'_>) -> Result<Connection> {
    let resolved = gateway.resolve(names).await?;
    Ok(without_secrets(gateway, resolved.connection))
}

/// Returns one connection, with its credentials if the caller may see them.
pub async fn show(
    gateway: &Gateway,
    caller: &Caller,
    names: Names<'_>,
    show: ShowCredentials,
) -> Result<ConnectionDetails> {
    let may_see = caller.may(Scope::ConnectionsReadCredentials);
    if show != ShowCredentials::IfAllowed && !may_see {
        return Err(GatewayError::Forbidden(Scope::ConnectionsReadCredentials));
    }
    let read = gateway.resolve_and_read(names, move |c, _, connection| {
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
    let mut problems = declared_by_connection(gateway, problems);
    let syncs_with_problem = problems.remove(&resolved.connection.id).unwrap_or_default();
    let opened = match &sealed {
        Some(sealed) => match gateway.open(&resolved, sealed).await {
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
            verify_stored(gateway, &resolved.connection, &target).await?;
            resolved.connection.problem = None;
        }
        let (id, now) = (resolved.connection.id, gateway.clock.now());
        let touched = gateway.store.write(move |c| connections::touch(c, id, now));
        touched.await?;
        resolved.connection.last_fetched_at = Some(now);
        credentials = Some((target.provider.auth, target.variables.credentials.clone()));
    }
    Ok(ConnectionDetails {
        connection: without_secrets(gateway, resolved.connection),
        credentials,
        syncs_with_problem,
    })
}

/// Deletes a connection, its sealed credentials, its syncs and its rows. An interrupted deletion can be repeated.
pub async fn delete(gateway: &Gateway, names: Names<'_>) -> Result<()> {
    let resolved = gateway.resolve(names).await?;
    deletion::delete_connection(gateway, &resolved.connection).await
}

/// Verifies the stored credentials of a connection at its provider, and returns the provider. Clears the connection's problem on success,
/// and stores one if the provider says that the credentials are invalid.
///
/// If the provider's file has no verification, any credentials are accepted.
pub async fn verify(gateway: &Gateway, names: Names<'_>) -> Result<Arc<Provider>> {
    let (resolved, sealed) = gateway.resolve_with_credentials(names).await?;
    let target = gateway.open(&resolved, &sealed).await?;
    verify_stored(gateway, &resolved.connection, &target).await?;
    Ok(target.provider)
}

/// Returns the message for a caller that tries to connect a provider with OAuth.
pub fn how_to_connect(gateway: &Gateway, provider: &str) -> Result<String> {
    let unknown = || GatewayError::UnknownIntegration(provider.to_owned());
    let provider = gateway.registry.get(provider).ok_or_else(unknown)?;
    Ok(credentials::how_to_connect(provider))
}

/// The connection without the secret fields of its configuration, which older versions stored in clear.
fn without_secrets(gateway: &Gateway, mut row: Connection) -> Connection {
    if let Some(provider) = gateway.registry.get(row.provider.as_str()) {
        row.connection_config
            .retain(|name, _| !provider.is_secret_config(name));
    }
    row
}
