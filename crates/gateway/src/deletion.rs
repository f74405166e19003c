//! Deletes rows: of a sync, or of a connection with all it has. Workers are kept away from a sync meanwhile.

use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, ConnectionId, Id, IdKind, Sync, SyncFilter, SyncId, Timestamp, Variant};
use store::connections;
use store::syncs;
use store::{DbConn, Lease, StoreError, credentials, records, tables};

use crate::error::Result;
use crate::events;
use crate::gateway::Gateway;
use crate::models::ModelTable;
use crate::webhooks;

/// Rows that one transaction deletes, so that other transactions get their turn.
const BATCH: i64 = 5_000;
/// How long a sync stays away from workers after the last renewal.
const LEASE: Duration = Duration::from_mins(10);

enum LeaseKind {}
impl IdKind for LeaseKind {
    const PREFIX: &'static str = "held";
}

/// Takes a sync from all workers while its rows are deleted. A worker that was running it loses its own lease, and with it the right to
/// write.
///
/// The name of the lease is no worker's, so that no worker makes the sync due meanwhile.
pub(crate) fn take_sync(c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<Lease<Sync>, StoreError> {
    let lease = Lease::new(sync, Id::<LeaseKind>::new(now).to_string());
    lease.take(c, now.plus(LEASE), now)?;
    Ok(lease)
}

/// Deletes all rows of a sync in batches. Returns false if another lease was taken; its holder continues.
pub(crate) async fn delete_rows_of_sync(gateway: &Gateway, sync: &Sync, lease: &Lease<Sync>) -> Result<bool> {
    let models = &gateway.models;
    match models.table(&sync.provider, &sync.name, &sync.variant).await? {
        Some(table) => delete_rows(gateway, &table, sync.connection, Some(lease)).await,
        None => Ok(true),
    }
}

/// Deletes a connection, its sealed credentials, its syncs and its rows.
///
/// First the provider is asked to end the webhook subscriptions, which needs the credentials. Then the credentials are deleted and workers
/// lose its syncs, so that nothing is written after that. The rows follow in batches and the connection last: an interrupted deletion can be
/// repeated.
pub(crate) async fn delete_connection(gateway: &Gateway, connection: &Connection) -> Result<()> {
    webhooks::end_before_deletion(gateway, connection).await?;
    let (environment, id) = (connection.environment, connection.id);
    let filter = SyncFilter {
        integration: Some(connection.integration.clone()),
        connection_name: Some(connection.name.clone()),
        names: None,
    };
    let now = gateway.clock.now();
    let taken = gateway.store.write(move |c| {
        let syncs = syncs::list(c, environment, &filter)?;
        for sync in &syncs {
            take_sync(c, sync.id, now)?;
            syncs::set_paused(c, sync.id, true, None, now)?;
        }
        credentials::delete(c, id)?;
        Ok(syncs)
    });
    let syncs = taken.await?;
    gateway.caches.forget_secrets();
    for table in gateway.models.of_provider(&connection.provider) {
        delete_rows(gateway, table, id, None).await?;
    }
    for sync in syncs.iter().filter(|sync| sync.variant != Variant::base()) {
        if let Some(table) = gateway
            .models
            .table(&sync.provider, &sync.name, &sync.variant)
            .await?
        {
            delete_rows(gateway, &table, id, None).await?;
        }
    }
    let variants: Vec<_> = syncs
        .into_iter()
        .filter_map(|sync| Some((gateway.models.variant_table(&sync)?, sync)))
        .collect();
    for (_, sync) in &variants {
        gateway.models.forget(sync);
    }
    let erase = || {
        gateway
            .store
            .write_long(move |c| store::events::erase(c, id, BATCH, now))
    };
    while erase().await? > 0 {}
    let erase = || {
        gateway
            .store
            .write_long(move |c| store::incoming::erase(c, id, BATCH, now))
    };
    while erase().await? > 0 {}
    let gone = connection.clone();
    let deleted = gateway.store.write_long(move |c| {
        if !variants.is_empty() {
            tables::lock(c)?;
        }
        // By its number, because another connection may have the name now.
        if connections::delete(c, id)? {
            // What was written since the loops above. The provider's events first, which waits for a worker that turns them into events for
            // the app.
            store::incoming::erase(c, id, i64::MAX, now)?;
            store::events::erase(c, id, i64::MAX, now)?;
            events::deleted(c, &gone, now)?;
        }
        for (table, sync) in &variants {
            tables::drop_unused(c, &sync.provider, &sync.name, &sync.variant, table)?;
        }
        Ok(())
    });
    deleted.await?;
    gateway.event_written.notify_one();
    Ok(())
}

/// Deletes a connection's rows of one table in batches, and renews the lease with each; returns false if the lease is lost.
async fn delete_rows(
    gateway: &Gateway,
    table: &Arc<ModelTable>,
    connection: ConnectionId,
    lease: Option<&Lease<Sync>>,
) -> Result<bool> {
    loop {
        let (table, lease, now) = (Arc::clone(table), lease.cloned(), gateway.clock.now());
        let deleted = gateway.store.write_long(move |c| match lease {
            Some(lease) if !lease.renew(c, now.plus(LEASE), now)? => Ok(None),
            _ => records::delete_connection(c, &table.sql, connection, BATCH).map(Some),
        });
        match deleted.await? {
            None => return Ok(false),
            Some(0) => return Ok(true),
            Some(_) => {}
        }
    }
}
