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
    let track = context.declared.track_deletes;
    let whole = rest.is_empty();
    let queue = if whole {
        SliceQueue::of_range(context, None)
    } else {
        SliceQueue::new(rest, 1, Duration::ZERO, context.now())
    };
    let compare = whole && track;
    let purpose = if compare { Purpose::Compare } else { Purpose::Fill };
    let read = slices::read_all(context, queue, purpose).await?;
    if compare {
        missing::mark_deleted(context, None, read).await?;
    } else if track {
        let reason = "the list is longer than one run reads of it, so no deletions were looked for";
        context.note_incomplete(reason.to_owned());
    }
    Ok(())
}
