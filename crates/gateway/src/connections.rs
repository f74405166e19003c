//! Connections: made, listed, shown, deleted.

use std::sync::Arc;

use domain::{Connection, ConnectionFilter, ConnectionId, SyncFilter, Variant};
use registry::AuthMode;
use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use store::connections;
use store::syncs;
use store::{credentials, records, tables};
use upstream::Target;

use crate::gateway::Inner;
use crate::held::{DELETE_BATCH, Holder};
use crate::models::ModelTable;
use crate::permissions::SyncProblem;
use crate::{Caller, ConnectRequest, Connected, GatewayError, Scope};

/// The use cases of connections.
pub struct Connections<'a>(pub(crate) &'a Inner);

/// A connection as a caller may see it.
#[derive(Debug)]
pub struct Shown {
    /// The connection.
    pub connection: Connection,
    /// Its credentials in plain; `None` for who may not see them.
    pub credentials: Option<Credential>,
    /// What is wrong with its syncs.
    pub sync_problems: Vec<SyncProblem>,
}

/// A connection as a list shows it.
#[derive(Debug)]
pub struct Listed {
    /// The connection.
    pub connection: Connection,
    /// What is wrong with its syncs.
    pub sync_problems: Vec<SyncProblem>,
}

/// What somebody who looks at a connection asks of its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// To see them if they may.
    AsAllowed,
    /// To see them, or to be refused.
    Credentials,
    /// The same, and to have them tried at the provider first.
    CredentialsTried,
}

/// Credentials in plain.
#[derive(Debug)]
pub enum Credential {
    /// One key.
    ApiKey(SecretString),
    /// User name and password, of which a provider may do without one.
    Basic {
        /// The user name.
        username: SecretString,
        /// The password.
        password: SecretString,
    },
}

/// Credentials that were tried and are good.
#[derive(Debug)]
pub struct Verified {
    /// The provider's name for people.
    pub display_name: String,
    /// Whether they were tried: without a verification in the provider's file any are taken.
    pub tried: bool,
}

impl Connections<'_> {
    /// Tries the credentials and stores them; the same name again replaces them and keeps the synced rows.
    pub async fn connect(
        &self,
        caller: &Caller,
        integration: &str,
        body: Map<String, Json>,
    ) -> Result<Connected, GatewayError> {
        let integration = self.0.integration(caller.environment, integration).await?;
        self.0
            .connect(caller, &integration, ConnectRequest::parse(body)?)
            .await
    }

    /// The connections of the caller's environment, newest first.
    pub async fn list(&self, caller: &Caller, filter: ConnectionFilter) -> Result<Vec<Listed>, GatewayError> {
        let environment = caller.environment;
        let rows = self
            .0
            .store
            .read(move |c| connections::list(c, environment, &filter))
            .await?;
        let mut problems = self.0.sync_problems(environment, &rows).await?;
        let listed = rows.into_iter().map(|row| Listed {
            sync_problems: problems.remove(&row.id).unwrap_or_default(),
            connection: self.0.shown(row),
        });
        Ok(listed.collect())
    }

    /// One connection, without its credentials.
    pub async fn find(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
    ) -> Result<Connection, GatewayError> {
        let row = self.0.connection(caller, integration, name).await?;
        Ok(self.0.shown(row))
    }

    /// One connection, with its credentials for who may see them.
    pub async fn show(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
        look: Look,
    ) -> Result<Shown, GatewayError> {
        let may_see = caller.may(Scope::ConnectionsReadCredentials);
        if look != Look::AsAllowed && !may_see {
            return Err(GatewayError::Forbidden(Scope::ConnectionsReadCredentials));
        }
        let mut connection = self.0.connection(caller, integration, name).await?;
        let sync_problems = self.0.sync_problems_of(&connection).await?;
        if !may_see {
            return Ok(Shown {
                connection: self.0.shown(connection),
                credentials: None,
                sync_problems,
            });
        }
        let (target, credentials) = match self.0.opened(&connection).await {
            // There is nothing to see; its problem, or that of its runs, says why.
            Err(GatewayError::CredentialsLost(_) | GatewayError::IntegrationSecretsLost(_))
                if look == Look::AsAllowed =>
            {
                return Ok(Shown {
                    connection: self.0.shown(connection),
                    credentials: None,
                    sync_problems,
                });
            }
            opened => opened?,
        };
        if look == Look::CredentialsTried {
            self.0.try_stored(&connection, &target).await?;
            connection.problem = None;
        }
        let (id, now) = (connection.id, self.0.clock.now());
        self.0
            .store
            .write(move |c| connections::touch(c, id, now))
            .await?;
        connection.last_fetched_at = Some(now);
        Ok(Shown {
            connection: self.0.shown(connection),
            credentials: Some(credentials),
            sync_problems,
        })
    }

    /// Deletes a connection, its sealed credentials, its syncs and its synced rows.
    ///
    /// First its syncs are taken from whoever holds them, so that nobody writes behind the deletion, and the credentials go.
    /// The rows follow in batches and the connection last: cut off in the middle, the deletion can be repeated.
    pub async fn delete(&self, caller: &Caller, integration: &str, name: &str) -> Result<(), GatewayError> {
        let row = self.0.connection(caller, integration, name).await?;
        self.0.delete_connection(&row).await
    }

    /// Tries the stored credentials of a connection at its provider, and notes on the connection what comes of it.
    pub async fn verify(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
    ) -> Result<Verified, GatewayError> {
        let row = self.0.connection(caller, integration, name).await?;
        let target = self.0.target(&row).await?;
        self.0.try_stored(&row, &target).await?;
        let provider = &target.provider;
        Ok(Verified {
            display_name: provider.display_name.clone(),
            tried: provider.verification.is_some(),
        })
    }

    /// What to tell somebody who tries to connect a provider by OAuth.
    pub fn how_to_connect(&self, provider: &str) -> Result<String, GatewayError> {
        let unknown = || GatewayError::UnknownIntegration(provider.to_owned());
        let provider = self.0.registry.get(provider).ok_or_else(unknown)?;
        Ok(crate::form::how_to_connect(provider))
    }
}

