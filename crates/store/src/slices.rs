//! Slices: the parts of a sync's range that are still to be read.

use diesel::prelude::*;
use domain::{Slice, SliceId, SyncId, Timestamp};

use crate::column::row;
use crate::schema::slices;
use crate::{DbConn, StoreError};

row!(Slice: slices {
    id, kind, from_at, to_at, next, pages, records
}, sync = slices::sync_id);

/// A slice to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSlice {
    /// What the sync engine reads it for.
    pub kind: String,
    /// Where it begins.
    pub from_at: Option<Timestamp>,
    /// Where it ends.
    pub to_at: Option<Timestamp>,
    /// Where to begin reading: the provider's link or token; `None` for the beginning.
    pub next: Option<String>,
}

/// Returns the sync's slices, in the order in which they were created.
pub fn list(c: &mut DbConn, sync: SyncId) -> Result<Vec<Slice>, StoreError> {
    Ok(slices::table
        .filter(slices::sync_id.eq(sync.raw()))
        .order(slices::id)
        .select(Slice::as_select())
        .load(c)?)
}

/// Creates slices, and returns them in the same order.
pub fn insert(c: &mut DbConn, sync: SyncId, new: &[NewSlice]) -> Result<Vec<Slice>, StoreError> {
    let one = |slice: &NewSlice| {
        let id = diesel::insert_into(slices::table)
            .values((
                slices::sync_id.eq(sync.raw()),
                slices::kind.eq(&slice.kind),
                slices::from_at.eq(slice.from_at.map(Timestamp::as_micros)),
                slices::to_at.eq(slice.to_at.map(Timestamp::as_micros)),
                slices::next.eq(&slice.next),
            ))
            .returning(slices::id)
            .get_result(c)?;
        Ok(Slice {
            id: SliceId::from_raw(id),
            sync,
            kind: slice.kind.clone(),
            from_at: slice.from_at,
            to_at: slice.to_at,
            next: slice.next.clone(),
            pages: 0,
            records: 0,
        })
    };
    new.iter().map(one).collect()
}

/// Deletes the sync's slices, or those of one kind.
pub fn clear(c: &mut DbConn, sync: SyncId, kind: Option<&str>) -> Result<(), StoreError> {
    let of_sync = slices::table.filter(slices::sync_id.eq(sync.raw()));
    match kind {
        Some(kind) => diesel::delete(of_sync.filter(slices::kind.eq(kind))).execute(c)?,
        None => diesel::delete(of_sync).execute(c)?,
    };
    Ok(())
}
