//! Connecting: the fields are checked, the credentials tried, and only then is anything stored.

use std::collections::BTreeMap;

use domain::{
    ConnectionId, ConnectionName, EnvironmentId, IntegrationKey, NameError, SyncName, Timestamp, Variant,
};
use serde_json::{Map, Value as Json};
use store::connections::{self, ConnectionRow, NewConnection};
use store::integrations::{self, NewIntegration};
use store::runs::{self, Trigger};
use store::schedule;
use store::syncs::{self, NewSync, SyncFilter};
use store::{StoreError, credentials};

use crate::form::{self, Filled};
use crate::gateway::{Inner, Integration};
use crate::labels::{self, Labels};
use crate::{Caller, FieldError, GatewayError};

/// The body of `POST /{integration}/connect`, before the provider's own fields are looked at.
pub struct ConnectRequest {
    name: ConnectionName,
    metadata: Option<Map<String, Json>>,
    labels: Labels,
    fields: Map<String, Json>,
}

/// A connection as it is to be stored once its credentials are tried.
pub(crate) struct Draft {
    pub(crate) name: ConnectionName,
    /// The connection that gets new credentials; `None` makes one, or renews the one of that name if it is there.
    pub(crate) renews: Option<ConnectionId>,
    pub(crate) filled: Filled,
    /// The sealed text of what the connection had when `filled` was made of parts of it; it must have that still.
    pub(crate) based_on: Option<String>,
    /// Where the configuration stood in the request, for errors about it.
    pub(crate) config_at: &'static [&'static str],
    pub(crate) metadata: Option<Map<String, Json>>,
    pub(crate) labels: Labels,
    /// Where its events go; empty text for the environment's addresses.
    pub(crate) webhook_url_override: Option<String>,
}

/// A connection made or renewed.
#[derive(Debug)]
pub struct Connected {
    /// What the app calls it.
    pub name: ConnectionName,
    /// Its integration.
    pub integration: IntegrationKey,
    /// The provider's name for people.
    pub display_name: String,
    /// What the provider's file says that people must know.
    pub notice: Option<String>,
    /// False if the connection was there and has new credentials now.
    pub created: bool,
}

impl ConnectRequest {
    /// Takes the names that all providers share out of a body; a missing `connectionId` becomes a random UUID.
    pub fn parse(mut body: Map<String, Json>) -> Result<Self, GatewayError> {
        let mut errors = Vec::new();
        let name = match (body.remove("connectionId"), body.remove("connection_id")) {
            (None | Some(Json::Null), None | Some(Json::Null)) => {
                random_name().map_err(|rule| errors.push(rule)).ok()
            }
            (Some(Json::String(name)), None | Some(Json::Null))
            | (None | Some(Json::Null), Some(Json::String(name))) => {
                let wrong = |rule: NameError| {
                    errors.push(FieldError::at("invalid", "connectionId", rule.to_string()));
                };
                name.trim().parse().map_err(wrong).ok()
            }
            _ => {
                errors.push(FieldError::at(
                    "invalid",
                    "connectionId",
                    "must be text, given once",
                ));
                None
            }
        };
        let metadata = object(body.remove("metadata"), "metadata", &mut errors);
        let (tags, end_user) = (body.remove("tags"), body.remove("end_user"));
        // Some providers ask for an organization of theirs, which is text and goes into the form.
        let organization = match body.remove("organization") {
            Some(Json::String(theirs)) => {
                body.insert("organization".to_owned(), Json::String(theirs));
                None
            }
            ours => ours,
        };
        let labels = Labels::parse(tags, end_user, organization, &mut errors);
        match name {
            Some(name) if errors.is_empty() => Ok(Self {
                name,
                metadata,
                labels,
                fields: body,
            }),
            _ => Err(GatewayError::InvalidBody(errors)),
        }
    }
}

fn object(value: Option<Json>, field: &str, errors: &mut Vec<FieldError>) -> Option<Map<String, Json>> {
    match value {
        None | Some(Json::Null) => None,
        Some(Json::Object(object)) => Some(object),
        Some(_) => {
            errors.push(FieldError::at("invalid", field, "must be an object"));
            None
        }
    }
}

/// A name for a connection that was given none.
pub(crate) fn random_name() -> Result<ConnectionName, FieldError> {
    let name = uuid::Uuid::new_v4().to_string().parse();
    name.map_err(|rule: NameError| FieldError::at("invalid", "connection_id", rule.to_string()))
}

impl Inner {
    pub(crate) async fn connect(
        &self,
        caller: &Caller,
        integration: &Integration,
        request: ConnectRequest,
    ) -> Result<Connected, GatewayError> {
        let draft = Draft {
            filled: form::fill(&integration.provider, &request.fields)?,
            name: request.name,
            renews: None,
            based_on: None,
            config_at: &[],
            metadata: request.metadata,
            labels: request.labels,
            webhook_url_override: None,
        };
        let (row, created) = self.establish(caller.environment, integration, draft).await?;
        Ok(Connected {
            name: row.name,
            integration: row.integration,
            display_name: integration.provider.display_name.clone(),
            notice: integration.provider.notice.clone(),
            created,
        })
    }

