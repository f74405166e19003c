//! Connecting: the fields are checked, the credentials tried, and only then is anything stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{ConnectionName, IntegrationKey, NameError, SyncName, Timestamp, Variant};
use registry::Provider;
use serde_json::{Map, Value as Json};
use store::StoreError;
use store::connections::{self, ConnectionRow, NewConnection};
use store::integrations::{self, NewIntegration};
use store::runs::{self, Trigger};
use store::schedule;
use store::syncs::{self, NewSync, SyncFilter};
use upstream::{Target, Variables, VerifyError};

use crate::form::{self, Filled};
use crate::gateway::{Inner, Integration};
use crate::{Caller, FieldError, GatewayError};

/// The body of `POST /{integration}/connect`, before the provider's own fields are looked at.
#[derive(Debug)]
pub struct ConnectRequest {
    name: ConnectionName,
    metadata: Option<Map<String, Json>>,
    tags: Option<BTreeMap<String, String>>,
    fields: Map<String, Json>,
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
    /// False if the connection was there and has new credentials now.
    pub created: bool,
}

/// Most tags that a connection may carry, and the longest key and value, as in Nango's API.
const MAX_TAGS: usize = 10;
const MAX_TAG_KEY: usize = 64;
const MAX_TAG_VALUE: usize = 255;

