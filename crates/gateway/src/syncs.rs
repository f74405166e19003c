//! Syncs of connections: triggered, paused, started, looked at.

use domain::{Connection, Run, RunFilter, RunId, Sync, SyncFilter, SyncName, Timestamp, Trigger, Variant};
use registry::Provider;
use store::runs;
use store::slices;
use store::syncs::{self, NewSync};
use store::{StoreError, lease};

use crate::gateway::Inner;
use crate::held::Holder;
use crate::{Caller, FieldError, GatewayError};

/// The use cases of syncs.
pub struct Syncs<'a>(pub(crate) &'a Inner);

/// Which syncs a request is about.
#[derive(Debug, Clone)]
pub struct SyncSelection {
    /// The integration's key.
    pub integration: String,
    /// The connection's name; `None` for all connections of the integration.
    pub connection: Option<String>,
    /// Names and variants; empty for all.
    pub syncs: Vec<(SyncName, Variant)>,
}

impl SyncSelection {
    /// Decides about a sync that was deleted after it was selected: an error if the request names it, none if the request is for all
    /// syncs of a connection or an integration.
    fn allow_deleted(&self, sync: &Sync) -> Result<(), GatewayError> {
        match &self.connection {
            Some(connection) if !self.syncs.is_empty() => {
                Err(no_such_variant(&sync.name, connection, &sync.variant))
            }
            _ => Ok(()),
        }
    }
}

/// How a trigger begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TriggerOptions {
    /// Forget the checkpoint: everything is read again. A run that is under way begins anew.
    pub reset: bool,
    /// Delete the rows first as well; only with `reset`.
    pub empty_cache: bool,
}

/// What a trigger led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredRun {
    /// The run.
    pub id: RunId,
    /// Its sync.
    pub sync: SyncName,
    /// Its sync's variant.
    pub variant: Variant,
    /// The connection's name.
    pub connection: String,
    /// Whether that run was waiting or under way already, so that none was made.
    pub already_active: bool,
}

