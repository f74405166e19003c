//! Storing a connection: its credentials are verified first and tried at the lists of its syncs. Everything that was checked before is
//! checked again in the transaction that stores them, since a provider may take its time.

use domain::{
    ApiKeyId, Connection, ConnectionId, ConnectionName, EnvironmentId, Problem, StoredIntegration, Sync,
    SyncFilter, Timestamp, Trigger, Variant,
};
use serde_json::{Map, Value as Json};
use store::connections::{self, NewConnection};
use store::integrations::{self, NewIntegration};
use store::runs;
use store::syncs::{self, NewSync};
use store::{DbConn, StoreError, api_keys, credentials, environments, lease};

use crate::credentials::Sealer;
use crate::form::Filled;
use crate::gateway::{Inner, Integration};
use crate::labels::{self, Labels};
use crate::permissions::UnreadableSync;
use crate::{FieldError, GatewayError, attempts};

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
    /// What allows it.
    pub(crate) by: Authority,
}

/// A connection that was stored.
pub(crate) struct Established {
    pub(crate) row: Connection,
    /// Whether it was made, and not renewed.
    pub(crate) created: bool,
    /// The syncs that the credentials may not read.
    pub(crate) unreadable: Vec<UnreadableSync>,
}

/// What allows to connect; it must do so still when the connection is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Authority {
    Key(ApiKeyId),
    /// A connect session, by its number.
    Session(i64),
}

impl Inner {
    /// Verifies the credentials of the draft, asks which syncs they may read, and stores the connection.
    ///
    /// A connection that is renewed must stay one to the same account, and keeps what the draft does not give.
    pub(crate) async fn establish(
        &self,
        environment: EnvironmentId,
        integration: &Integration,
        draft: Draft,
    ) -> Result<Established, GatewayError> {
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
        if let Authority::Session(id) = draft.by {
            self.begin_attempt(id).await?;
        }
        let metadata = draft
            .metadata
            .as_ref()
            .or(old.as_ref().and_then(|old| old.metadata.as_ref()));
        let target = self
            .try_credentials(integration, &draft.filled, metadata, draft.config_at)
            .await?;
        let unreadable = self.unreadable_syncs(target).await;
        let stored = self.store_connection(environment, integration, draft, unreadable.clone());
        let (row, created) = stored.await?;
        self.recent.connections_changed();
        self.due.notify_one();
        Ok(Established {
            row,
            created,
            unreadable,
        })
    }

    async fn store_connection(
        &self,
        environment: EnvironmentId,
        integration: &Integration,
        draft: Draft,
        unreadable: Vec<UnreadableSync>,
    ) -> Result<(Connection, bool), GatewayError> {
        let storing = Storing {
            environment,
            integration: integration.clone(),
            draft,
            unreadable,
            sealer: self.credentials.sealer(&self.store).await,
            now: self.clock.now(),
        };
        let stored = self.store.write_durably(move |c| match storing.run(c) {
            Ok(stored) => Ok(Ok(stored)),
            Err(Refusal::Store(error)) => Err(error),
            Err(Refusal::Gateway(error)) => Ok(Err(*error)),
        });
        stored.await?
    }
}

/// Why a transaction stores nothing.
enum Refusal {
    Store(StoreError),
    Gateway(Box<GatewayError>),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(Box::new(error))
    }
}

/// The transaction that stores connection, sealed credentials and syncs.
///
/// All that may be refused is checked before the first change, since a refusal does not roll back.
struct Storing {
    environment: EnvironmentId,
    integration: Integration,
    draft: Draft,
    unreadable: Vec<UnreadableSync>,
    sealer: Sealer,
    now: Timestamp,
}

