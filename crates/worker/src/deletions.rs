//! Finds rows that the provider no longer has: those that a complete reading of their range did not show.
//!
//! A row missing from a list is no proof: records move while a list is read. Where the file says how one record is read, each
//! missing row is asked for by its key, and only the provider's "there is none" marks it deleted.

use std::sync::Arc;

use domain::Timestamp;
use store::records::{self, KeyRange};

use crate::context::Context;
use crate::failure::Failure;
use crate::followup;
use crate::list::key_hash;
use crate::slice::ReadSlice;

/// Keys read from the table at once.
const BATCH: i64 = 5_000;
/// Up to so many rows may go whatever their share: of ten rows one is a tenth.
const ALWAYS: u64 = 10;

/// Marks what the slices did not show.
pub(crate) async fn settle(context: &Arc<Context>, slices: Vec<ReadSlice>) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for mut slice in slices {
        slice.seen.sort_unstable();
        missing.extend(not_shown(context, &slice).await?);
    }
    if context.declared.reread.is_some() {
        // Before a call is made for each.
        guard(context, missing.len()).await?;
        return followup::ask(context, missing, true).await;
    }
    mark(context, missing).await
}

/// Marks rows deleted, unless there are too many for one run.
pub(crate) async fn mark(context: &Arc<Context>, keys: Vec<String>) -> Result<(), Failure> {
    guard(context, keys.len()).await?;
    for keys in keys.chunks(1_000) {
        context.mark_deleted(keys.to_vec()).await?;
    }
    Ok(())
}

/// Live rows of the slice's range that were there before it was read and that it did not show.
async fn not_shown(context: &Arc<Context>, slice: &ReadSlice) -> Result<Vec<String>, Failure> {
    let column = context.window().map(|window| window.column.clone());
    let range = slice.range.zip(column);
    let (connection, began) = (context.connection.id, slice.began);
    let mut missing = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (table, range, from) = (Arc::clone(&context.table), range.clone(), after.clone());
        let read = context.gateway.store().read_long(move |c| {
            let range = range.as_ref().map(|(range, column)| KeyRange {
                column,
                from: range.from,
                to: range.to.unwrap_or(Timestamp::from_micros(i64::MAX / 2)),
            });
            records::live_keys(
                c,
                &table.sql,
                &table.model,
                connection,
                range.as_ref(),
                began,
                from.as_deref(),
                BATCH,
            )
        });
        let keys = read.await?;
        let Some(last) = keys.last().cloned() else {
            return Ok(missing);
        };
        after = Some(last);
        missing.extend(
            keys.into_iter()
                .filter(|key| slice.seen.binary_search(&key_hash(key)).is_err()),
        );
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
