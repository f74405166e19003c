//! Writes the pages of a sync; nothing else does.
//!
//! A page, its counts and the checkpoint are stored in one transaction: after a crash before the commit the page is read again, and after
//! the commit it is not lost. The counter's row is locked first, so change numbers are assigned in the order of commits, and a reader that
//! has seen number n has seen all below it.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use diesel::prelude::*;
use domain::{ConnectionId, Record, RunId, Slice, SliceId, Sync, Timestamp};
use foldhash::fast::RandomState;
use serde_json::Value as Json;

use super::{Requested, TableSql, WrittenKeys, write};
use crate::dialect::{Bind, Cached, Statement, lock_counter, text_list};
use crate::lease::Lease;
use crate::run_notes::{self, RunNotes};
use crate::schema::{self, counters};
use crate::slices::{self, NewSlice};
use crate::{DbConn, StoreError, syncs};

/// What happens to the slice that a page belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceChange {
    /// It continues: the counts of the page are added to it.
    Advance {
        /// The slice.
        id: SliceId,
        /// Where to continue.
        next: Option<String>,
        /// Its new beginning; `None` keeps it.
        from_at: Option<Timestamp>,
    },
    /// It was read to its end and is deleted.
    Done {
        /// The slice.
        id: SliceId,
    },
}

/// A page to write.
#[derive(Debug)]
pub struct PageCommit<'a> {
    /// The rows to write.
    pub rows: Rows<'a>,
    /// The writer's lease.
    pub lease: &'a Lease<Sync>,
    /// The run, to which the counts are added.
    pub run: RunId,
    /// The records. Of several with one key only the last is written.
    pub records: &'a [Record],
    /// The number of the provider's pages, which are added to the slice.
    pub pages: u64,
    /// What happens to the slice.
    pub slice: Option<&'a SliceChange>,
    /// Slices to create.
    pub new_slices: &'a [NewSlice],
    /// The sync's new checkpoint; `None` keeps it.
    pub checkpoint: Option<Json>,
    /// What the run has noted, with these pages but without the counts of their rows.
    pub notes: RunNotes,
    /// When the pages were requested. A row that an action's response has written since then is newer, and stays as it is.
    pub requested: Requested,
    /// Whether this run has read them before, so that unchanged records are not counted again.
    pub again: bool,
    /// The keys that the run has written, if the table had no row of the connection when it began. Only records that may be among these
    /// are looked up.
    pub written: Option<&'a WrittenKeys>,
}

/// The result of writing a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageCounts {
    /// Rows inserted. A row that was marked as deleted and returns counts as updated.
    pub added: u64,
    /// Rows that differed, or were marked as deleted.
    pub updated: u64,
    /// Rows that were equal; not written.
    pub unchanged: u64,
    /// Records whose key is repeated later in the page; not written.
    pub repeated: u64,
    /// The slices created, in the order of the new ones.
    pub new_slices: Vec<Slice>,
    /// The change numbers of the rows written; `None` if there are none.
    pub written: Option<RangeInclusive<i64>>,
    /// The last change number of the connection's rows now.
    pub last_number: i64,
}

/// Writes a page. Call it in [`crate::Store::write`].
///
/// Nothing is written after an error. [`StoreError::LeaseLost`] if the lease is lost. [`StoreError::Conflict`] if a record that was not
/// looked up has a row, which another writer inserted: repeat the transaction without `written`.
pub fn commit_page(c: &mut DbConn, page: &PageCommit<'_>) -> Result<PageCounts, StoreError> {
    page.lease.check(c)?;
    let mut counts = write_rows(c, &page.rows, page.records, Some(&page.requested), page.written)?;
    counts.new_slices = slices::insert(c, page.lease.id, page.new_slices)?;
    note_page(c, page, &counts)?;
    change_slice(c, page)?;
    if let Some(checkpoint) = &page.checkpoint {
        syncs::set_checkpoint(c, page.lease.id, checkpoint)?;
    }
    Ok(counts)
}

