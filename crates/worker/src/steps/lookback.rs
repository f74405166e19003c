//! The lookback: the recent window that every run after the backfill re-reads.

use std::sync::Arc;

use domain::Timestamp;

use super::missing;
use crate::context::Context;
use crate::failure::Failure;
use crate::plan;

/// The window that a run has re-read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadWindow {
    /// Where it begins.
    pub(crate) from: Timestamp,
    /// Whether it is the widest that the file declares, unless every run reads that one.
    pub(crate) widest: bool,
}

/// Re-reads the longest lookback window that is due, and marks rows as deleted that are no longer in it.
pub(crate) async fn run(context: &Arc<Context>) -> Result<ReadWindow, Failure> {
    let (now, declared) = (context.now(), &context.declared);
    let checkpoint = context.writer.checkpoint();
    let planned = context
        .window()
        .and_then(|window| plan::lookback(declared, window, &checkpoint, now));
    let Some((range, reaches)) = planned else {
        return Ok(ReadWindow {
            from: now,
            widest: false,
        });
    };
    let widest = declared.lookback.iter().max_by_key(|lookback| lookback.reach);
    let widest = widest.is_some_and(|widest| widest.every.is_some() && reaches.contains(&widest.reach));
    missing::read_and_mark(context, Some(range)).await?;
    context.writer.update_checkpoint(|checkpoint| {
        checkpoint.note_lookbacks(reaches, now);
    });
    Ok(ReadWindow {
        from: range.from,
        widest,
    })
}
