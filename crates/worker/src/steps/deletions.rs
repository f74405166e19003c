//! Marks rows as deleted, within a limit for one run: the deletion guard.

use std::sync::Arc;

use store::records;

use crate::context::Context;
use crate::failure::Failure;

/// Up to this many rows may be marked whatever their share: of ten rows, one is a tenth.
const ALWAYS: u64 = 10;

/// Marks rows as deleted that were last written at the change number `up_to` or before it, unless they are too many for one run.
pub(super) async fn mark(context: &Context, keys: &[String], up_to: i64) -> Result<(), Failure> {
    guard(context, keys.len()).await?;
    for keys in keys.chunks(1_000) {
        context.writer.mark_deleted(keys.to_vec(), up_to).await?;
    }
    Ok(())
}

/// Fails if `missing` rows are more than one run may mark as deleted.
pub(super) async fn guard(context: &Context, missing: usize) -> Result<(), Failure> {
    if missing == 0 {
        return Ok(());
    }
    let (table, connection) = (Arc::clone(&context.table), context.connection.id);
    let store = &context.gateway.store;
    let live = store
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
    let float = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    float(missing) > float(live) * guard
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