/// The rows to write.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The model's table.
    pub table: &'a TableSql,
    /// The connection that the rows belong to.
    pub connection: ConnectionId,
    /// The time of writing.
    pub now: Timestamp,
}

/// Locks the counter's row and writes the records that differ from their rows, unless a row was written since the records were requested.
/// With `written`, only records that may be among these are looked up.
pub(super) fn write_rows(
    c: &mut DbConn,
    rows: &Rows<'_>,
    given: &[Record],
    requested: Option<&Requested>,
    written: Option<&WrittenKeys>,
) -> Result<PageCounts, StoreError> {
    let last_number = lock_counter(c, rows.connection, rows.table.name())?;
    let records = last_of_each_key(given);
    let mut perhaps: Vec<_> = records.iter().map(|record| record.key.as_str()).collect();
    if let Some(written) = written {
        perhaps.retain(|key| written.insert(key));
    }
    let stored = stored(c, rows, &perhaps)?;
    let (mut new, mut changed, mut revived) = (Vec::new(), Vec::new(), 0);
    for record in &records {
        match stored.get(record.key.as_str()) {
            None => new.push(*record),
            Some(there) if requested.is_some_and(|requested| requested.is_older_than(there.number)) => {}
            Some(there) if there.deleted => {
                revived += 1;
                changed.push(*record);
            }
            Some(there) if there.hash != record.hash => changed.push(*record),
            Some(_) => {}
        }
    }
    let differing = new.len() + changed.len();
    if differing > 0 {
        write::new_rows(c, rows, &new, last_number)?;
        write::changed_rows(c, rows, &changed, last_number + signed(new.len()))?;
        let live = signed(new.len() + revived);
        move_counter(c, rows, last_number, differing, live)?;
    }
    Ok(PageCounts {
        added: unsigned(new.len()),
        updated: unsigned(changed.len()),
        unchanged: unsigned(records.len() - differing),
        repeated: unsigned(given.len() - records.len()),
        new_slices: Vec::new(),
        written: (differing > 0).then(|| last_number + 1..=last_number + signed(differing)),
        last_number: last_number + signed(differing),
    })
}

/// Returns the records, in order, without those whose key is repeated later.
fn last_of_each_key(records: &[Record]) -> Vec<&Record> {
    let last = is_last_of_its_key(records);
    let kept = records.iter().zip(last).filter(|(_, last)| *last);
    kept.map(|(record, _)| record).collect()
}

/// Returns for each record whether no later one has its key.
pub(super) fn is_last_of_its_key(records: &[Record]) -> Vec<bool> {
    let mut seen = HashSet::with_capacity_and_hasher(records.len(), RandomState::default());
    let mut last: Vec<bool> = records
        .iter()
        .rev()
        .map(|record| seen.insert(record.key.as_str()))
        .collect();
    last.reverse();
    last
}

/// What the store compares of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) hash: i64,
    pub(super) deleted: bool,
    /// Its change number.
    number: i64,
}

/// Returns what is stored of the rows with these keys, by key.
pub(super) fn stored(
    c: &mut DbConn,
    rows: &Rows<'_>,
    keys: &[&str],
) -> Result<HashMap<String, Stored, RandomState>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::default());
    }
    let keys = text_list(rows.table.dialect, keys)?;
    let select = Statement::new(
        rows.table.stored.as_str(),
        vec![Bind::integer(rows.connection.raw()), keys],
    );
    let found = select.load(c, |row| {
        let stored = Stored {
            hash: row.some_integer(1)?,
            deleted: row.boolean(2)?.unwrap_or_default(),
            number: row.some_integer(3)?,
        };
        Ok((row.some_text(0)?, stored))
    })?;
    Ok(found.into_iter().collect())
}

/// Adds `count` to the last change number and `live` to the count of live rows. The counter must be locked.
fn move_counter(
    c: &mut DbConn,
    rows: &Rows<'_>,
    last_number: i64,
    count: usize,
    live: i64,
) -> Result<(), StoreError> {
    let counter = counters::table.find((rows.connection.raw(), rows.table.name()));
    let moved = (
        counters::last_number.eq(last_number + signed(count)),
        counters::live.eq(counters::live + live),
    );
    Cached(diesel::update(counter).set(moved)).execute(c)?;
    Ok(())
}

