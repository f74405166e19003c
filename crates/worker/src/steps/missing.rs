//! Finds rows that the provider no longer has: those that a complete reading of their range did not show.
//!
//! A row missing from a list is no proof: records move while a list is read. Where the file says how one record is read, each
//! missing row is requested by its key, and only the provider's "there is none" marks it deleted. Elsewhere the list is read again,
//! and only rows are marked that are missing there too.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Timestamp;
use store::records::{self, KeyRange};

use crate::context::Context;
use crate::failure::Failure;
use crate::followup;
use crate::list::key_hash;
use crate::plan::Range;
use crate::pool::Pool;
use crate::slice::{self, Purpose, ReadSlice};

/// Keys read from the table at once.
const BATCH: i64 = 5_000;
/// Up to so many rows may be marked whatever their share: of ten rows one is a tenth.
const ALWAYS: u64 = 10;
/// Missing rows that one run looks into; the next run finds the others again.
const CANDIDATES: usize = 50_000;
/// Readings of a list in one run at most: the first, and those that confirm what is missing.
const READINGS: usize = 3;

/// Rows that readings did not show.
#[derive(Debug, Default)]
struct Missing {
    keys: Vec<String>,
    /// How many there are, also beyond those kept.
    count: usize,
    /// The last change number before the earliest of the readings began: rows written since are not missing.
    up_to: Option<i64>,
}

/// Marks what the slices did not show, once that is confirmed. `range` is what they cover together: `None` for the whole list.
pub(crate) async fn settle(
    context: &Arc<Context>,
    range: Option<Range>,
    slices: Vec<ReadSlice>,
) -> Result<(), Failure> {
    let missing = missing_from(context, slices).await?;
    if missing.keys.is_empty() {
        return Ok(());
    }
    // The rows of pages that are held back may be counted below.
    context.settle().await?;
    // Before a call is made for each.
    guard(context, missing.count).await?;
    if context.declared.reread.is_some() {
        return followup::ask(context, missing.keys, true).await;
    }
    let up_to = missing.up_to.unwrap_or_default();
    let confirmed = confirm(context, range, missing.keys).await?;
    mark(context, confirmed, up_to).await
}

/// Reads the list again until what is missing is sure: missing twice in a row, the second time with nothing newly missing; or
/// missing each time, from a list that never stands still.
async fn confirm(
    context: &Arc<Context>,
    range: Option<Range>,
    missing: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut missing: HashSet<String> = missing.into_iter().collect();
    for _ in 1..READINGS {
        let slices = slice::read_all(context, Pool::of_range(context, range), Purpose::Confirm).await?;
        let again: HashSet<String> = missing_from(context, slices).await?.keys.into_iter().collect();
        let stands_still = again.is_subset(&missing);
        missing.retain(|key| again.contains(key));
        if stands_still || missing.is_empty() {
            break;
        }
    }
    Ok(missing.into_iter().collect())
}

/// Marks rows deleted that were last written at the change number `up_to` or before it, unless there are too many for one run.
pub(crate) async fn mark(context: &Arc<Context>, keys: Vec<String>, up_to: i64) -> Result<(), Failure> {
    guard(context, keys.len()).await?;
    for keys in keys.chunks(1_000) {
        context.mark_deleted(keys.to_vec(), up_to).await?;
    }
    Ok(())
}

/// What is missing from the slices, of which all records could be read.
async fn missing_from(context: &Arc<Context>, slices: Vec<ReadSlice>) -> Result<Missing, Failure> {
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
        not_shown(context, &slice, &mut missing).await?;
    }
    if unreadable > 0 {
        let reason = format!(
            "{unreadable} records could not be read, and any row may be one of them, so no deletions were looked for"
        );
        context.note_incomplete(reason);
    }
    Ok(missing)
}

/// Live rows of the slice's range that were last written before it was read and that it did not show.
async fn not_shown(context: &Arc<Context>, slice: &ReadSlice, missing: &mut Missing) -> Result<(), Failure> {
    let column = context.window().map(|window| window.column.clone());
    let range = slice.range.zip(column);
    let (connection, began) = (context.connection.id, slice.began);
    let mut after: Option<String> = None;
    loop {
        let (table, range, from) = (Arc::clone(&context.table), range.clone(), after.clone());
        let read = context.gateway.store().read_long(move |c| {
            let range = range.as_ref().map(|(range, column)| KeyRange {
                column,
                from: range.from,
                to: range.to.unwrap_or(Timestamp::from_micros(i64::MAX / 2)),
            });
            store::at_once(c, |c| {
                let keys = records::live_keys(
                    c,
                    &table.sql,
                    &table.model,
                    connection,
                    range.as_ref(),
                    began,
                    from.as_deref(),
                    BATCH,
                )?;
                Ok((keys, records::last_number(c, &table.sql, connection)?))
            })
        });
        let (keys, number) = read.await?;
        context.learn_number(number);
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

async fn guard(context: &Arc<Context>, missing: usize) -> Result<(), Failure> {
    if missing == 0 {
        return Ok(());
    }
    let (table, connection) = (Arc::clone(&context.table), context.connection.id);
    let live = context
        .gateway
        .store()
        .read_long(move |c| records::count_live(c, &table.sql, connection))
        .await?;
    let missing = u64::try_from(missing).unwrap_or(u64::MAX);
    let guard = context.declared.delete_guard;
    if missing > ALWAYS && exceeds(missing, live, guard) {
        return Err(Failure::DeleteGuard { missing, live, guard });
    }
    Ok(())
}

fn exceeds(missing: u64, live: u64, guard: f64) -> bool {
    let share = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    share(missing) > share(live) * guard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_counts_shares() {
        assert!(!exceeds(30, 100, 0.3));
        assert!(exceeds(31, 100, 0.3));
        assert!(exceeds(11, 0, 1.0));
    }
}