impl Storing {
    fn run(self, c: &mut DbConn) -> Result<(Connection, bool), Refusal> {
        self.check_authority(c)?;
        self.check_integration(c)?;
        let (mut new, key, name) = (self.new_connection(), &self.integration.key, &self.draft.name);
        let old = match connections::lock(c, self.environment, key, name) {
            Ok(row) => Some(row),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // It was deleted while its new credentials were tried.
        if self.draft.renews.is_some() && old.as_ref().map(|old| old.id) != self.draft.renews {
            return Err(GatewayError::unknown_connection(name, key).into());
        }
        new.tags = self
            .draft
            .labels
            .tags_over(&old.as_ref().map(|old| old.tags.clone()).unwrap_or_default());
        if let Authority::Session(id) = self.draft.by {
            attempts::check_connections(c, id, self.now)??;
        }
        let made = old.is_none() && connections::insert(c, &new, self.now)?;
        // Another request may have made it between the two looks.
        let row = connections::lock(c, self.environment, key, name)?;
        if !made {
            self.check_old(c, &row)?;
            new.tags = self.draft.labels.tags_over(&row.tags);
            connections::replace(c, row.id, &new, self.now)?;
        }
        if let Authority::Session(id) = self.draft.by {
            attempts::succeeded(c, id, self.now)?;
        }
        let row = connections::find(c, self.environment, key, name)?;
        self.sealer.store(c, &row, &self.draft.filled.secrets, self.now)?;
        self.schedule_syncs(c, &row, made)?;
        Ok((row, made))
    }

    fn check_authority(&self, c: &mut DbConn) -> Result<(), Refusal> {
        let there = environments::keep(c, self.environment)?;
        match self.draft.by {
            Authority::Key(id) if there && api_keys::keep(c, id)? => Ok(()),
            Authority::Key(_) => Err(GatewayError::UnknownKey.into()),
            // The session itself after the connection, as a deletion locks them.
            Authority::Session(_) if there => Ok(()),
            Authority::Session(_) => Err(GatewayError::UnknownSession.into()),
        }
    }

    /// The credentials were tried where the integration's configuration says.
    fn check_integration(&self, c: &mut DbConn) -> Result<(), Refusal> {
        let tried = &self.integration;
        if tried.row.is_none() {
            let provider = tried.provider.name.clone();
            let plain = NewIntegration::plain(self.environment, tried.key.clone(), provider);
            integrations::ensure(c, &plain, self.now)?;
        }
        let same = |now: &StoredIntegration, then: &StoredIntegration| {
            now.provider == then.provider
                && now.config == then.config
                && now.sealed_config == then.sealed_config
        };
        let is_plain = |now: &StoredIntegration| {
            now.provider == tried.provider.name && now.config.is_empty() && now.sealed_config.is_none()
        };
        match (integrations::keep(c, self.environment, &tried.key)?, &tried.row) {
            (Some(now), Some(then)) if same(&now, then) => Ok(()),
            (Some(now), None) if is_plain(&now) => Ok(()),
            (None, _) => Err(GatewayError::UnknownIntegration(tried.key.to_string()).into()),
            (Some(_), _) => Err(GatewayError::ChangedMeanwhile.into()),
        }
    }

    fn check_old(&self, c: &mut DbConn, old: &Connection) -> Result<(), Refusal> {
        // Its credentials go first when it is deleted; what is stored now would go with the rest.
        if !credentials::lock(c, old.id)? {
            let message = format!(
                "the connection {:?} is being deleted: try again in a moment, or delete it once more if that was cut off",
                old.name
            );
            let error = FieldError::at("invalid", "connection_id", message);
            return Err(GatewayError::InvalidBody(vec![error]).into());
        }
        // Writing would undo what came while this was tried.
        if let Some(base) = &self.draft.based_on
            && credentials::get(c, old.id)? != *base
        {
            return Err(GatewayError::ChangedMeanwhile.into());
        }
        Ok(refuse_another_account(old, &self.draft)?)
    }

    fn new_connection(&self) -> NewConnection {
        let draft = &self.draft;
        NewConnection {
            environment: self.environment,
            name: draft.name.clone(),
            integration: self.integration.key.clone(),
            provider: self.integration.provider.name.clone(),
            connection_config: draft.filled.stored_config(),
            metadata: draft.metadata.clone(),
            tags: None,
            end_user: draft.labels.end_user.clone(),
            webhook_url_override: draft.webhook_url_override.clone().map(labels::stored_webhook_url),
        }
    }

    /// Every sync of the connection is there and, unless paused, due now: new credentials may mend what failed. What was wrong with
    /// the old ones goes, and what the new ones may not read is noted.
    fn schedule_syncs(&self, c: &mut DbConn, row: &Connection, created: bool) -> Result<(), StoreError> {
        let now = self.now;
        for (name, sync) in &self.integration.provider.syncs {
            let due_at = sync.auto_start.then_some(now);
            let new = NewSync {
                connection: row.id,
                name: name.clone(),
                variant: Variant::base(),
                paused: !sync.auto_start,
                due_at,
            };
            syncs::ensure(c, &new, now)?;
        }
        let filter = SyncFilter {
            integration: Some(row.integration.clone()),
            connection_name: Some(row.name.clone()),
            names: None,
        };
        for sync in syncs::list(c, row.environment, &filter)? {
            // In the order in which a worker that ends a run locks the same rows. Whether the row has a problem is not known before: such
            // a worker may be noting one of the old credentials at this moment.
            lease::lock(c, sync.id)?;
            syncs::set_problem(c, sync.id, self.problem_of(&sync))?;
            if sync.paused {
                continue;
            }
            lease::bring_forward(c, sync.id, now)?;
            if created {
                runs::enqueue(c, sync.id, Trigger::Initial, now)?;
            }
        }
        Ok(())
    }

    /// What the provider said of the sync's list; of variants it was not asked.
    fn problem_of(&self, sync: &Sync) -> Option<&Problem> {
        let noted = self.unreadable.iter().find(|noted| noted.sync == sync.name)?;
        (sync.variant == Variant::base()).then_some(&noted.problem)
    }
}

/// New credentials for a connection must be for what its rows were read from, or its tables would mix two sources.
fn refuse_another_account(old: &Connection, draft: &Draft) -> Result<(), GatewayError> {
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