fn note_page(c: &mut DbConn, page: &PageCommit<'_>, counts: &PageCounts) -> Result<(), StoreError> {
    let mut notes = page.notes.clone();
    notes.merge(RunNotes {
        added: counts.added,
        updated: counts.updated,
        unchanged: if page.again { 0 } else { counts.unchanged },
        changes: counts
            .written
            .as_ref()
            .map(|range| (*range.start(), *range.end())),
        ..RunNotes::default()
    });
    if notes == RunNotes::default() {
        return Ok(());
    }
    run_notes::note(c, page.run, &notes, None)
}

fn change_slice(c: &mut DbConn, page: &PageCommit<'_>) -> Result<(), StoreError> {
    let of_sync = schema::slices::table.filter(schema::slices::sync_id.eq(page.lease.id.raw()));
    match page.slice {
        None => {}
        Some(SliceChange::Done { id }) => {
            diesel::delete(of_sync.filter(schema::slices::id.eq(id.raw()))).execute(c)?;
        }
        Some(SliceChange::Advance { id, next, from_at }) => {
            let slice = of_sync.filter(schema::slices::id.eq(id.raw()));
            let advanced = (
                schema::slices::next.eq(next),
                schema::slices::pages
                    .eq(schema::slices::pages + i64::try_from(page.pages).unwrap_or(i64::MAX)),
                schema::slices::records.eq(schema::slices::records + signed(page.records.len())),
                from_at.map(|from_at| schema::slices::from_at.eq(from_at.as_micros())),
            );
            Cached(diesel::update(slice).set(advanced)).execute(c)?;
        }
    }
    Ok(())
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Marks the rows with these keys as deleted, and clears all but the keys. Returns how many were live, which are added to the run. Call it
/// in [`crate::Store::write`].
///
/// `up_to` is the last change number before their absence was observed. A row that was written since then stays as it is.
/// [`StoreError::LeaseLost`] if the lease is lost; nothing is written then.
pub fn mark_deleted(
    c: &mut DbConn,
    rows: &Rows<'_>,
    lease: &Lease<Sync>,
    run: RunId,
    keys: &[String],
    up_to: i64,
) -> Result<u64, StoreError> {
    lease.check(c)?;
    let changes = mark_live_deleted(c, rows, keys, up_to)?;
    let deleted = count(changes.as_ref());
    if deleted > 0 {
        let notes = RunNotes {
            deleted,
            changes: changes.map(|range| (*range.start(), *range.end())),
            ..RunNotes::default()
        };
        run_notes::note(c, run, &notes, None)?;
    }
    Ok(deleted)
}

/// Returns how many change numbers there are.
pub(super) fn count(changes: Option<&RangeInclusive<i64>>) -> u64 {
    changes.map_or(0, |range| (range.end() - range.start() + 1).unsigned_abs())
}

/// Locks the counter's row and marks rows as deleted that are live and have no change number above `up_to`. Returns their change numbers.
pub(super) fn mark_live_deleted(
    c: &mut DbConn,
    rows: &Rows<'_>,
    keys: &[String],
    up_to: i64,
) -> Result<Option<RangeInclusive<i64>>, StoreError> {
    let last_number = lock_counter(c, rows.connection, rows.table.name())?;
    let texts: Vec<_> = keys.iter().map(String::as_str).collect();
    let mut stored = stored(c, rows, &texts)?;
    // Removed from the map, so that a repeated key counts once.
    let mut is_live = |key: &str| {
        let row = stored.remove(key);
        row.is_some_and(|row| !row.deleted && row.number <= up_to)
    };
    let live: Vec<_> = texts.into_iter().filter(|key| is_live(key)).collect();
    if live.is_empty() {
        return Ok(None);
    }
    write::tombstones(c, rows, &live, last_number)?;
    move_counter(c, rows, last_number, live.len(), -signed(live.len()))?;
    Ok(Some(last_number + 1..=last_number + signed(live.len())))
}