impl Syncs<'_> {
    /// Runs the selected syncs now, paused ones too, once. A sync that has a run waiting or under way keeps it.
    pub async fn trigger(
        &self,
        caller: &Caller,
        selection: &SyncSelection,
        options: TriggerOptions,
    ) -> Result<Vec<TriggeredRun>, GatewayError> {
        let mut triggered = Vec::new();
        for sync in self.0.select(caller, selection).await? {
            let held = if options.reset {
                Some(self.reset(&sync, options.empty_cache).await?)
            } else {
                None
            };
            let (id, now) = (sync.id, self.0.clock.now());
            let made = self
                .0
                .store
                .write(move |c| {
                    // In the order in which a worker that claims it takes the same rows.
                    lease::lock(c, id)?;
                    if syncs::get_any_environment(c, id)?.is_none() {
                        return Ok(None);
                    }
                    let made = runs::enqueue(c, id, Trigger::Api, now)?;
                    match held {
                        // If it is somebody else's by now, that is a reset as well, which makes it due at its end.
                        Some(holder) => holder.let_go(c, id, now)?,
                        None => lease::bring_forward(c, id, now)?,
                    }
                    Ok(Some(made))
                })
                .await?;
            let Some((run, already_active)) = made else {
                selection.allow_deleted(&sync)?;
                continue;
            };
            triggered.push(TriggeredRun {
                id: run.id,
                sync: sync.name,
                variant: sync.variant,
                connection: sync.connection_name.to_string(),
                already_active,
            });
        }
        self.0.due.notify_one();
        Ok(triggered)
    }

    /// Forgets how far the sync is, and keeps it. A worker that holds it loses its lease, and with it the right to write; nobody
    /// gets it while its rows are deleted, or rows that are new would go with the old ones.
    ///
    /// It is forgotten before the first row goes: cut off in the middle, what is missing is read again.
    async fn reset(&self, sync: &Sync, empty_cache: bool) -> Result<Holder, GatewayError> {
        let (id, now) = (sync.id, self.0.clock.now());
        let holder = Holder::new(now);
        let taker = holder.clone();
        let forget = self.0.store.write(move |c| {
            taker.take(c, id, now)?;
            slices::clear(c, id, None)?;
            syncs::set_checkpoint(c, id, &serde_json::json!({}))
        });
        forget.await?;
        if empty_cache {
            self.0.delete_rows_of(sync, &holder).await?;
        }
        Ok(holder)
    }

    /// Stops the selected syncs from running on their schedule; a run under way goes on to its end.
    pub async fn pause(&self, caller: &Caller, selection: &SyncSelection) -> Result<(), GatewayError> {
        self.set_paused(caller, selection, true).await
    }

    /// Lets the selected syncs run on their schedule again, from now on.
    pub async fn start(&self, caller: &Caller, selection: &SyncSelection) -> Result<(), GatewayError> {
        self.set_paused(caller, selection, false).await
    }

    async fn set_paused(
        &self,
        caller: &Caller,
        selection: &SyncSelection,
        paused: bool,
    ) -> Result<(), GatewayError> {
        let (selected, now) = (self.0.select(caller, selection).await?, self.0.clock.now());
        let selection = selection.clone();
        let set = self
            .0
            .store
            .write(move |c| {
                for sync in &selected {
                    lease::lock(c, sync.id)?;
                    // Only now it is known what its run and others leave it at.
                    let Some(locked) = syncs::get_any_environment(c, sync.id)? else {
                        match selection.allow_deleted(sync) {
                            Ok(()) => continue,
                            Err(error) => return Ok(Err(error)),
                        }
                    };
                    if locked.paused == paused {
                        continue;
                    }
                    // A run that waits, or that a worker handed back, is still to be carried to its end.
                    let active = runs::latest(c, sync.id)?.is_some_and(|run| run.finished_at.is_none());
                    syncs::set_paused(c, sync.id, paused, (active || !paused).then_some(now), now)?;
                }
                Ok(Ok(()))
            })
            .await?;
        set?;
        self.0.due.notify_one();
        Ok(())
    }

    /// The runs of the caller's environment that pass the filter, newest first.
    pub async fn runs(&self, caller: &Caller, filter: RunFilter) -> Result<Vec<(Run, Sync)>, GatewayError> {
        let environment = caller.environment;
        let listed = self
            .0
            .store
            .read(move |c| runs::list(c, environment, &filter))
            .await;
        listed.map_err(|error| match error {
            StoreError::NotFound { .. } => GatewayError::InvalidQuery(vec![FieldError::at(
                "invalid",
                "cursor",
                "names no run that is there; runs are kept for a time only: begin again without it",
            )]),
            other => other.into(),
        })
    }

    /// When a sync next runs by its schedule: the file's, unless the connection has its own frequency. `None` while paused.
    pub fn next_due(&self, sync: &Sync, after: Timestamp) -> Option<Timestamp> {
        next_due(self.0.registry.get(sync.provider.as_str())?, sync, after)
    }

    /// One run with its sync.
    pub async fn run(&self, caller: &Caller, id: &str) -> Result<(Run, Sync), GatewayError> {
        let unknown = || GatewayError::UnknownRun(id.to_owned());
        let (run, environment) = (id.parse::<RunId>().map_err(|_| unknown())?, caller.environment);
        self.0
            .store
            .read(move |c| runs::find(c, environment, run))
            .await
            .map_err(|error| match error {
                store::StoreError::NotFound { .. } => unknown(),
                other => other.into(),
            })
    }
}

/// Connections that get a new sync in one transaction.
const ADD_BATCH: i64 = 500;

impl Inner {
    /// Gives connections the syncs that their provider's file has gained since they were made.
    pub(crate) async fn add_missing_syncs(&self) -> Result<(), GatewayError> {
        for provider in self.registry.iter() {
            for (name, sync) in &provider.syncs {
                while self.add_missing(provider, name, sync.auto_start).await? {}
            }
        }
        Ok(())
    }

