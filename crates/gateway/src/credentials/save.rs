//! Stores a connection after its credentials were verified. The transaction repeats all earlier checks, because
//! the verification may take long.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{
    ApiKeyId, Connection, ConnectionName, EnvironmentId, Problem, StoredIntegration, Sync, SyncFilter,
    SyncName, Timestamp, Trigger, Variant,
};
use registry::Provider;
use serde_json::{Map, Value as Json};
use store::connections::{self, NewConnection};
use store::integrations;
use store::runs;
use store::syncs::{self, NewSync};
use store::{DbConn, StoreError, api_keys, credentials, environments, lease};

use super::{Filled, session_limits, verify};
use crate::encryption_keys::Sealer;
use crate::error::{FieldError, GatewayError, Result, refusable};
use crate::events;
use crate::gateway::{Gateway, ResolvedIntegration};
use crate::labels::Labels;
use crate::sync_permissions::unreadable_syncs;
use crate::webhooks;

/// A connection to store after its credentials are verified.
pub(crate) struct PendingConnection {
    pub(crate) environment: EnvironmentId,
    pub(crate) integration: ResolvedIntegration,
    pub(crate) name: ConnectionName,
    /// The existing connection with this name, which gets new credentials.
    pub(crate) existing: Option<Connection>,
    /// The sealed credentials of `existing` if `filled` was made of parts of them. It must be there still, and have them.
    pub(crate) based_on: Option<String>,
    pub(crate) filled: Filled,
    /// The app's metadata, if the request sets it.
    pub(crate) metadata: Option<Map<String, Json>>,
    /// The labels of the request.
    pub(crate) labels: Labels,
    pub(crate) authority: Authority,
}

/// The permission to connect, which must still be valid when the connection is stored.
pub(crate) enum Authority {
    ApiKey(ApiKeyId),
    /// A connect session, by the hash of its token.
    Session(String),
}

/// A created or reconnected connection.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub connection: Connection,
    /// The provider.
    pub provider: Arc<Provider>,
    /// False if an existing connection got new credentials.
    pub created: bool,
    /// The syncs that the credentials may not read, and the problem of each.
    pub unreadable: Vec<(SyncName, Problem)>,
}

/// Verifies the credentials, checks which syncs they may read, and stores the connection.
///
/// A reconnected connection must keep its account. It also keeps all values that the request does not set.
pub(crate) async fn save(gateway: &Gateway, pending: PendingConnection) -> Result<Connected> {
    if let Some(existing) = &pending.existing {
        refuse_another_account(existing, &pending)?;
    }
    if let Authority::Session(hash) = &pending.authority {
        session_limits::begin_attempt(gateway, hash.clone()).await?;
    }
    let existing = pending.existing.as_ref();
    let metadata = pending
        .metadata
        .as_ref()
        .or(existing.and_then(|existing| existing.metadata.as_ref()));
    let target = verify::verify(gateway, &pending.integration, &pending.filled, metadata).await?;
    let unreadable = unreadable_syncs(gateway, target).await;
    let provider = Arc::clone(&pending.integration.provider);
    let saving = Saving {
        pending,
        unreadable: unreadable.clone(),
        sealer: gateway.keys.sealer().await,
        now: gateway.clock.now(),
    };
    let stored = gateway.store.write_durably(refusable(move |c| saving.run(c)));
    let (connection, created) = stored.await??;
    gateway.caches.forget_secrets();
    gateway.sync_due.notify_one();
    gateway.event_written.notify_one();
    Ok(Connected {
        connection,
        provider,
        created,
        unreadable,
    })
}

/// The transaction that stores connection, sealed credentials and syncs.
///
/// Whatever may be refused is checked before the first change, since a refusal does not roll back.
struct Saving {
    pending: PendingConnection,
    unreadable: Vec<(SyncName, Problem)>,
    sealer: Sealer,
    now: Timestamp,
}

