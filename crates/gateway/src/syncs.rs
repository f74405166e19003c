//! Syncs of connections: triggers, pauses, starts and lists them.

mod frequency;
mod status;
mod variants;

use domain::{Run, RunFilter, RunId, Sync, SyncFilter, SyncName, Timestamp, Trigger, Variant};
use registry::Provider;
use serde::Deserialize;
use store::runs;
use store::slices;
use store::syncs::{self, NewSync};
use store::{Lease, lease};
use utoipa::ToSchema;

pub use self::frequency::set_frequency;
pub use self::status::{SyncStatus, status};
pub use self::variants::{create_variant, delete_variant};
use crate::caller::Caller;
use crate::deletion;
use crate::error::{FieldError, GatewayError, Result, refusable};
use crate::gateway::{Gateway, Names, ResolvedConnection, ResolvedIntegration};

/// The syncs of a request.
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
    /// Accepts that a sync was deleted after it was selected, if the request is for all syncs of a connection or an integration.
    fn allow_deleted(&self, sync: &Sync) -> Result<()> {
        match &self.connection {
            Some(connection) if !self.syncs.is_empty() => {
                Err(no_such_variant(&sync.name, connection, &sync.variant))
            }
            _ => Ok(()),
        }
    }
}

/// How a triggered sync begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TriggerOpts)]
pub struct TriggerOptions {
    /// Read everything again. An active run starts again. In a sync that reads by date, this run marks no rows as deleted: rows that the
    /// provider deleted before the sync's `lookback` window stay, unless `emptyCache` is set.
    #[serde(default)]
    pub reset: bool,
    /// Delete the rows first, so that only what the provider still has is stored; only with `reset`.
    #[serde(default, rename = "emptyCache")]
    pub empty_cache: bool,
}

/// The run of a triggered sync.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggeredRun {
    /// The run.
    pub run: Run,
    /// Its sync.
    pub sync: Sync,
    /// Whether it was already queued or in progress, so that none was created.
    pub already_active: bool,
}

/// Runs the selected syncs once now, paused ones too. A sync with a run that is queued or in progress keeps that run.
pub async fn trigger(
    gateway: &Gateway,
    caller: &Caller,
    selection: &SyncSelection,
    options: TriggerOptions,
) -> Result<Vec<TriggeredRun>> {
    let mut triggered = Vec::new();
    for sync in select(gateway, caller, selection).await?.1 {
        let lease = if options.reset {
            Some(reset(gateway, &sync, options.empty_cache).await?)
        } else {
            None
        };
        let (id, now) = (sync.id, gateway.clock.now());
        let made = gateway.store.write(move |c| {
            // Locked in the same order as by a worker that claims it.
            lease::lock(c, id)?;
            if syncs::get_any_environment(c, id)?.is_none() {
                return Ok(None);
            }
            let made = runs::enqueue(c, id, Trigger::Api, now)?;
            match lease {
                // If another lease was taken since, it is of another reset, which makes the sync due at its end.
                Some(lease) => drop(lease.finish(c, Some(now), now)?),
                None => lease::bring_forward(c, id, now)?,
            }
            Ok(Some(made))
        });
        let Some((run, already_active)) = made.await? else {
            selection.allow_deleted(&sync)?;
            continue;
        };
        triggered.push(TriggeredRun {
            run,
            sync,
            already_active,
        });
    }
    gateway.sync_due.notify_one();
    Ok(triggered)
}

/// Resets the checkpoint of a sync and returns a lease that keeps workers away from it, or rows that they write would be deleted with the
/// old ones.
///
/// The checkpoint is reset before the first row is deleted: after an interruption, the next run reads what is missing.
async fn reset(gateway: &Gateway, sync: &Sync, empty_cache: bool) -> Result<Lease<Sync>> {
    let (id, now) = (sync.id, gateway.clock.now());
    let reset = gateway.store.write(move |c| {
        let lease = deletion::take_sync(c, id, now)?;
        slices::clear(c, id, None)?;
        syncs::set_checkpoint(c, id, &serde_json::json!({}))?;
        Ok(lease)
    });
    let lease = reset.await?;
    if empty_cache {
        deletion::delete_rows_of_sync(gateway, sync, &lease).await?;
    }
    Ok(lease)
}

/// Stops the selected syncs from running on their schedule, or lets them run on it again, from now. A run in progress is finished.
pub async fn set_paused(
    gateway: &Gateway,
    caller: &Caller,
    selection: &SyncSelection,
    paused: bool,
) -> Result<()> {
    let (selected, now) = (select(gateway, caller, selection).await?.1, gateway.clock.now());
    let selection = selection.clone();
    let set = gateway.store.write(refusable(move |c| {
        for sync in &selected {
            lease::lock(c, sync.id)?;
            // Read under the lock, as a run or another request may have changed it.
            let Some(locked) = syncs::get_any_environment(c, sync.id)? else {
                selection.allow_deleted(sync)?;
                continue;
            };
            if locked.paused == paused {
                continue;
            }
            // A run that is queued, or that a worker handed back, is still finished.
            let active = runs::latest(c, sync.id)?.is_some_and(|run| run.finished_at.is_none());
            syncs::set_paused(c, sync.id, paused, (active || !paused).then_some(now), now)?;
        }
        Ok(())
    }));
    set.await??;
    gateway.sync_due.notify_one();
    Ok(())
}

