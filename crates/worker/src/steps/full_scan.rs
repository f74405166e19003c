//! The full scan: reads the whole list of a sync that has no dates to filter by.

use std::sync::Arc;
use std::time::Duration;

use super::missing;
use crate::context::Context;
use crate::failure::Failure;
use crate::slices::{self, Purpose, REST, SliceQueue};

/// Reads the whole list, or the rest of it that an earlier run left.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Failure> {
    let rest = slices::stored(context, REST).await?;
    if rest.is_empty() {
        return missing::read_and_mark(context, None).await;
    }
    let queue = SliceQueue::new(rest, 1, Duration::ZERO, context.now());
    slices::read_all(context, queue, Purpose::Fill).await?;
    if context.declared.track_deletes {
        let reason = "the list is longer than one run reads of it, so no deletions were looked for";
        context.note_incomplete(reason.to_owned());
    }
    Ok(())
}
