//! The frequency of one connection's sync, in place of the one of the provider's file.

use domain::{SyncName, Variant};
use registry::Schedule;
use store::{StoreError, lease, runs, syncs};

use super::{declared, next_due, no_such_variant, resolve_sync};
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names};

/// Sets how often a connection's sync runs, or with `None` resets it to what the provider's file says; returns the schedule in force.
///
/// The next run is scheduled again at once. A run that is queued or in progress goes on, and the schedule counts from its end.
pub async fn set_frequency(
    gateway: &Gateway,
    names: Names<'_>,
    (name, variant): (&SyncName, &Variant),
    frequency: Option<&str>,
) -> Result<Schedule> {
    let own = frequency.map(Schedule::parse_every).transpose();
    let own = own.map_err(|error| GatewayError::invalid_body("frequency", error.to_string()))?;
    let (resolved, sync) = resolve_sync(gateway, names, (name, variant)).await?;
    let (provider, connection) = (resolved.integration.provider, resolved.connection);
    let declared = declared(&provider, name)?.schedule.clone();
    let unknown = || no_such_variant(name, connection.name.as_str(), variant);
    let sync = sync.ok_or_else(unknown)?;
    let (id, now, text) = (
        sync.id,
        gateway.clock.now(),
        own.as_ref().map(ToString::to_string),
    );
    let moved = gateway.store.write(move |c| {
        lease::lock(c, id)?;
        syncs::set_frequency(c, id, text.as_deref())?;
        let active = runs::latest(c, id)?.is_some_and(|run| run.finished_at.is_none());
        match syncs::get_any_environment(c, id)? {
            Some(sync) if !active => lease::reschedule(c, id, next_due(&provider, &sync, now), now),
            _ => Ok(()),
        }
    });
    moved.await.map_err(|error| match error {
        // It was deleted since it was found.
        StoreError::NotFound { .. } => unknown(),
        other => other.into(),
    })?;
    gateway.sync_due.notify_one();
    Ok(own.unwrap_or(declared))
}
