//! Finds the integration and the connection that a request names, in one read of the database.

use std::sync::Arc;

use domain::{Connection, ConnectionName, EnvironmentId, IntegrationKey, StoredIntegration};
use registry::Registry;
use store::connections;
use store::integrations;
use store::{DbConn, StoreError};

use crate::gateway::{Inner, Integration};
use crate::subject::Subject;
use crate::{Caller, GatewayError};

/// An integration, its connection if there is one of the name, and what was read with them.
type Found<T> = (Integration, Option<Connection>, T);

/// What a read gives; `None` if there is no such integration.
type Read<T> = Result<Option<Found<T>>, StoreError>;

/// The names in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The integration's key.
    pub(crate) integration: &'a str,
    /// The connection's name.
    pub(crate) connection: &'a str,
}

impl Inner {
    /// The environment's integration of that key: one that was made, or a provider by its own name.
    pub(crate) async fn integration(
        &self,
        environment: EnvironmentId,
        key: &str,
    ) -> Result<Integration, GatewayError> {
        let unknown = || GatewayError::UnknownIntegration(key.to_owned());
        let parsed: IntegrationKey = key.parse().map_err(|_| unknown())?;
        let wanted = parsed.clone();
        let row = self
            .store
            .read(move |c| integrations::find(c, environment, &wanted))
            .await?;
        let found = integration(&self.registry, parsed, row).ok_or_else(unknown)?;
        Subject::found_integration(&found.key);
        Ok(found)
    }

    /// The connection of that name, or an error that names it as the caller did.
    pub(crate) async fn connection(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
    ) -> Result<Connection, GatewayError> {
        let names = Names {
            integration,
            connection,
        };
        self.integration_and_connection(caller, names).await?.1
    }

    /// The integration, and the connection or the error that there is none of that name.
    pub(crate) async fn integration_and_connection(
        &self,
        caller: &Caller,
        names: Names<'_>,
    ) -> Result<(Integration, Result<Connection, GatewayError>), GatewayError> {
        let look = self.look(caller, names, |_, _, _| Ok(()))?;
        let (integration, connection, ()) = names.found(self.store.read(look).await?)?;
        Ok((integration, connection))
    }

    /// Like [`Self::integration_and_connection`], and `then` reads further on the same database connection. It may take as long as a
    /// page of records.
    pub(crate) async fn integration_and_connection_with<T: Send + 'static>(
        &self,
        caller: &Caller,
        names: Names<'_>,
        then: impl FnOnce(&mut DbConn, &Integration, Option<&Connection>) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<(Integration, Result<Connection, GatewayError>, T), GatewayError> {
        let look = self.look(caller, names, then)?;
        names.found(self.store.read_long(look).await?)
    }

    /// What reads the integration, the connection and the rest.
    fn look<T>(
        &self,
        caller: &Caller,
        names: Names<'_>,
        then: impl FnOnce(&mut DbConn, &Integration, Option<&Connection>) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<impl FnOnce(&mut DbConn) -> Read<T> + Send + 'static, GatewayError>
    where
        T: Send + 'static,
    {
        let (environment, registry) = (caller.environment, Arc::clone(&self.registry));
        let key: IntegrationKey = names
            .integration
            .parse()
            .map_err(|_| GatewayError::UnknownIntegration(names.integration.to_owned()))?;
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
            let Some(integration) = integration(&registry, key, row) else {
                return Ok(None);
            };
            let read = then(c, &integration, connection.as_ref())?;
            Ok(Some((integration, connection, read)))
        })
    }
}

impl Names<'_> {
    /// Notes what was found for the log, and turns what was not found into errors.
    fn found<T>(
        self,
        found: Option<Found<T>>,
    ) -> Result<(Integration, Result<Connection, GatewayError>, T), GatewayError> {
        let (integration, connection, read) =
            found.ok_or_else(|| GatewayError::UnknownIntegration(self.integration.to_owned()))?;
        match &connection {
            Some(row) => Subject::found_connection(&row.integration, &row.name),
            None => Subject::found_integration(&integration.key),
        }
        let connection = connection.ok_or_else(|| GatewayError::UnknownConnection {
            connection: self.connection.to_owned(),
            integration: self.integration.to_owned(),
        });
        Ok((integration, connection, read))
    }
}

/// The integration of that key, if it has a row or a provider has this name.
fn integration(
    registry: &Registry,
    key: IntegrationKey,
    row: Option<StoredIntegration>,
) -> Option<Integration> {
    let name = row.as_ref().map_or(key.as_str(), |row| row.provider.as_str());
    let provider = Arc::clone(registry.get(name)?);
    Some(Integration { key, provider, row })
}
