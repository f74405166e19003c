//! Resolves the integration and the connection that a request names, in one read of the database.

use std::sync::Arc;

use domain::{Connection, ConnectionName, EnvironmentId, IntegrationKey, StoredIntegration};
use registry::{Provider, Registry};
use store::connections;
use store::integrations;
use store::{DbConn, StoreError, credentials};

use super::Gateway;
use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::log_context::LogContext;

/// An integration that a request names, found by its key.
#[derive(Debug, Clone)]
pub struct ResolvedIntegration {
    /// Its key.
    pub key: IntegrationKey,
    /// Its provider.
    pub provider: Arc<Provider>,
    /// Its row; `None` if the environment uses a provider under its own name and has no row for it.
    pub row: Option<StoredIntegration>,
}

/// A connection that a request names, with its integration and provider.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedConnection {
    pub(crate) integration: ResolvedIntegration,
    pub(crate) connection: Connection,
}

/// The integration and the connection that a request names in one environment, as the request wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub(crate) environment: EnvironmentId,
    /// The integration's key.
    pub(crate) integration: &'a str,
    /// The connection's name; a text that is not a valid name resolves to no connection.
    pub(crate) connection: &'a str,
}

/// The integration, its connection if there is one of that name, and what was read with them; `None` if there is no such integration.
type Found<T> = Option<(ResolvedIntegration, Option<Connection>, T)>;

impl Gateway {
    /// The environment's integration of that key: an integration that was created, or else the provider with that name.
    pub async fn resolve_integration(
        &self,
        environment: EnvironmentId,
        key: &str,
    ) -> Result<ResolvedIntegration> {
        let names = Names {
            environment,
            integration: key,
            connection: "",
        };
        Ok(self.resolve_optional(names).await?.0)
    }

    /// The integration, and its connection if there is one of that name.
    pub(crate) async fn resolve_optional(
        &self,
        names: Names<'_>,
    ) -> Result<(ResolvedIntegration, Option<Connection>)> {
        let (integration, connection, ()) = self.resolve_and_read(names, |_, _, _| Ok(())).await?;
        Ok((integration, connection))
    }

    /// The connection and its integration, or an error that quotes the missing name from the request.
    pub(crate) async fn resolve(&self, names: Names<'_>) -> Result<ResolvedConnection> {
        let (integration, connection) = self.resolve_optional(names).await?;
        names.found(integration, connection)
    }

    /// [`Self::resolve`] with the connection's sealed credentials.
    ///
    /// The credentials are read before the returned connection, so the connection is never older than they are. A change based on both is
    /// refused if the credentials were replaced since.
    pub(crate) async fn resolve_with_credentials(
        &self,
        names: Names<'_>,
    ) -> Result<(ResolvedConnection, String)> {
        let read = |c: &mut DbConn, _: &ResolvedIntegration, connection: Option<&Connection>| {
            let Some(connection) = connection else {
                return Ok(None);
            };
            let sealed = credentials::get(c, connection.id)?;
            Ok(connections::get_any_environment(c, connection.id)?.map(|connection| (connection, sealed)))
        };
        let (integration, _, read) = self.resolve_and_read(names, read).await?;
        let (connection, sealed) = read.unzip();
        Ok((names.found(integration, connection)?, sealed.unwrap_or_default()))
    }

    /// Like [`Self::resolve_optional`]; `then` reads more in the same read of the database.
    pub(crate) async fn resolve_and_read<T: Send + 'static>(
        &self,
        names: Names<'_>,
        then: impl FnOnce(&mut DbConn, &ResolvedIntegration, Option<&Connection>) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<(ResolvedIntegration, Option<Connection>, T)> {
        let read = self.read_names(names, then)?;
        names.record(self.store.read(read).await?)
    }

    /// Returns a closure that resolves the names on a database connection and then runs `then`. Pass its result to [`Names::record`].
    pub(crate) fn read_names<T: Send + 'static>(
        &self,
        names: Names<'_>,
        then: impl FnOnce(&mut DbConn, &ResolvedIntegration, Option<&Connection>) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<impl FnOnce(&mut DbConn) -> Result<Found<T>, StoreError> + Send + 'static> {
        let (environment, registry) = (names.environment, Arc::clone(&self.registry));
        let key: IntegrationKey = names
            .integration
            .parse()
            .map_err(|_| names.unknown_integration())?;
        let name: Option<ConnectionName> = names.connection.parse().ok();
        Ok(move |c: &mut DbConn| {
            let both = match name {
                Some(name) => connections::find_with_integration(c, environment, &key, &name)?,
                None => None,
            };
            let (row, connection) = match both {
                Some((connection, row)) => (row, Some(connection)),
                None => (integrations::find(c, environment, &key)?, None),
            };
            let Some(integration) = with_provider(&registry, key, row) else {
                return Ok(None);
            };
            let read = then(c, &integration, connection.as_ref())?;
            Ok(Some((integration, connection, read)))
        })
    }
}

impl<'a> Names<'a> {
    /// The names in a caller's request.
    pub fn of(caller: &Caller, integration: &'a str, connection: &'a str) -> Self {
        Self {
            environment: caller.environment,
            integration,
            connection,
        }
    }

    /// Names only the integration of `connection`.
    pub(crate) fn of_integration(connection: &'a Connection) -> Self {
        Self {
            environment: connection.environment,
            integration: connection.integration.as_str(),
            connection: "",
        }
    }

    fn unknown_integration(&self) -> GatewayError {
        GatewayError::UnknownIntegration(self.integration.to_owned())
    }

    pub(crate) fn unknown_connection(&self) -> GatewayError {
        GatewayError::unknown_connection(self.connection, self.integration)
    }

    /// Adds the resolved names to the log, or returns the error that there is no such integration.
    pub(crate) fn record<T>(self, found: Found<T>) -> Result<(ResolvedIntegration, Option<Connection>, T)> {
        let found = found.ok_or_else(|| self.unknown_integration())?;
        LogContext::record(&found.0.key, found.1.as_ref().map(|connection| &connection.name));
        Ok(found)
    }

    /// Returns both, or the error that there is no such connection.
    pub(crate) fn found(
        self,
        integration: ResolvedIntegration,
        connection: Option<Connection>,
    ) -> Result<ResolvedConnection> {
        let connection = connection.ok_or_else(|| self.unknown_connection())?;
        Ok(ResolvedConnection {
            integration,
            connection,
        })
    }
}

/// Returns the integration of that key. `None` if the registry lacks the provider that its row names, or, without a row, a provider with
/// the key's name.
fn with_provider(
    registry: &Registry,
    key: IntegrationKey,
    row: Option<StoredIntegration>,
) -> Option<ResolvedIntegration> {
    let name = row.as_ref().map_or(key.as_str(), |row| row.provider.as_str());
    let provider = Arc::clone(registry.get(name)?);
    Some(ResolvedIntegration { key, provider, row })
}
