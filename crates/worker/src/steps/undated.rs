//! Finds rows whose date is empty, which no window shows, by reading the list without a filter.
//!
//! Two readings: each run reads the newest pages down to where the last run began; and the whole list is read once after the
//! first reading and then every so often, a portion a run.

use std::sync::Arc;

use domain::{Record, Timestamp, Value};
use registry::Undated;
use upstream::End;

use crate::checkpoint::{Checkpoint, Sweep};
use crate::context::{Batch, Beside, Context, Fetched};
use crate::failure::Failure;
use crate::list::{Following, Walk};

/// How much further than the last run's beginning the newest pages are read, in microseconds: for clocks that differ and for
/// records that show late.
const MARGIN: i64 = 3_600 * Timestamp::SECOND;

/// Reads what the file asks for.
pub(crate) async fn read(context: &Arc<Context>) -> Result<(), Failure> {
    let Some(undated) = context.declared.undated else {
        return Ok(());
    };
    // Only in a list that is in order can its newest pages be told; of any other, the portions of the whole must do.
    if context.declared.newest_first {
        newest(context).await?;
    }
    portion(context, undated).await
}

/// Reads the newest pages, however many came since the last run: a page that is left out here would not be missed for weeks.
async fn newest(context: &Arc<Context>) -> Result<(), Failure> {
    let began = context.now();
    let head = context.checkpoint().head;
    // A head that is ahead of the clock was written by another machine's.
    let Some(until) = head.map(|head| head.min(began).plus(-MARGIN)) else {
        context.remember(|checkpoint| checkpoint.head = Some(began));
        return Ok(());
    };
    let mut walk = Walk::new(context, &[], None)?;
    let mut ended = false;
    while !ended {
        let step = page(context, &mut walk).await?;
        let past = step
            .batch
            .records
            .iter()
            .all(|record| age(context, record).is_some_and(|at| at < until));
        let empty = step.batch.records.is_empty();
        let beside = step.beside();
        context.commit(step.batch, beside).await?;
        // An empty page says nothing of how far the list was read.
        ended = past && !empty || step.next?.is_none();
    }
    context.remember(|checkpoint| checkpoint.head = Some(began));
    Ok(())
}

/// When a record stands in the list: the first of the ordering columns that has a value.
fn age(context: &Context, record: &Record) -> Option<Timestamp> {
    let model = &context.table.model;
    model.newest_by.iter().find_map(
        |column| match record.values.get(model.columns.get_index_of(column)?) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        },
    )
}

/// Reads a portion of the whole list.
async fn portion(context: &Arc<Context>, undated: Undated) -> Result<(), Failure> {
    let sweep = context.checkpoint().sweep.clone();
    let due = sweep.next.is_some()
        || sweep
            .finished
            .is_none_or(|last| context.now().has_elapsed(undated.every, last));
    if !due {
        return Ok(());
    }
    let mut walk = Walk::new(context, &[], sweep.next.as_deref())?;
    for _ in 0..undated.pages {
        let step = match page(context, &mut walk).await {
            Ok(step) => step,
            // The record by which the place was kept is gone: the next run begins from the top.
            Err(failure) if failure.refused() && sweep.next.is_some() => {
                context.remember(|checkpoint| checkpoint.sweep.next = None);
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let mut checkpoint: Checkpoint = context.checkpoint().clone();
        match &step.next {
            Ok(Some(next)) => checkpoint.sweep.next = Some(next.clone()),
            Ok(None) => {
                checkpoint.sweep = Sweep {
                    next: None,
                    finished: Some(context.now()),
                };
            }
            Err(_) => {}
        }
        let beside = Beside {
            checkpoint: Some(checkpoint),
            ..step.beside()
        };
        context.commit(step.batch, beside).await?;
        if step.next?.is_none() {
            break;
        }
    }
    Ok(())
}

/// A page of the unfiltered list, and what comes after it.
struct Step {
    batch: Batch,
    skipped: u32,
    next: Result<Option<String>, Failure>,
}

impl Step {
    /// What is written beside the page's records. They are good, whatever stands beside them.
    fn beside(&self) -> Beside {
        Beside {
            pages: 1,
            skipped: self.skipped,
            ..Beside::default()
        }
    }
}

/// Reads the next page of the walk.
async fn page(context: &Context, walk: &mut Walk) -> Result<Step, Failure> {
    let Fetched { answer, asked } = context.fetch(walk.call()).await?;
    let page = context.read_page(&answer).await?;
    let next = match walk.step(context, &answer, &page) {
        Ok(Following::Page { cursor, .. }) => Ok(Some(cursor)),
        Ok(Following::End(End::Proved)) => Ok(None),
        Ok(Following::End(End::Unproved(doubt))) => {
            context.note_incomplete(doubt.to_string());
            Ok(None)
        }
        Ok(Following::Bound { failure, .. }) | Err(failure) => Err(failure),
    };
    let skipped = u32::try_from(page.skipped.len()).unwrap_or(u32::MAX);
    Ok(Step {
        batch: Batch {
            records: page.records,
            asked,
            bytes: answer.body.len(),
            permit: answer.into_permit(),
        },
        skipped,
        next,
    })
}
