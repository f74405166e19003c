//! The backfill: the initial load of everything that the provider keeps.

use std::sync::Arc;

use store::slices::NewSlice;

use crate::checkpoint::Checkpoint;
use crate::context::Context;
use crate::failure::Failure;
use crate::plan;
use crate::slices::{self, BACKFILL, Purpose, SliceQueue};
use crate::writer::PageWrite;

/// Plans the backfill's slices, or loads the ones that an earlier run left, and reads them.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Failure> {
    let Some(window) = context.window() else {
        return Ok(());
    };
    let checkpoint = context.writer.checkpoint();
    if checkpoint.backfill_began.is_none() {
        let now = context.now();
        let checkpoint = Checkpoint {
            backfill_began: Some(now),
            head: Some(now),
            ..checkpoint
        };
        let plan = PageWrite {
            new_slices: plan::backfill(window, now)
                .into_iter()
                .map(NewSlice::from)
                .collect(),
            checkpoint: Some(checkpoint),
            ..PageWrite::default()
        };
        context.writer.submit(plan).await?;
    }
    let slices = slices::stored(context, BACKFILL).await?;
    let now = context.now();
    let span = now.since(plan::floor(window, now));
    let queue = SliceQueue::new(slices, context.parallel(), span, now);
    slices::read_all(context, queue, Purpose::Fill).await?;
    context
        .writer
        .update_checkpoint(|checkpoint| checkpoint.backfilled = Some(now));
    Ok(())
}
