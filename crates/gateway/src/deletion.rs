//! Deletes rows: of a sync, or of a connection with all it has. Workers are kept away from a sync meanwhile.

use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, ConnectionId, Id, IdKind, Sync, SyncFilter, SyncId, Timestamp, Variant};
use store::connections;
use store::syncs;
use store::{DbConn, Lease, StoreError, credentials, records, tables};

use crate::error::GatewayError;
use crate::models::ModelTable;
use crate::services::Services;

/// Rows that one transaction deletes, so that other transactions get their turn.
const BATCH: i64 = 5_000;
/// How long a sync stays away from workers after the last renewal.
const LEASE: Duration = Duration::from_mins(10);

/// A lease on syncs that keeps all workers away from them.
///
/// A worker that was running such a sync loses its own lease, and with it the right to write. Its name is no worker's, so that no worker
/// makes the sync due meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletionLease(String);

enum LeaseKind {}
impl IdKind for LeaseKind {
    const PREFIX: &'static str = "held";
}

impl DeletionLease {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Id::<LeaseKind>::new(now).to_string())
    }

    /// Takes the lease of the sync from its holder.
    pub(crate) fn take(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
        Lease::new(sync, &*self.0).take(c, now.plus(LEASE), now)
    }

    /// Releases the sync and makes it due, unless another lease on it was taken.
    pub(crate) fn release(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
        Lease::new(sync, &*self.0).finish(c, Some(now), now).map(drop)
    }

    /// Renews the lease on the sync; returns false if another one was taken.
    fn renew(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<bool, StoreError> {
        Lease::new(sync, &*self.0).renew(c, now.plus(LEASE), now)
    }
}

/// Deletes all rows of a sync in batches. Returns false if another lease was taken; its holder continues.
pub(crate) async fn delete_rows_of_sync(
    services: &Services,
    sync: &Sync,
    lease: &DeletionLease,
) -> Result<bool, GatewayError> {
    let Some(table) = services
        .models
        .table(&sync.provider, &sync.name, &sync.variant)
        .await?
    else {
        return Ok(true);
    };
    loop {
        let (table, lease, now) = (Arc::clone(&table), lease.clone(), services.clock.now());
        let (id, connection) = (sync.id, sync.connection);
        let deleted = services.store.write_long(move |c| {
            if !lease.renew(c, id, now)? {
                return Ok(None);
            }
            records::delete_connection(c, &table.sql, connection, BATCH).map(Some)
        });
        match deleted.await? {
            None => return Ok(false),
            Some(0) => return Ok(true),
            Some(_) => {}
        }
    }
}

/// Deletes a connection, its sealed credentials, its syncs and its rows.
///
/// First the credentials are deleted and workers lose its syncs, so that nothing is written after that. The rows follow in batches and
/// the connection last: an interrupted deletion can be repeated.
pub(crate) async fn delete_connection(
    services: &Services,
    connection: &Connection,
) -> Result<(), GatewayError> {
    let (environment, id) = (connection.environment, connection.id);
    let filter = SyncFilter {
        integration: Some(connection.integration.clone()),
        connection_name: Some(connection.name.clone()),
        names: None,
    };
    let now = services.clock.now();
    let lease = DeletionLease::new(now);
    let taken = services.store.write(move |c| {
        let syncs = syncs::list(c, environment, &filter)?;
        for sync in &syncs {
            lease.take(c, sync.id, now)?;
            syncs::set_paused(c, sync.id, true, None, now)?;
        }
        credentials::delete(c, id)?;
        Ok(syncs)
    });
    let syncs = taken.await?;
    services.caches.opened.clear();
    for table in services.models.of_provider(&connection.provider) {
        delete_rows(services, table, id).await?;
    }
    for sync in syncs.iter().filter(|sync| sync.variant != Variant::base()) {
        if let Some(table) = services
            .models
            .table(&sync.provider, &sync.name, &sync.variant)
            .await?
        {
            delete_rows(services, &table, id).await?;
        }
    }
    let variants: Vec<_> = syncs
        .into_iter()
        .filter_map(|sync| Some((services.models.variant_table(&sync)?, sync)))
        .collect();
    for (_, sync) in &variants {
        services.models.forget(sync);
    }
    let deleted = services.store.write_long(move |c| {
        if !variants.is_empty() {
            tables::lock(c)?;
        }
        // By its number, because another connection may have the name now.
        connections::delete(c, id)?;
        for (table, sync) in &variants {
            tables::drop_unused(c, &sync.provider, &sync.name, &sync.variant, table)?;
        }
        Ok(())
    });
    Ok(deleted.await?)
}

/// Deletes a connection's rows of one table in batches.
async fn delete_rows(
    services: &Services,
    table: &Arc<ModelTable>,
    connection: ConnectionId,
) -> Result<(), GatewayError> {
    loop {
        let table = Arc::clone(table);
        let deleted = services
            .store
            .write_long(move |c| records::delete_connection(c, &table.sql, connection, BATCH));
        if deleted.await? == 0 {
            return Ok(());
        }
    }
}