impl Inner {
    /// The credentials of the connection, in plain, and the target that they are for.
    pub(crate) async fn opened(&self, row: &Connection) -> Result<(Target, Credential), GatewayError> {
        let target = self.target(row).await?;
        let value = |name: &str| {
            target
                .variables
                .credentials
                .get(name)
                .cloned()
                .unwrap_or_default()
        };
        let credential = match target.provider.auth {
            AuthMode::ApiKey => Credential::ApiKey(value("apiKey")),
            AuthMode::Basic => Credential::Basic {
                username: value("username"),
                password: value("password"),
            },
        };
        Ok((target, credential))
    }

    pub(crate) async fn delete_connection(&self, row: &Connection) -> Result<(), GatewayError> {
        let (environment, key, name, id) =
            (row.environment, row.integration.clone(), row.name.clone(), row.id);
        let filter = SyncFilter {
            integration: Some(key.clone()),
            connection_name: Some(name.clone()),
            names: None,
        };
        let now = self.clock.now();
        let holder = Holder::new(now);
        let theirs = self
            .store
            .write(move |c| {
                let theirs = syncs::list(c, environment, &filter)?;
                for sync in &theirs {
                    holder.take(c, sync.id, now)?;
                    syncs::set_paused(c, sync.id, true, None, now)?;
                }
                credentials::delete(c, id)?;
                Ok(theirs)
            })
            .await?;
        self.recent.connections_changed();
        for table in self.models.of_provider(&row.provider) {
            self.delete_rows(table, row.id).await?;
        }
        for sync in theirs.iter().filter(|sync| sync.variant != Variant::base()) {
            if let Some(table) = self.table(&sync.provider, &sync.name, &sync.variant).await? {
                self.delete_rows(&table, row.id).await?;
            }
        }
        let variants: Vec<_> = theirs
            .into_iter()
            .filter_map(|sync| Some((self.models.variant_table(&sync)?, sync)))
            .collect();
        for (_, sync) in &variants {
            self.models.forget(sync);
        }
        let deleted = self.store.write_long(move |c| {
            if !variants.is_empty() {
                tables::lock(c)?;
            }
            // By its number: one that bears the name by now is another.
            connections::delete(c, id)?;
            for (table, sync) in &variants {
                tables::drop_unused(c, &sync.provider, &sync.name, &sync.variant, table)?;
            }
            Ok(())
        });
        Ok(deleted.await?)
    }

    /// Deletes a connection's rows of one table in batches.
    pub(crate) async fn delete_rows(
        &self,
        table: &Arc<ModelTable>,
        connection: ConnectionId,
    ) -> Result<(), GatewayError> {
        loop {
            let table = Arc::clone(table);
            let deleted = self
                .store
                .write_long(move |c| records::delete_connection(c, &table.sql, connection, DELETE_BATCH))
                .await?;
            if deleted == 0 {
                return Ok(());
            }
        }
    }
}
