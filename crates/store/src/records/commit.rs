//! Pages of a sync are written here, and nowhere else.
//!
//! A page, its counts and the checkpoint that follows it are one transaction: a crash before the commit repeats the page,
//! a crash after it does not lose it. The counter's row is locked first, so that change numbers are handed out in commit order
//! and a reader that saw number n has seen all below it.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use diesel::prelude::*;
use domain::{ConnectionId, Model, Record, RunId, Slice, SliceId, Sync, Timestamp};
use foldhash::fast::RandomState;
use serde_json::Value as Json;

use super::sql::keys_bind;
use super::{Requested, TableSql, WrittenKeys, write};
use crate::dialect::{Bind, Cached, Statement, lock_counter};
use crate::lease::Lease;
use crate::run_notes::{self, RunNotes};
use crate::schema::{self, counters};
use crate::slices::{self, NewSlice};
use crate::{DbConn, StoreError, syncs};

/// What becomes of the slice that a page was read of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceChange {
    /// It goes on: the page's records and pages are added to it.
    Advance {
        /// The slice.
        id: SliceId,
        /// Where to go on.
        next: Option<String>,
        /// Its new beginning; `None` keeps it.
        from_at: Option<Timestamp>,
    },
    /// It is read to its end and goes away.
    Done {
        /// The slice.
        id: SliceId,
    },
}

/// A page to be written.
#[derive(Debug)]
pub struct PageCommit<'a> {
    /// The statements of the model's table.
    pub table: &'a TableSql,
    /// The model.
    pub model: &'a Model,
    /// The writer's right.
    pub lease: &'a Lease<Sync>,
    /// The run, whose counts grow.
    pub run: RunId,
    /// The connection that the records belong to.
    pub connection: ConnectionId,
    /// The records; of several with one key the last counts.
    pub records: &'a [Record],
    /// How many pages of the provider these are.
    pub pages: u32,
    /// Records of the pages that could not be kept.
    pub skipped: u32,
    /// What becomes of the slice.
    pub slice: Option<&'a SliceChange>,
    /// Slices to be added to the sync.
    pub new_slices: &'a [NewSlice],
    /// The sync's new checkpoint; `None` keeps it.
    pub checkpoint: Option<Json>,
    /// What the run has noted beside the counts of this page.
    pub notes: RunNotes,
    /// When they were requested: a row that was written since then, by an action's answer, is newer and stays as it is.
    pub requested: Requested,
    /// Whether this run has read them before: those that did not change are not counted again.
    pub again: bool,
    /// What the run has written, if the table held no row of the connection when it began: only records that may be among these are
    /// looked up.
    pub written: Option<&'a WrittenKeys>,
    /// The time of writing.
    pub now: Timestamp,
}

/// What writing a page did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageCounts {
    /// Rows that were not there. A row that was marked deleted and comes again counts as updated.
    pub added: u64,
    /// Rows that differed, or were marked deleted.
    pub updated: u64,
    /// Rows as they were; not written.
    pub unchanged: u64,
    /// Records whose key came again later in the page; not written.
    pub repeated: u64,
    /// The slices added, in the order given.
    pub new_slices: Vec<Slice>,
    /// The change numbers of the rows written; `None` if there are none.
    pub written: Option<RangeInclusive<i64>>,
    /// The last change number of the connection's rows after that.
    pub last_number: i64,
}

/// Writes a page; to be called within [`crate::Store::write`].
///
/// [`StoreError::LeaseLost`] if the lease's holder is so no longer. [`StoreError::Conflict`] if a record has a row though it was not
/// looked up: another writer has put it there, and the transaction is to be repeated without `written`. Nothing is written then.
pub fn commit_page(c: &mut DbConn, page: &PageCommit<'_>) -> Result<PageCounts, StoreError> {
    page.lease.check(c)?;
    let rows = Rows {
        table: page.table,
        model: page.model,
        connection: page.connection,
        now: page.now,
    };
    let mut counts = write_rows(c, &rows, page.records, Some(&page.requested), page.written)?;
    counts.new_slices = slices::insert(c, page.lease.id, page.new_slices)?;
    note_page(c, page, &counts)?;
    change_slice(c, page)?;
    if let Some(checkpoint) = &page.checkpoint {
        syncs::set_checkpoint(c, page.lease.id, checkpoint)?;
    }
    Ok(counts)
}

/// Whose rows are written, and when.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The statements of the model's table.
    pub table: &'a TableSql,
    /// The model.
    pub model: &'a Model,
    /// The connection that the rows belong to.
    pub connection: ConnectionId,
    /// The time of writing.
    pub now: Timestamp,
}

