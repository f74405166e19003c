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
    /// Its row; `None` while nothing was ever connected or set under a provider's own name, which every environment may use.
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
    /// The environment's integration of that key: one that was made, or a provider by its own name, which every environment may use.
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

    /// The connection and its integration, or an error that names what is missing as the caller did.
    pub(crate) async fn resolve(&self, names: Names<'_>) -> Result<ResolvedConnection> {
        let (integration, connection) = self.resolve_optional(names).await?;
        names.found(integration, connection)
    }

    /// [`Self::resolve`] with the connection's sealed credentials.
    ///
    /// They are read before what is returned of the connection, so that neither is older than the credentials: a change that is based
    /// on both is refused if the credentials were replaced since.
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

    /// [`Self::resolve_optional`], and `then` reads further in the same read.
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

    /// Returns what resolves the names, and reads further with `then`, on a connection to the database. [`Names::record`] takes the result.
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

    /// The integration of a connection alone.
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

    /// Adds the resolved names to the log.
    pub(crate) fn record<T>(self, found: Found<T>) -> Result<(ResolvedIntegration, Option<Connection>, T)> {
        let found = found.ok_or_else(|| self.unknown_integration())?;
        LogContext::record(&found.0.key, found.1.as_ref().map(|connection| &connection.name));
        Ok(found)
    }

    /// Both, or the error that there is no such connection.
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

/// The integration of that key, if it has a row or a provider has this name.
fn with_provider(
    registry: &Registry,
    key: IntegrationKey,
    row: Option<StoredIntegration>,
) -> Option<ResolvedIntegration> {
    let name = row.as_ref().map_or(key.as_str(), |row| row.provider.as_str());
    let provider = Arc::clone(registry.get(name)?);
    Some(ResolvedIntegration { key, provider, row })
}
