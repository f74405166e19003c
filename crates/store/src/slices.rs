//! Slices: the parts of a sync's range that are still to be read.

use diesel::prelude::*;
use domain::{Slice, SliceId, SyncId, Timestamp};

use crate::column::{MaybeMicros, Number, Row, row};
use crate::schema::slices;
use crate::{DbConn, StoreError};

row!(Slice {
    id: Number = slices::id,
    sync: Number = slices::sync_id,
    kind: String = slices::kind,
    from_at: MaybeMicros = slices::from_at,
    to_at: MaybeMicros = slices::to_at,
    next: Option<String> = slices::next,
    pages: i64 = slices::pages,
    records: i64 = slices::records,
});

/// A slice to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSlice {
    /// The engine's word for what it is for.
    pub kind: String,
    /// Where it begins.
    pub from_at: Option<Timestamp>,
    /// Where it ends.
    pub to_at: Option<Timestamp>,
    /// Where to begin within it: the provider's link or token; `None` for its beginning.
    pub next: Option<String>,
}

/// The sync's slices, in the order in which they were made.
pub fn list(c: &mut DbConn, sync: SyncId) -> Result<Vec<Slice>, StoreError> {
    Ok(slices::table
        .filter(slices::sync_id.eq(sync.raw()))
        .order(slices::id)
        .select(Row::<Slice>::as_select())
        .load(c)
        .map(Row::all)?)
}

/// Adds slices; gives them as stored, in the same order.
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

/// Takes the sync's slices away, or those of one kind.
pub fn clear(c: &mut DbConn, sync: SyncId, kind: Option<&str>) -> Result<(), StoreError> {
    let of_sync = slices::table.filter(slices::sync_id.eq(sync.raw()));
    match kind {
        Some(kind) => diesel::delete(of_sync.filter(slices::kind.eq(kind))).execute(c)?,
        None => diesel::delete(of_sync).execute(c)?,
    };
    Ok(())
}
