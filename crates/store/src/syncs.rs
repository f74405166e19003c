//! Syncs: one row for each sync and variant of a connection, with the checkpoint.

use std::collections::HashSet;

use diesel::prelude::*;
use domain::{
    ConnectionId, EnvironmentId, Problem, ProviderName, Sync, SyncFilter, SyncId, SyncName, Timestamp,
    Variant,
};
use serde_json::Value as Json;

use crate::column::{row, to_json};
use crate::dialect::{Cached, on_db};
use crate::schema::{connections, schedule, syncs};
use crate::{DbConn, StoreError, lease};

row!(Sync: syncs {
    id, name, variant, frequency, paused, checkpoint, problem, created_at
}, connection = syncs::connection_id, environment = connections::environment_id, integration = connections::integration, connection_name = connections::name, provider = connections::provider);

/// A sync to create.
#[derive(Debug, Clone)]
pub struct NewSync {
    /// The connection.
    pub connection: ConnectionId,
    /// The sync's name in the provider's file.
    pub name: SyncName,
    /// The variant.
    pub variant: Variant,
    /// Whether it is paused.
    pub paused: bool,
    /// When it first runs; `None` for never.
    pub due_at: Option<Timestamp>,
}

impl NewSync {
    /// Returns a base variant: due now, or paused if the provider's file says that it does not start by itself.
    pub fn base(connection: ConnectionId, name: SyncName, auto_start: bool, now: Timestamp) -> Self {
        Self {
            connection,
            name,
            variant: Variant::base(),
            paused: !auto_start,
            due_at: auto_start.then_some(now),
        }
    }
}

