//! Slices: the parts of a sync's range that are still to be read.

use diesel::prelude::*;
use domain::{SliceId, SyncId, Timestamp};

use crate::column::{MaybeMicros, Number};
use crate::schema::slices;
use crate::{DbConn, StoreError};

/// A part of a sync's range that is still to be read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = slices)]
pub struct SliceRow {
    /// Its number.
    #[diesel(deserialize_as = Number)]
    pub id: SliceId,
    /// The sync.
    #[diesel(deserialize_as = Number, column_name = sync_id)]
    pub sync: SyncId,
    /// The engine's word for what it is for.
    pub kind: String,
    /// Where it begins.
    #[diesel(deserialize_as = MaybeMicros)]
    pub from_at: Option<Timestamp>,
    /// Where it ends.
    #[diesel(deserialize_as = MaybeMicros)]
    pub to_at: Option<Timestamp>,
    /// Where to go on: the provider's link or token.
    pub next: Option<String>,
    /// Pages read of it.
    pub pages: i64,
    /// Records read of it.
    pub records: i64,
}

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
pub fn list(c: &mut DbConn, sync: SyncId) -> Result<Vec<SliceRow>, StoreError> {
    Ok(slices::table
        .filter(slices::sync_id.eq(sync.raw()))
        .order(slices::id)
        .select(SliceRow::as_select())
        .load(c)?)
}

/// Adds slices; gives them as stored, in the same order.
pub fn insert(c: &mut DbConn, sync: SyncId, new: &[NewSlice]) -> Result<Vec<SliceRow>, StoreError> {
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
        Ok(SliceRow {
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