impl Saving {
    fn run(self, c: &mut DbConn) -> Result<(Connection, bool)> {
        let (pending, now) = (&self.pending, self.now);
        let (environment, key, name) = (pending.environment, &pending.integration.key, &pending.name);
        self.check_authority(c)?;
        self.check_integration(c)?;
        let old = match connections::lock(c, environment, key, name) {
            Ok(row) => Some(row),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // It was deleted while its new credentials were verified.
        let base = pending.existing.as_ref().filter(|_| pending.based_on.is_some());
        if base.is_some_and(|base| old.as_ref().map(|old| old.id) != Some(base.id)) {
            return Err(GatewayError::unknown_connection(name.as_str(), key.as_str()));
        }
        let change = |old: &BTreeMap<_, _>| pending.labels.change(pending.metadata.clone(), old);
        let mut new = NewConnection {
            environment,
            name: name.clone(),
            integration: key.clone(),
            provider: pending.integration.provider.name.clone(),
            connection_config: pending.filled.stored_config(),
            change: change(&BTreeMap::new()),
        };
        if let Authority::Session(hash) = &pending.authority {
            session_limits::lock_attempts_within_limit(c, hash, now)?;
        }
        let created = old.is_none() && connections::insert(c, &new, now)?;
        // Another request may have created it after the first lock.
        let old = connections::lock(c, environment, key, name)?;
        if !created {
            self.check_old(c, &old)?;
            new.change = change(&old.tags);
            connections::replace(c, old.id, &new, now)?;
        }
        if let Authority::Session(hash) = &pending.authority {
            session_limits::count_connection(c, hash, now)?;
        }
        let row = connections::find(c, environment, key, name)?;
        self.sealer.store(c, &row, &pending.filled.secrets, now)?;
        self.schedule_syncs(c, &row, created)?;
        if row.webhook_url_override.is_some() {
            webhooks::ensure_override_endpoint(c, &self.sealer, environment, now)?;
        }
        events::connected(c, &row, (!created).then_some(&old), now)?;
        Ok((row, created))
    }

    fn check_authority(&self, c: &mut DbConn) -> Result<()> {
        let there = environments::keep(c, self.pending.environment)?;
        match self.pending.authority {
            Authority::ApiKey(id) if there && api_keys::keep(c, id)? => Ok(()),
            Authority::ApiKey(_) => Err(GatewayError::UnknownKey),
            // The session itself after the connection, as a deletion locks them.
            Authority::Session(_) if there => Ok(()),
            Authority::Session(_) => Err(GatewayError::UnknownSession),
        }
    }

    /// Checks that the integration's configuration is the one with which the credentials were verified.
    fn check_integration(&self, c: &mut DbConn) -> Result<()> {
        let (environment, used) = (self.pending.environment, &self.pending.integration);
        if used.row.is_none() {
            integrations::ensure(c, environment, &used.key, &used.provider.name, self.now)?;
        }
        let same = |now: &StoredIntegration, then: &StoredIntegration| {
            now.provider == then.provider
                && now.config == then.config
                && now.sealed_config == then.sealed_config
        };
        let is_plain = |now: &StoredIntegration| {
            now.provider == used.provider.name && now.config.is_empty() && now.sealed_config.is_none()
        };
        match (integrations::keep(c, environment, &used.key)?, &used.row) {
            (Some(now), Some(then)) if same(&now, then) => Ok(()),
            (Some(now), None) if is_plain(&now) => Ok(()),
            (None, _) => Err(GatewayError::UnknownIntegration(used.key.to_string())),
            (Some(_), _) => Err(GatewayError::ChangedMeanwhile),
        }
    }

    fn check_old(&self, c: &mut DbConn, old: &Connection) -> Result<()> {
        // A deletion removes credentials first. What is stored now would be deleted with the rest.
        if !credentials::lock(c, old.id)? {
            let message = format!(
                "the connection {:?} is being deleted: try again in a moment, or delete it once more if that was cut off",
                old.name
            );
            return Err(GatewayError::invalid_body("connection_id", message));
        }
        // Writing would overwrite what another request stored during the verification.
        if let Some(base) = &self.pending.based_on
            && credentials::get(c, old.id)? != *base
        {
            return Err(GatewayError::ChangedMeanwhile);
        }
        refuse_another_account(old, &self.pending)
    }

    /// Creates missing syncs, and makes all unpaused ones due now, because new credentials may fix failures. Replaces the
    /// problems of the old credentials by those of the new ones.
    fn schedule_syncs(&self, c: &mut DbConn, row: &Connection, created: bool) -> Result<(), StoreError> {
        let now = self.now;
        for (name, sync) in &self.pending.integration.provider.syncs {
            syncs::ensure(c, &NewSync::base(row.id, name.clone(), sync.auto_start, now), now)?;
        }
        let filter = SyncFilter {
            integration: Some(row.integration.clone()),
            connection_name: Some(row.name.clone()),
            names: None,
        };
        for sync in syncs::list(c, row.environment, &filter)? {
            // Locked in the same order as by a worker that ends a run. Such a worker may be storing a problem of the old credentials now, so
            // the problem is set in any case.
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

    /// The provider's response about the sync's list. Variants are not checked.
    fn problem_of(&self, sync: &Sync) -> Option<&Problem> {
        let (_, problem) = self.unreadable.iter().find(|(name, _)| *name == sync.name)?;
        (sync.variant == Variant::base()).then_some(problem)
    }
}

/// Refuses credentials of another account, because the connection's tables would mix the rows of two accounts.
fn refuse_another_account(old: &Connection, pending: &PendingConnection) -> Result<()> {
    let (name, filled) = (&old.name, &pending.filled);
    let errors: Vec<FieldError> = filled
        .config
        .declared
        .iter()
        .filter_map(|(field, new)| {
            let old = old.connection_config.get(field)?.as_str()?;
            let message = format!(
                "the connection {name:?} holds the rows of {old:?}: give this one another connectionId, or delete that \
                 connection first"
            );
            (old != new).then(|| FieldError::within("invalid", filled.config_path, field, message))
        })
        .collect();
    GatewayError::check_body(errors)
}