/// Returns the connection's sync of that name and variant, and creates and schedules it if there is none.
pub fn ensure(c: &mut DbConn, new: &NewSync, now: Timestamp) -> Result<Sync, StoreError> {
    let whose = (
        syncs::connection_id.eq(new.connection.raw()),
        syncs::name.eq(new.name.as_str()),
        syncs::variant.eq(new.variant.as_str()),
    );
    on_db!(&mut *c, c => diesel::insert_into(syncs::table)
        .values((whose, syncs::paused.eq(new.paused), syncs::checkpoint.eq("{}"), syncs::created_at.eq(now.as_micros())))
        .on_conflict_do_nothing()
        .execute(c))?;
    let row =
        get(c, new.connection, &new.name, &new.variant)?.ok_or(StoreError::NotFound { what: "sync" })?;
    let (due_at, due_within) = lease::due(new.due_at, now);
    on_db!(c, c => diesel::insert_into(schedule::table)
        .values((
            schedule::sync_id.eq(row.id.raw()),
            schedule::due_at.eq(due_at),
            schedule::due_within.eq(due_within),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(row)
}

/// Returns the connection's sync of that name and variant.
pub fn get(
    c: &mut DbConn,
    connection: ConnectionId,
    name: &SyncName,
    variant: &Variant,
) -> Result<Option<Sync>, StoreError> {
    Ok(syncs::table
        .inner_join(connections::table)
        .filter(syncs::connection_id.eq(connection.raw()))
        .filter(syncs::name.eq(name.as_str()))
        .filter(syncs::variant.eq(variant.as_str()))
        .select(Sync::as_select())
        .get_result(c)
        .optional()?)
}

/// Returns how many variants of the sync the connection has besides the base.
pub fn count_variants(c: &mut DbConn, connection: ConnectionId, name: &SyncName) -> Result<i64, StoreError> {
    Ok(syncs::table
        .filter(syncs::connection_id.eq(connection.raw()))
        .filter(syncs::name.eq(name.as_str()))
        .filter(syncs::variant.ne(Variant::base().as_str()))
        .count()
        .get_result(c)?)
}

/// Returns the variants of a provider's sync, besides the base, that connections of any environment have.
pub fn variants_any_environment(
    c: &mut DbConn,
    provider: &ProviderName,
    name: &SyncName,
) -> Result<Vec<Variant>, StoreError> {
    let names: Vec<String> = syncs::table
        .inner_join(connections::table)
        .filter(connections::provider.eq(provider.as_str()))
        .filter(syncs::name.eq(name.as_str()))
        .filter(syncs::variant.ne(Variant::base().as_str()))
        .select(syncs::variant)
        .distinct()
        .load(c)?;
    // A name that this version does not accept has no table either.
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Deletes the sync with its schedule, runs and slices. Synced rows stay: delete them with [`crate::records::delete_connection`].
pub fn delete(c: &mut DbConn, id: SyncId) -> Result<(), StoreError> {
    diesel::delete(syncs::table.find(id.raw())).execute(c)?;
    Ok(())
}

/// Returns up to `limit` connections of the provider, of any environment, without the sync, which its file gained after them.
pub fn connections_without_any_environment(
    c: &mut DbConn,
    provider: &ProviderName,
    sync: &SyncName,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let theirs = syncs::table
        .filter(syncs::connection_id.eq(connections::id))
        .filter(syncs::name.eq(sync.as_str()));
    let ids: Vec<i64> = connections::table
        .filter(connections::provider.eq(provider.as_str()))
        .filter(diesel::dsl::not(diesel::dsl::exists(theirs)))
        .order(connections::id)
        .limit(limit)
        .select(connections::id)
        .load(c)?;
    Ok(ids.into_iter().map(ConnectionId::from_raw).collect())
}

/// Returns the sync with that row number, of any environment.
pub fn get_any_environment(c: &mut DbConn, id: SyncId) -> Result<Option<Sync>, StoreError> {
    Ok(syncs::table
        .inner_join(connections::table)
        .filter(syncs::id.eq(id.raw()))
        .select(Sync::as_select())
        .get_result(c)
        .optional()?)
}

/// Returns the environment's syncs that match the filter, in the order in which they were created.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &SyncFilter,
) -> Result<Vec<Sync>, StoreError> {
    let mut query = syncs::table
        .inner_join(connections::table)
        .filter(connections::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(integration) = &filter.integration {
        query = query.filter(connections::integration.eq(integration.as_str()));
    }
    if let Some(name) = &filter.connection_name {
        query = query.filter(connections::name.eq(name.as_str()));
    }
    if let Some(names) = &filter.names {
        query = query.filter(syncs::name.eq_any(names.iter().map(SyncName::as_str)));
    }
    Ok(query.order(syncs::id).select(Sync::as_select()).load(c)?)
}

/// Pauses or starts the sync, and sets when it is due (`None`: never) unless it is leased.
pub fn set_paused(
    c: &mut DbConn,
    id: SyncId,
    paused: bool,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(syncs::table.find(id.raw()))
        .set(syncs::paused.eq(paused))
        .execute(c)?;
    lease::reschedule(c, id, due_at, now)
}

/// Sets what the sync engine keeps between runs.
pub fn set_checkpoint(c: &mut DbConn, id: SyncId, checkpoint: &Json) -> Result<(), StoreError> {
    let checkpoint = syncs::checkpoint.eq(to_json(checkpoint)?);
    Cached(diesel::update(syncs::table.find(id.raw())).set(checkpoint)).execute(c)?;
    Ok(())
}

/// Sets or clears the sync's problem.
pub fn set_problem(c: &mut DbConn, id: SyncId, problem: Option<&Problem>) -> Result<(), StoreError> {
    let sync = syncs::table.filter(syncs::id.eq(id.raw()));
    match problem {
        Some(problem) => diesel::update(sync)
            .set(syncs::problem.eq(to_json(problem)?))
            .execute(c)?,
        // Most syncs have none, and their rows are not written.
        None => diesel::update(sync.filter(syncs::problem.is_not_null()))
            .set(syncs::problem.eq(None::<String>))
            .execute(c)?,
    };
    Ok(())
}

/// Returns the environment's syncs of these connections that have a problem, in the order in which they were created.
pub fn with_problem(
    c: &mut DbConn,
    environment: EnvironmentId,
    of: &[ConnectionId],
) -> Result<Vec<Sync>, StoreError> {
    let ids = of.iter().map(|id| id.raw());
    let (Some(first), Some(last)) = (ids.clone().min(), ids.max()) else {
        return Ok(Vec::new());
    };
    // By a range: there may be more connections than a statement may have parameters.
    let mut rows: Vec<Sync> = syncs::table
        .inner_join(connections::table)
        .filter(connections::environment_id.eq(environment.raw()))
        .filter(syncs::problem.is_not_null())
        .filter(syncs::connection_id.between(first, last))
        .order(syncs::id)
        .select(Sync::as_select())
        .load(c)?;
    let of: HashSet<ConnectionId> = of.iter().copied().collect();
    rows.retain(|row| of.contains(&row.connection));
    Ok(rows)
}

/// Sets how often the sync runs; `None` for as the provider's file says. [`StoreError::NotFound`] if the sync was deleted.
pub fn set_frequency(c: &mut DbConn, id: SyncId, frequency: Option<&str>) -> Result<(), StoreError> {
    let set = diesel::update(syncs::table.find(id.raw()))
        .set(syncs::frequency.eq(frequency))
        .execute(c)?;
    if set == 0 {
        return Err(StoreError::NotFound { what: "sync" });
    }
    Ok(())
}
