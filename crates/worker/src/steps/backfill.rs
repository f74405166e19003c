//! What a run reads of the sync's list: the first reading, the trailing range, or the whole list.

use std::sync::Arc;

use store::slices;

use crate::checkpoint::Checkpoint;
use crate::context::{Batch, Beside, Context};
use crate::deletions;
use crate::failure::Failure;
use crate::followup::Trailing;
use crate::plan;
use crate::pool::{Pool, SliceWork};
use crate::slice::{self, Purpose, new_slice, stored_work};

/// The first reading: plans its slices, or takes up those that a run before left.
pub(crate) async fn backfill(context: &Arc<Context>) -> Result<(), Failure> {
    let Some(window) = context.window() else {
        return Ok(());
    };
    let began = context.checkpoint().backfill_began;
    if began.is_none() {
        let now = context.now();
        let new_slices = plan::backfill(window, now).into_iter().map(new_slice).collect();
        let checkpoint = Checkpoint {
            backfill_began: Some(now),
            head: Some(now),
            ..context.checkpoint().clone()
        };
        context
            .commit(
                Batch::default(),
                Beside {
                    new_slices,
                    checkpoint: Some(checkpoint),
                    ..Beside::default()
                },
            )
            .await?;
    }
    let works = stored(context, slice::BACKFILL).await?;
    let now = context.now();
    let span = now.since(plan::floor(window, now));
    slice::read_all(
        context,
        Pool::new(works, context.parallel(), span, now),
        Purpose::Fill,
    )
    .await?;
    context.remember(|checkpoint| checkpoint.backfilled = Some(now));
    Ok(())
}

/// Reads the trailing range again and marks what is gone.
pub(crate) async fn lookback(context: &Arc<Context>) -> Result<Trailing, Failure> {
    let now = context.now();
    let planned = context
        .window()
        .and_then(|window| plan::lookback(&context.declared, window, &context.checkpoint(), now));
    let Some((range, reaches)) = planned else {
        return Ok(Trailing {
            from: now,
            widest: false,
        });
    };
    let widest = context
        .declared
        .lookback
        .iter()
        .max_by_key(|lookback| lookback.reach);
    let widest = widest.is_some_and(|widest| widest.every.is_some() && reaches.contains(&widest.reach));
    let track = context.declared.track_deletes;
    let pool = Pool::of_range(context, Some(range));
    let read = slice::read_all(context, pool, purpose(track)).await?;
    if track {
        deletions::settle(context, Some(range), read).await?;
    }
    context.remember(|checkpoint| {
        let reached = reaches.into_iter().map(|reach| (reach, now));
        checkpoint.lookbacks.extend(reached);
    });
    Ok(Trailing {
        from: range.from,
        widest,
    })
}

/// Reads a list that has no dates to filter by, or the rest of it that an earlier run left.
pub(crate) async fn full(context: &Arc<Context>) -> Result<(), Failure> {
    let rest = stored(context, slice::REST).await?;
    let track = context.declared.track_deletes;
    if rest.is_empty() {
        let read = slice::read_all(context, Pool::of_range(context, None), purpose(track)).await?;
        return if track {
            deletions::settle(context, None, read).await
        } else {
            Ok(())
        };
    }
    let pool = Pool::new(rest, 1, 0, context.now());
    slice::read_all(context, pool, Purpose::Fill).await?;
    if track {
        let reason = "the list is longer than one run reads of it, so no deletions were looked for";
        context.note_incomplete(reason.to_owned());
    }
    Ok(())
}

/// The stored slices of one kind.
async fn stored(context: &Arc<Context>, kind: &'static str) -> Result<Vec<SliceWork>, Failure> {
    let id = context.sync.id;
    let rows = context.gateway.store().read(move |c| slices::list(c, id)).await?;
    let of_kind = rows.into_iter().filter(|row| row.kind == kind);
    Ok(of_kind.map(stored_work).collect())
}

fn purpose(track: bool) -> Purpose {
    if track { Purpose::Compare } else { Purpose::Fill }
}