impl ConnectRequest {
    /// Takes the names that all providers share out of a body; a missing `connectionId` becomes a random UUID.
    pub fn parse(mut body: Map<String, Json>) -> Result<Self, GatewayError> {
        let mut errors = Vec::new();
        let name = match (body.remove("connectionId"), body.remove("connection_id")) {
            (None | Some(Json::Null), None | Some(Json::Null)) => {
                uuid::Uuid::new_v4().to_string().parse().ok()
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
        let tags =
            object(body.remove("tags"), "tags", &mut errors).map(|tags| lowercase_tags(tags, &mut errors));
        match name {
            Some(name) if errors.is_empty() => Ok(Self {
                name,
                metadata,
                tags,
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

/// Tags with lower-case keys; those that break a rule become errors.
fn lowercase_tags(tags: Map<String, Json>, errors: &mut Vec<FieldError>) -> BTreeMap<String, String> {
    let mut wrong = |key: &str, message: &str| {
        errors.push(FieldError {
            code: "invalid",
            path: vec!["tags".to_owned(), key.to_owned()],
            message: message.to_owned(),
        });
    };
    if tags.len() > MAX_TAGS {
        wrong("", "are 10 at most");
    }
    let mut lower = BTreeMap::new();
    for (key, value) in tags {
        let value = value.as_str().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if key.len() > MAX_TAG_KEY
            || !key.starts_with(|c: char| c.is_ascii_alphabetic())
            || !key.chars().all(plain)
        {
            wrong(
                &key,
                "the key must be a letter, then letters, digits or any of _-./, 64 at most",
            );
        } else if !(1..=MAX_TAG_VALUE).contains(&value.len()) {
            wrong(&key, "the value must be text of 1 to 255 bytes");
        } else {
            lower.insert(key.to_ascii_lowercase(), value.to_owned());
        }
    }
    lower
}

impl Inner {
    pub(crate) async fn connect(
        &self,
        caller: &Caller,
        integration: &Integration,
        request: ConnectRequest,
    ) -> Result<Connected, GatewayError> {
        let (key, provider) = (&integration.key, &integration.provider);
        let filled = form::fill(provider, &request.fields)?;
        self.refuse_another_account(caller, key, &request.name, &filled)
            .await?;
        self.try_credentials(integration, &filled).await?;
        let (row, created) = self
            .store_connection(caller, key.clone(), provider, request, filled)
            .await?;
        self.due.notify_one();
        Ok(Connected {
            name: row.name,
            integration: row.integration,
            display_name: provider.display_name.clone(),
            created,
        })
    }

    /// New credentials for a connection must be for what its rows were read from, or its tables would mix two sources.
    async fn refuse_another_account(
        &self,
        caller: &Caller,
        integration: &IntegrationKey,
        name: &ConnectionName,
        filled: &Filled,
    ) -> Result<(), GatewayError> {
        let (environment, key, wanted) = (caller.environment, integration.clone(), name.clone());
        let found = self
            .store
            .read(move |c| connections::find(c, environment, &key, &wanted));
        let row = match found.await {
            Ok(row) => row,
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let errors: Vec<FieldError> = filled
            .connection_config
            .iter()
            .filter_map(|(field, new)| {
                let old = row.connection_config.get(field)?.as_str()?;
                let message = format!(
                    "the connection {name:?} holds the rows of {old:?}: give this one another connectionId, or delete \
                     that connection first"
                );
                (old != new).then(|| FieldError::at("invalid", field, message))
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(GatewayError::InvalidBody(errors))
        }
    }

    async fn try_credentials(&self, integration: &Integration, filled: &Filled) -> Result<(), GatewayError> {
        let (credentials, connection_config) = (filled.credentials.clone(), filled.connection_config.clone());
        let variables = Variables {
            credentials,
            connection_config,
            integration_config: integration.config(),
            metadata: Map::new(),
        };
        let target = Target {
            provider: Arc::clone(&integration.provider),
            connection: None,
            variables: Arc::new(variables),
        };
        self.upstream.verify(&target).await.map_err(|error| {
            refusal(
                &integration.provider,
                error,
                "could not check the credentials, and nothing was stored",
            )
        })
    }

    /// Connection, sealed credentials and syncs, all in one transaction.
    async fn store_connection(
        &self,
        caller: &Caller,
        integration: IntegrationKey,
        provider: &Arc<Provider>,
        request: ConnectRequest,
        filled: Filled,
    ) -> Result<(ConnectionRow, bool), GatewayError> {
        let now = self.clock.now();
        let environment = caller.environment;
        let sealer = self.credentials.sealer()?;
        let new = NewConnection {
            environment,
            name: request.name,
            integration,
            provider: provider.name.clone(),
            connection_config: config_json(filled.connection_config),
            metadata: request.metadata,
            tags: request.tags,
            end_user: None,
        };
        let syncs: Vec<(SyncName, bool)> = provider
            .syncs
            .iter()
            .map(|(name, sync)| (name.clone(), sync.auto_start))
            .collect();
        let made = NewIntegration::plain(environment, new.integration.clone(), new.provider.clone());
        let stored = self.store.write(move |c| {
            integrations::ensure(c, &made, now)?;
            let (row, created) = connections::put(c, &new, now)?;
            sealer.store(c, &row, &filled.credentials, now)?;
            schedule_syncs(c, &row, created, &syncs, now)?;
            Ok((row, created))
        });
        Ok(stored.await?)
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

/// How long to wait before trying again when the provider says nothing of it.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// What somebody must know of a failed verification; `untried` tells what it means that they could not be tried.
pub(crate) fn refusal(provider: &Provider, error: VerifyError, untried: &str) -> GatewayError {
    let name = &provider.display_name;
    match error {
        VerifyError::Refused(answer) => {
            let code = answer
                .code
                .as_ref()
                .map(|code| format!(", code {code}"))
                .unwrap_or_default();
            let words = answer
                .message
                .as_ref()
                .map(|words| format!(": {words:?}"))
                .unwrap_or_default();
            let hint = answer
                .hint
                .as_deref()
                .unwrap_or("Check the credentials and what they may read.");
            GatewayError::CredentialsRefused {
                message: format!(
                    "{name} refused the credentials (HTTP {}{code}){words}. {hint}",
                    answer.status
                ),
                status: Some(answer.status),
                code: answer.code,
            }
        }
        VerifyError::Check { message } => GatewayError::CredentialsRefused {
            message,
            code: None,
            status: None,
        },
        VerifyError::Call(error) => GatewayError::ProviderUnavailable {
            message: format!("{name} {untried}: {error}. Try again later."),
            retry_after: error.retry_after().unwrap_or(RETRY_AFTER),
        },
    }
}
