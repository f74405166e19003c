//! Connections changed: labels, notes, and new credentials in place of the old ones.

use std::collections::BTreeSet;

use domain::{Connection, ConnectionName};
use serde_json::{Map, Value as Json};
use store::StoreError;
use store::connections::{self, ConnectionChange};
use upstream::Target;

use crate::connections::Connections;
use crate::establish::{Authority, Draft};
use crate::given::plain;
use crate::import::{self, CONFIG};
use crate::labels::{self, Labels};
use crate::permissions::UnreadableSync;
use crate::{Caller, GatewayError};

/// What is to be another; `None` stays as it is.
#[derive(Clone, Default)]
pub struct ConnectionPatch {
    /// The app's labels, all of them.
    pub tags: Option<Json>,
    /// The app's user.
    pub end_user: Option<Json>,
    /// Where its events go; empty text for the environment's addresses.
    pub webhook_url_override: Option<String>,
    /// The app's own notes, all of them.
    pub metadata: Option<Map<String, Json>>,
    /// New credentials, as an import gives them.
    pub credentials: Option<Json>,
    /// What else a call must know; what is not named stays.
    pub connection_config: Option<Map<String, Json>>,
}

/// What becomes of the notes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataChange {
    /// They go.
    Replace,
    /// They stay where the new ones have no field of that name.
    Merge,
}

impl Connections<'_> {
    /// Changes a connection.
    ///
    /// New credentials or configuration are tried first: if the provider refuses them, nothing changes and the old ones stay.
    /// What is not named stays, also if it is replaced while this is tried: then it is tried once more with what is there now.
    pub async fn patch(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
        patch: ConnectionPatch,
    ) -> Result<Vec<UnreadableSync>, GatewayError> {
        match self.patch_once(caller, integration, name, patch.clone()).await {
            Err(GatewayError::ChangedMeanwhile) => self.patch_once(caller, integration, name, patch).await,
            outcome => outcome,
        }
    }

    async fn patch_once(
        &self,
        caller: &Caller,
        integration: &str,
        name: &str,
        patch: ConnectionPatch,
    ) -> Result<Vec<UnreadableSync>, GatewayError> {
        let row = self.0.connection(caller, integration, name).await?;
        let mut errors = Vec::new();
        let labels = Labels::parse(patch.tags, patch.end_user, None, &mut errors);
        labels::check_webhook_url(patch.webhook_url_override.as_deref(), &mut errors);
        if patch.credentials.is_none() && patch.connection_config.is_none() {
            if !errors.is_empty() {
                return Err(GatewayError::InvalidBody(errors));
            }
            self.relabel(row, labels, patch.webhook_url_override, patch.metadata)
                .await?;
            return Ok(Vec::new());
        }
        // Before the row and what is opened are read, so that neither is older.
        let sealed = self.0.sealed(row.id).await?;
        let row = self.0.connection(caller, integration, name).await?;
        let integration = self.0.integration(caller.environment, integration).await?;
        let (target, credentials) = if let Some(credentials) = patch.credentials {
            (self.0.target_to_renew(&row).await?, credentials)
        } else {
            let target = self.0.target(&row).await?;
            let credentials = stored_credentials(&target);
            (target, credentials)
        };
        let config = config_over(&row, &target, patch.connection_config.unwrap_or_default());
        let filled = import::fill(&integration.provider, credentials, &config, &mut errors);
        let (Some(filled), true) = (filled, errors.is_empty()) else {
            return Err(GatewayError::InvalidBody(errors));
        };
        let draft = Draft {
            name: row.name,
            renews: Some(row.id),
            based_on: Some(sealed),
            filled,
            config_at: CONFIG,
            metadata: patch.metadata,
            labels,
            webhook_url_override: patch.webhook_url_override,
            by: Authority::Key(caller.key),
        };
        let established = self.0.establish(caller.environment, &integration, draft).await?;
        Ok(established.unreadable)
    }

    async fn relabel(
        &self,
        row: Connection,
        labels: Labels,
        webhook_url_override: Option<String>,
        metadata: Option<Map<String, Json>>,
    ) -> Result<(), GatewayError> {
        let now = self.0.clock.now();
        let unknown = GatewayError::unknown_connection(&row.name, &row.integration);
        let changed = self.0.store.write(move |c| {
            let row = connections::lock(c, row.environment, &row.integration, &row.name)?;
            let change = ConnectionChange {
                metadata,
                tags: labels.tags_over(&row.tags),
                end_user: labels.end_user,
                webhook_url_override: webhook_url_override.map(labels::stored_webhook_url),
            };
            connections::change(c, row.id, &change, now)
        });
        changed.await.map_err(|error| gone(error, unknown))?;
        self.0.recent.connections_changed();
        Ok(())
    }

    /// Sets or merges the notes of all the connections named, or of none if one of them is not there.
    pub async fn set_metadata(
        &self,
        caller: &Caller,
        integration: &str,
        names: &[String],
        metadata: Map<String, Json>,
        how: MetadataChange,
    ) -> Result<(), GatewayError> {
        let key = self.0.integration(caller.environment, integration).await?.key;
        let unknown = |name: &str| GatewayError::UnknownConnection {
            connection: name.to_owned(),
            integration: integration.to_owned(),
        };
        // In order, so that two such changes at once do not wait for each other.
        let names = names
            .iter()
            .map(|name| name.parse().map_err(|_| unknown(name)))
            .collect::<Result<BTreeSet<ConnectionName>, _>>()?;
        let (environment, now) = (caller.environment, self.0.clock.now());
        let missing = self.0.store.write(move |c| {
            let mut rows = Vec::new();
            for name in names {
                match connections::lock(c, environment, &key, &name) {
                    Ok(row) => rows.push(row),
                    Err(StoreError::NotFound { .. }) => return Ok(Some(name)),
                    Err(error) => return Err(error),
                }
            }
            for row in rows {
                let mut whole = match how {
                    MetadataChange::Replace => Map::new(),
                    MetadataChange::Merge => row.metadata.unwrap_or_default(),
                };
                whole.extend(metadata.clone());
                let change = ConnectionChange {
                    metadata: Some(whole),
                    ..ConnectionChange::default()
                };
                connections::change(c, row.id, &change, now)?;
            }
            Ok(None)
        });
        match missing.await? {
            None => {
                self.0.recent.connections_changed();
                Ok(())
            }
            Some(name) => Err(unknown(name.as_str())),
        }
    }
}

/// The stored credentials as a body would give them.
fn stored_credentials(target: &Target) -> Json {
    let mut credentials = plain(&target.variables.credentials);
    credentials.insert("type".to_owned(), target.provider.auth.as_str().into());
    Json::Object(credentials)
}

/// The stored configuration, with `given` set over it.
pub(crate) fn config_over(row: &Connection, target: &Target, given: Map<String, Json>) -> Map<String, Json> {
    let mut config = row.connection_config.clone();
    config.extend(plain(&target.variables.secret_config));
    config.extend(given);
    config
}

/// A row that went while it was to be changed.
fn gone(error: StoreError, unknown: GatewayError) -> GatewayError {
    match error {
        StoreError::NotFound { .. } => unknown,
        other => other.into(),
    }
}
