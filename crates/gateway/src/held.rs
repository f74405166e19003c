//! Syncs that are kept from all workers, since their rows go.

use std::sync::Arc;
use std::time::Duration;

use domain::{Id, IdKind, Sync, SyncId, Timestamp};
use store::{DbConn, Lease, StoreError, records};

use crate::GatewayError;
use crate::gateway::Inner;

/// Rows of a synced table that one transaction deletes, so that others get their turn.
pub(crate) const DELETE_BATCH: i64 = 5_000;
/// Without a sign of life for so long, whoever kept it is taken for dead and workers get it again.
const LEASE: Duration = Duration::from_mins(10);

/// The name under which a sync is kept; no worker bears it, so that nobody makes it due meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder(String);

enum HolderKind {}
impl IdKind for HolderKind {
    const PREFIX: &'static str = "held";
}

impl Holder {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Id::<HolderKind>::new(now).to_string())
    }

    /// Takes the sync from whoever has it, who cannot write any more.
    pub(crate) fn take(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
        Lease::new(sync, &*self.0).take(c, now.plus(LEASE), now)
    }

    /// Makes the sync due and anybody's, unless somebody else has taken it.
    pub(crate) fn let_go(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
        Lease::new(sync, &*self.0).finish(c, Some(now), now).map(drop)
    }

    /// Whether the sync is still kept, which is prolonged.
    pub(crate) fn keeps(&self, c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<bool, StoreError> {
        Lease::new(sync, &*self.0).renew(c, now.plus(LEASE), now)
    }
}

impl Inner {
    /// Deletes all rows of a sync in batches; false if somebody else has taken it, whose affair they are then.
    pub(crate) async fn delete_rows_of(&self, sync: &Sync, holder: &Holder) -> Result<bool, GatewayError> {
        let Some(table) = self.table(&sync.provider, &sync.name, &sync.variant).await? else {
            return Ok(true);
        };
        loop {
            let (table, holder, now) = (Arc::clone(&table), holder.clone(), self.clock.now());
            let (id, connection) = (sync.id, sync.connection);
            let deleted = self.store.write_long(move |c| {
                if !holder.keeps(c, id, now)? {
                    return Ok(None);
                }
                records::delete_connection(c, &table.sql, connection, DELETE_BATCH).map(Some)
            });
            match deleted.await? {
                None => return Ok(false),
                Some(0) => return Ok(true),
                Some(_) => {}
            }
        }
    }
}