    /// Tries the credentials of the draft and stores it; tells whether the connection was made or renewed.
    ///
    /// A connection that is renewed must stay one to the same account, and keeps what the draft does not give.
    pub(crate) async fn establish(
        &self,
        environment: EnvironmentId,
        integration: &Integration,
        draft: Draft,
    ) -> Result<(ConnectionRow, bool), GatewayError> {
        let (key, name) = (integration.key.clone(), draft.name.clone());
        let found = self
            .store
            .read(move |c| connections::find(c, environment, &key, &name));
        let old = match found.await {
            Ok(row) => Some(row),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(old) = &old {
            refuse_another_account(old, &draft)?;
        }
        let metadata = draft
            .metadata
            .as_ref()
            .or(old.as_ref().and_then(|old| old.metadata.as_ref()));
        self.try_credentials(integration, &draft.filled, metadata).await?;
        let stored = self.store_connection(environment, integration, draft).await?;
        self.recent.connections_changed();
        self.due.notify_one();
        Ok(stored)
    }

    /// Connection, sealed credentials and syncs, all in one transaction.
    async fn store_connection(
        &self,
        environment: EnvironmentId,
        integration: &Integration,
        draft: Draft,
    ) -> Result<(ConnectionRow, bool), GatewayError> {
        let now = self.clock.now();
        let sealer = self.credentials.sealer()?;
        let (key, name, provider) = (&integration.key, &draft.name, &integration.provider);
        let unknown = GatewayError::unknown_connection(name, key);
        let being_deleted = FieldError::at(
            "invalid",
            "connection_id",
            format!(
                "the connection {name:?} is being deleted: try again in a moment, or delete it once more if that was cut off"
            ),
        );
        let mut new = NewConnection {
            environment,
            name: name.clone(),
            integration: key.clone(),
            provider: provider.name.clone(),
            connection_config: config_json(draft.filled.connection_config),
            metadata: draft.metadata,
            tags: None,
            end_user: draft.labels.end_user.clone(),
            webhook_url_override: draft.webhook_url_override.map(labels::stored_webhook_url),
        };
        let syncs: Vec<(SyncName, bool)> = provider
            .syncs
            .iter()
            .map(|(name, sync)| (name.clone(), sync.auto_start))
            .collect();
        let made = NewIntegration::plain(environment, new.integration.clone(), new.provider.clone());
        let (renews, based_on, labels) = (draft.renews, draft.based_on, draft.labels);
        let values = draft.filled.credentials;
        let stored = self.store.write_durably(move |c| {
            let old = match connections::lock(c, environment, &new.integration, &new.name) {
                Ok(row) => Some(row),
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            // It was deleted while its new credentials were tried.
            if renews.is_some() && old.as_ref().map(|old| old.id) != renews {
                return Ok(Err(unknown));
            }
            // Its credentials go first when it is deleted; what is stored now would go with the rest.
            if let Some(old) = &old
                && !credentials::lock(c, old.id)?
            {
                return Ok(Err(GatewayError::InvalidBody(vec![being_deleted])));
            }
            // Writing would undo what came while this was tried.
            if let (Some(base), Some(old)) = (based_on, &old)
                && credentials::get(c, old.id)? != base
            {
                return Ok(Err(GatewayError::ChangedMeanwhile));
            }
            new.tags = labels.tags_over(&old.map(|old| old.tags).unwrap_or_default());
            integrations::ensure(c, &made, now)?;
            let (row, created) = connections::put(c, &new, now)?;
            sealer.store(c, &row, &values, now)?;
            schedule_syncs(c, &row, created, &syncs, now)?;
            Ok(Ok((row, created)))
        });
        stored.await?
    }
}

/// New credentials for a connection must be for what its rows were read from, or its tables would mix two sources.
fn refuse_another_account(old: &ConnectionRow, draft: &Draft) -> Result<(), GatewayError> {
    let name = &old.name;
    let errors: Vec<FieldError> = draft
        .filled
        .connection_config
        .iter()
        .filter_map(|(field, new)| {
            let old = old.connection_config.get(field)?.as_str()?;
            let message = format!(
                "the connection {name:?} holds the rows of {old:?}: give this one another connectionId, or delete that \
                 connection first"
            );
            let at = draft.config_at.iter().copied().chain([field.as_str()]);
            (old != new).then(|| FieldError {
                code: "invalid",
                path: at.map(str::to_owned).collect(),
                message,
            })
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(GatewayError::InvalidBody(errors))
    }
}

/// Every sync of the connection is there and, unless paused, due now: new credentials may mend what failed.
fn schedule_syncs(
    c: &mut store::DbConn,
    row: &ConnectionRow,
    created: bool,
    names: &[(SyncName, bool)],
    now: Timestamp,
) -> Result<(), store::StoreError> {
    for (name, auto_start) in names {
        let due_at = auto_start.then_some(now);
        let new = NewSync {
            connection: row.id,
            name: name.clone(),
            variant: Variant::base(),
            paused: !auto_start,
            due_at,
        };
        syncs::ensure(c, &new, now)?;
    }
    let filter = SyncFilter {
        integration: Some(row.integration.clone()),
        connection_name: Some(row.name.clone()),
        names: None,
    };
    for sync in syncs::list(c, row.environment, &filter)?
        .into_iter()
        .filter(|sync| !sync.paused)
    {
        schedule::bring_forward(c, sync.id, now)?;
        if created {
            runs::enqueue(c, sync.id, Trigger::Initial, now)?;
        }
    }
    Ok(())
}

fn config_json(config: BTreeMap<String, String>) -> Map<String, Json> {
    config
        .into_iter()
        .map(|(name, value)| (name, Json::String(value)))
        .collect()
}