/// Writes those records that differ from what is stored, unless that was written since they were requested. The counter's row is
/// locked first. With `written`, only records that may be among these are looked up.
pub(super) fn write_rows(
    c: &mut DbConn,
    rows: &Rows<'_>,
    given: &[Record],
    requested: Option<&Requested>,
    written: Option<&WrittenKeys>,
) -> Result<PageCounts, StoreError> {
    let last_number = lock_counter(c, rows.connection, rows.table.name.as_str())?;
    let records = last_of_each_key(given);
    let stored = match written {
        Some(written) => {
            let perhaps = records.iter().filter(|record| written.insert(&record.key));
            stored(c, rows, &perhaps.copied().collect::<Vec<_>>())?
        }
        None => stored(c, rows, &records)?,
    };
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
        move_counter(c, rows.table, rows.connection, last_number, differing, live)?;
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

/// Of several records with one key the last, each in its place.
fn last_of_each_key(records: &[Record]) -> Vec<&Record> {
    let last = is_last_of_its_key(records);
    let kept = records.iter().zip(last).filter(|(_, last)| *last);
    kept.map(|(record, _)| record).collect()
}

/// For each record of a page whether none that follows has its key.
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

/// What is stored of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) hash: i64,
    pub(super) deleted: bool,
    /// The change number of its last writing.
    number: i64,
}

/// What is stored of the records, by their keys.
pub(super) fn stored(
    c: &mut DbConn,
    rows: &Rows<'_>,
    records: &[&Record],
) -> Result<HashMap<String, Stored, RandomState>, StoreError> {
    if records.is_empty() {
        return Ok(HashMap::default());
    }
    let keys = keys_bind(
        rows.table.dialect,
        records.iter().map(|record| record.key.as_str()),
    )?;
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

/// Moves the last change number on by `rows` and the count of live rows by `live`. The counter is locked.
fn move_counter(
    c: &mut DbConn,
    table: &TableSql,
    connection: ConnectionId,
    last_number: i64,
    rows: usize,
    live: i64,
) -> Result<(), StoreError> {
    let counter = counters::table.find((connection.raw(), table.name.as_str()));
    let moved = (
        counters::last_number.eq(last_number + signed(rows)),
        counters::live.eq(counters::live + live),
    );
    Cached(diesel::update(counter).set(moved)).execute(c)?;
    Ok(())
}

fn note_page(c: &mut DbConn, page: &PageCommit<'_>, counts: &PageCounts) -> Result<(), StoreError> {
    let mut notes = page.notes.clone();
    notes.merge(RunNotes {
        pages: u64::from(page.pages),
        added: counts.added,
        updated: counts.updated,
        unchanged: if page.again { 0 } else { counts.unchanged },
        skipped: u64::from(page.skipped),
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
                schema::slices::pages.eq(schema::slices::pages + i64::from(page.pages)),
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

/// Rows to be marked deleted.
#[derive(Debug)]
pub struct DeleteCommit<'a> {
    /// The statements of the model's table.
    pub table: &'a TableSql,
    /// The model.
    pub model: &'a Model,
    /// The writer's right.
    pub lease: &'a Lease<Sync>,
    /// The run, whose count of deleted grows.
    pub run: RunId,
    /// The connection that the rows belong to.
    pub connection: ConnectionId,
    /// The rows' keys.
    pub keys: &'a [String],
    /// The last change number before it was seen that they are gone: a row that was written since stays as it is.
    pub up_to: i64,
    /// The time of writing.
    pub now: Timestamp,
}

/// Marks rows deleted and empties all but their keys; gives how many were live. To be called within [`crate::Store::write`].
///
/// [`StoreError::LeaseLost`] if the lease's worker is no longer the holder; nothing is written then.
pub fn mark_deleted(c: &mut DbConn, delete: &DeleteCommit<'_>) -> Result<u64, StoreError> {
    delete.lease.check(c)?;
    let rows = Rows {
        table: delete.table,
        model: delete.model,
        connection: delete.connection,
        now: delete.now,
    };
    let live = bury(c, &rows, delete.keys, delete.up_to)?;
    if live == 0 {
        return Ok(0);
    }
    let notes = RunNotes {
        deleted: live,
        ..RunNotes::default()
    };
    run_notes::note(c, delete.run, &notes, None)?;
    Ok(live)
}

/// Marks those of the rows deleted that are live and were not written after the change number `up_to`; gives how many. The counter's
/// row is locked first.
pub(super) fn bury(c: &mut DbConn, rows: &Rows<'_>, keys: &[String], up_to: i64) -> Result<u64, StoreError> {
    let last_number = lock_counter(c, rows.connection, rows.table.name.as_str())?;
    let live = live_of(c, rows, keys, up_to)?;
    if live.is_empty() {
        return Ok(0);
    }
    write::tombstones(c, rows, &live, last_number)?;
    move_counter(
        c,
        rows.table,
        rows.connection,
        last_number,
        live.len(),
        -signed(live.len()),
    )?;
    Ok(unsigned(live.len()))
}

/// Those of the keys whose rows are live and not newer than `up_to`, in the order given.
fn live_of(c: &mut DbConn, rows: &Rows<'_>, keys: &[String], up_to: i64) -> Result<Vec<String>, StoreError> {
    let bind = keys_bind(rows.table.dialect, keys.iter().map(String::as_str))?;
    let select = Statement::new(
        rows.table.stored.as_str(),
        vec![Bind::integer(rows.connection.raw()), bind],
    );
    let found = select.load(c, |row| {
        let deleted = row.boolean(2)?.unwrap_or_default();
        Ok((row.some_text(0)?, deleted || row.some_integer(3)? > up_to))
    })?;
    let mut live: HashSet<_> = found
        .into_iter()
        .filter(|(_, stays)| !stays)
        .map(|(key, _)| key)
        .collect();
    Ok(keys.iter().filter_map(|key| live.take(key)).collect())
}