/// The runs of the caller's environment that pass the filter, newest first.
pub async fn runs(gateway: &Gateway, caller: &Caller, filter: RunFilter) -> Result<Vec<(Run, Sync)>> {
    let environment = caller.environment;
    let listed = gateway.store.read(move |c| runs::list(c, environment, &filter));
    let unknown = || {
        let message = "unknown run: old runs are deleted, so start again without it";
        GatewayError::InvalidQuery(vec![FieldError::at("invalid", "cursor", message)])
    };
    listed.await.map_err(GatewayError::or_unknown(unknown))
}

/// One run with its sync.
pub async fn run(gateway: &Gateway, caller: &Caller, id: &str) -> Result<(Run, Sync)> {
    let unknown = || GatewayError::NotFound(format!("unknown run {id:?}"));
    let (run, environment) = (id.parse::<RunId>().map_err(|_| unknown())?, caller.environment);
    let found = gateway.store.read(move |c| runs::find(c, environment, run));
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Connections that get a new sync in one transaction.
const ADD_BATCH: i64 = 500;

/// Adds syncs that the provider's file gained to existing connections.
pub(crate) async fn add_missing_syncs(gateway: &Gateway) -> Result<()> {
    for provider in gateway.registry.iter() {
        for (name, sync) in &provider.syncs {
            while add_missing(gateway, provider, name, sync.auto_start).await? {}
        }
    }
    Ok(())
}

/// Adds the sync to one batch; returns false if no connection lacks it.
async fn add_missing(
    gateway: &Gateway,
    provider: &Provider,
    name: &SyncName,
    auto_start: bool,
) -> Result<bool> {
    let (provider, name, now) = (provider.name.clone(), name.clone(), gateway.clock.now());
    let added = gateway.store.write(move |c| {
        let lacking = syncs::connections_without_any_environment(c, &provider, &name, ADD_BATCH)?;
        for connection in &lacking {
            syncs::ensure(c, &NewSync::base(*connection, name.clone(), auto_start, now), now)?;
        }
        Ok(!lacking.is_empty())
    });
    Ok(added.await?)
}

/// Returns the selected syncs and their integration. Fails if the provider has no sync of a given name, or if the connection does not exist.
async fn select(
    gateway: &Gateway,
    caller: &Caller,
    selection: &SyncSelection,
) -> Result<(ResolvedIntegration, Vec<Sync>)> {
    let connection = selection.connection.as_deref();
    let names = Names::of(caller, &selection.integration, connection.unwrap_or_default());
    let wanted = selection.syncs.clone();
    let (environment, of_one) = (caller.environment, connection.is_some());
    let read = gateway.resolve_and_read(names, move |c, integration, connection| {
        if of_one && connection.is_none() {
            return Ok(Vec::new());
        }
        let filter = SyncFilter {
            integration: Some(integration.key.clone()),
            connection_name: connection.map(|row| row.name.clone()),
            names: (!wanted.is_empty()).then(|| wanted.into_iter().map(|(name, _)| name).collect()),
        };
        syncs::list(c, environment, &filter)
    });
    let (integration, found, mut rows) = read.await?;
    let provider = &integration.provider;
    if provider.syncs.is_empty() {
        let message = format!("{} has no syncs", provider.display_name);
        return Err(GatewayError::UnknownSync(message));
    }
    for (name, _) in &selection.syncs {
        declared(provider, name)?;
    }
    if of_one && found.is_none() {
        return Err(names.unknown_connection());
    }
    if !selection.syncs.is_empty() {
        let is =
            |row: &Sync, (name, variant): &(SyncName, Variant)| *name == row.name && *variant == row.variant;
        rows.retain(|row| selection.syncs.iter().any(|wanted| is(row, wanted)));
        let missing = |wanted: &&(SyncName, Variant)| !rows.iter().any(|row| is(row, wanted));
        if let (Some(connection), Some((name, variant))) = (connection, selection.syncs.iter().find(missing))
        {
            return Err(no_such_variant(name, connection, variant));
        }
    }
    Ok((integration, rows))
}

/// The error for a variant that the connection does not have, or no longer.
fn no_such_variant(name: &SyncName, connection: &str, variant: &Variant) -> GatewayError {
    GatewayError::UnknownSync(format!(
        "the sync {name} of the connection {connection:?} has no variant {variant}"
    ))
}

/// When a sync next runs by its schedule: the file's, unless the connection has its own frequency. `None` while paused.
pub fn next_due(provider: &Provider, sync: &Sync, after: Timestamp) -> Option<Timestamp> {
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

/// The connection, and its sync of that name and variant if it has one.
async fn resolve_sync(
    gateway: &Gateway,
    names: Names<'_>,
    (name, variant): (&SyncName, &Variant),
) -> Result<(ResolvedConnection, Option<Sync>)> {
    let (name, variant) = (name.clone(), variant.clone());
    let read = gateway.resolve_and_read(names, move |c, _, connection| match connection {
        Some(connection) => syncs::get(c, connection.id, &name, &variant),
        None => Ok(None),
    });
    let (integration, connection, sync) = read.await?;
    Ok((names.found(integration, connection)?, sync))
}

/// The sync as a provider's file declares it.
fn declared<'a>(provider: &'a Provider, name: &SyncName) -> Result<&'a registry::Sync> {
    let declared = provider.syncs.get(name).map(AsRef::as_ref);
    declared.ok_or_else(|| {
        let known: Vec<&str> = provider.syncs.keys().map(SyncName::as_str).collect();
        GatewayError::UnknownSync(format!(
            "there is no sync {name:?}; {} has: {}",
            provider.name,
            known.join(", ")
        ))
    })
}