    /// One batch; false if no connection lacks the sync.
    async fn add_missing(
        &self,
        provider: &Provider,
        name: &SyncName,
        auto_start: bool,
    ) -> Result<bool, GatewayError> {
        let (provider, name, now) = (provider.name.clone(), name.clone(), self.clock.now());
        let added = self.store.write(move |c| {
            let lacking = syncs::connections_without_any_environment(c, &provider, &name, ADD_BATCH)?;
            for connection in &lacking {
                let new = NewSync {
                    connection: *connection,
                    name: name.clone(),
                    variant: Variant::base(),
                    paused: !auto_start,
                    due_at: auto_start.then_some(now),
                };
                syncs::ensure(c, &new, now)?;
            }
            Ok(!lacking.is_empty())
        });
        Ok(added.await?)
    }

    /// The selected syncs as they are; an error if a name is no sync of the provider or a connection is not there.
    pub(crate) async fn select(
        &self,
        caller: &Caller,
        selection: &SyncSelection,
    ) -> Result<Vec<Sync>, GatewayError> {
        let integration = self
            .integration(caller.environment, &selection.integration)
            .await?;
        check_names(&integration.provider, selection)?;
        let connection: Option<Connection> = match &selection.connection {
            Some(name) => Some(self.connection(caller, &selection.integration, name).await?),
            None => None,
        };
        let environment = caller.environment;
        let filter = SyncFilter {
            integration: Some(integration.key),
            connection_name: connection.map(|row| row.name),
            names: (!selection.syncs.is_empty())
                .then(|| selection.syncs.iter().map(|(name, _)| name.clone()).collect()),
        };
        let mut rows = self
            .store
            .read(move |c| syncs::list(c, environment, &filter))
            .await?;
        if !selection.syncs.is_empty() {
            let is = |row: &Sync, (name, variant): &(SyncName, Variant)| {
                *name == row.name && *variant == row.variant
            };
            rows.retain(|row| selection.syncs.iter().any(|wanted| is(row, wanted)));
            let missing = |wanted: &&(SyncName, Variant)| !rows.iter().any(|row| is(row, wanted));
            if let (Some(connection), Some((name, variant))) =
                (&selection.connection, selection.syncs.iter().find(missing))
            {
                return Err(no_such_variant(name, connection, variant));
            }
        }
        Ok(rows)
    }
}

/// The error for a sync that the connection does not have, or has no more.
pub(crate) fn no_such_variant(name: &SyncName, connection: &str, variant: &Variant) -> GatewayError {
    GatewayError::UnknownSync(format!(
        "the sync {name} of the connection {connection:?} has no variant {variant}"
    ))
}

pub(crate) fn next_due(provider: &Provider, sync: &Sync, after: Timestamp) -> Option<Timestamp> {
    if sync.paused {
        return None;
    }
    let declared = provider.syncs.get(&sync.name)?;
    let own = sync
        .frequency
        .as_deref()
        .and_then(|text| registry::Schedule::parse_every(text).ok());
    let schedule = own.as_ref().unwrap_or(&declared.schedule);
    let next = schedule.next(after, sync.created_at);
    Some(schedule.jittered(next, sync.id.raw().unsigned_abs()))
}

fn check_names(provider: &Provider, selection: &SyncSelection) -> Result<(), GatewayError> {
    if provider.syncs.is_empty() {
        return Err(GatewayError::UnknownSync(format!(
            "{} has no syncs",
            provider.display_name
        )));
    }
    match selection
        .syncs
        .iter()
        .find(|(name, _)| !provider.syncs.contains_key(name))
    {
        Some((name, _)) => Err(no_such_sync(provider, name)),
        None => Ok(()),
    }
}

pub(crate) fn no_such_sync(provider: &Provider, name: &SyncName) -> GatewayError {
    let known: Vec<&str> = provider.syncs.keys().map(SyncName::as_str).collect();
    GatewayError::UnknownSync(format!(
        "there is no sync {name:?}; {} has: {}",
        provider.name,
        known.join(", ")
    ))
}
