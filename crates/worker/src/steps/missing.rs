//! Finds rows that the provider no longer has: a complete reading of their range did not show them.
//!
//! A row missing from a list is no proof, since records move while a list is read. Where the file says how one record is read, each
//! missing row is requested by its key, and only the provider's "not found" marks it as deleted. Otherwise the list is read again, and
//! only rows are marked that are missing there too.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Timestamp;
use store::records::{self, KeyQuery, KeyRange};

use super::{by_key, deletions};
use crate::context::Context;
use crate::failure::Failure;
use crate::pager::key_hash;
use crate::plan::Range;
use crate::slices::{self, Purpose, ReadSlice, SliceQueue};

/// How many keys one query reads from the table.
const BATCH: i64 = 5_000;
/// The most missing rows that one run handles. The next run finds the others again.
const CANDIDATES: usize = 50_000;
/// The maximum number of readings of a list in a run: one, and others to confirm the missing rows.
const READINGS: usize = 3;

/// Rows that were not shown.
#[derive(Debug, Default)]
struct Missing {
    keys: Vec<String>,
    /// How many there are, including those beyond [`CANDIDATES`].
    count: usize,
    /// The last change number before the earliest reading began. Rows written since are not missing.
    up_to: Option<i64>,
}

/// Reads a range of the list, or the whole list for `None`. If the sync tracks deletions, also marks rows as deleted that the reading did
/// not find, once the provider or a second reading confirms it.
pub(super) async fn read_and_mark(context: &Arc<Context>, range: Option<Range>) -> Result<(), Failure> {
    let queue = SliceQueue::of_range(context, range);
    if !context.declared.track_deletes {
        return slices::read_all(context, queue, Purpose::Fill).await.map(drop);
    }
    let slices = slices::read_all(context, queue, Purpose::Compare).await?;
    let missing = find(context, slices).await?;
    if missing.keys.is_empty() {
        return Ok(());
    }
    // The guard also counts the rows of buffered pages.
    context.writer.flush().await?;
    // Before each of them is requested.
    deletions::guard(context, missing.count).await?;
    if context.declared.reread.is_some() {
        return by_key::read(context, missing.keys, true).await;
    }
    let confirmed = confirm(context, range, missing.keys).await?;
    deletions::mark(context, &confirmed, missing.up_to.unwrap_or_default()).await
}

/// Reads the list again until the missing rows are certain: they are missing twice in a row, and no others were missing the second time. If
/// the list keeps changing, only rows that every reading misses are returned.
async fn confirm(
    context: &Arc<Context>,
    range: Option<Range>,
    missing: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut missing: HashSet<String> = missing.into_iter().collect();
    for _ in 1..READINGS {
        let queue = SliceQueue::of_range(context, range);
        let slices = slices::read_all(context, queue, Purpose::Confirm).await?;
        let again: HashSet<String> = find(context, slices).await?.keys.into_iter().collect();
        let unchanged = again.is_subset(&missing);
        missing.retain(|key| again.contains(key));
        if unchanged || missing.is_empty() {
            break;
        }
    }
    Ok(missing.into_iter().collect())
}

/// Finds the rows that the slices did not show. Slices with unreadable records do not count.
async fn find(context: &Arc<Context>, slices: Vec<ReadSlice>) -> Result<Missing, Failure> {
    let mut missing = Missing::default();
    let by_key = context.declared.reread.is_some();
    let mut unreadable = 0_u64;
    for mut slice in slices {
        if slice.unreadable > 0 && !by_key {
            unreadable = unreadable.saturating_add(slice.unreadable);
            continue;
        }
        slice.seen.sort_unstable();
        missing.up_to = Some(missing.up_to.map_or(slice.began, |up_to| up_to.min(slice.began)));
        find_in(context, &slice, &mut missing).await?;
    }
    if unreadable > 0 {
        context.note_incomplete(format!(
            "{unreadable} records could not be read, and any row may be one of them, so no deletions were looked for"
        ));
    }
    Ok(missing)
}

/// Finds live rows in the slice's range that were last written before it was read and that it did not show.
async fn find_in(context: &Arc<Context>, slice: &ReadSlice, missing: &mut Missing) -> Result<(), Failure> {
    let column = context.window().map(|window| window.column.clone());
    let range = slice.range.zip(column);
    let (connection, began) = (context.connection.id, slice.began);
    let mut after: Option<String> = None;
    loop {
        let (table, range, from) = (Arc::clone(&context.table), range.clone(), after.clone());
        let read = context.gateway.store.read_long(move |c| {
            let range = range.as_ref().map(|(range, column)| KeyRange {
                column,
                from: range.from,
                to: range.to.unwrap_or(Timestamp::from_micros(i64::MAX / 2)),
            });
            store::at_once(c, |c| {
                let query = KeyQuery {
                    up_to: Some(began),
                    range,
                    after: from.as_deref(),
                    limit: BATCH,
                    ..KeyQuery::default()
                };
                let keys = records::live_keys(c, &table.sql, connection, &query)?;
                Ok((keys, records::last_number(c, &table.sql, connection)?))
            })
        });
        let (keys, number) = read.await?;
        context.writer.set_last_change_number(number);
        let more = keys.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
        after = keys.last().cloned();
        for key in keys {
            if slice.seen.binary_search(&key_hash(&key)).is_err() {
                missing.count = missing.count.saturating_add(1);
                if missing.keys.len() < CANDIDATES {
                    missing.keys.push(key);
                }
            }
        }
        if !more {
            return Ok(());
        }
    }
}
