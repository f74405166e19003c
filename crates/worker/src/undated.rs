//! Finds rows whose date is empty, which no window shows, by reading the list without a filter.
//!
//! Two readings: each run reads the newest pages down to where the last run began; and the whole list is read once after the
//! first reading and then every so often, a portion a run.

use std::sync::Arc;

use domain::{Record, Timestamp, Value};
use registry::Undated;
use upstream::{Call, Next};

use crate::checkpoint::{Checkpoint, Sweep};
use crate::context::{Batch, Beside, Context, Fetched};
use crate::failure::Failure;
use crate::list::{LoopGuard, next_page};

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
        return context.remember(|checkpoint| checkpoint.head = Some(began)).await;
    };
    let mut walk = Walk::new(context, None)?;
    let mut ended = false;
    while !ended {
        let step = walk.page(context).await?;
        let past = step
            .batch
            .records
            .iter()
            .all(|record| age(context, record).is_some_and(|at| at < until));
        ended = step.next.is_none() || past;
        let beside = Beside {
            pages: 1,
            skipped: step.skipped,
            ..Beside::default()
        };
        context.commit(step.batch, beside).await?;
    }
    context.remember(|checkpoint| checkpoint.head = Some(began)).await
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
    let mut walk = Walk::new(context, sweep.next.clone())?;
    for _ in 0..undated.pages {
        let step = match walk.page(context).await {
            Ok(step) => step,
            // The record by which the place was kept is gone: the next run begins from the top.
            Err(failure) if failure.refused() && sweep.next.is_some() => {
                return context.remember(|checkpoint| checkpoint.sweep.next = None).await;
            }
            Err(failure) => return Err(failure),
        };
        let ended = step.next.is_none();
        let mut checkpoint: Checkpoint = context.checkpoint().clone();
        checkpoint.sweep = match step.next {
            Some(next) => Sweep {
                next: Some(next),
                finished: sweep.finished,
            },
            None => Sweep {
                next: None,
                finished: Some(context.now()),
            },
        };
        let beside = Beside {
            pages: 1,
            skipped: step.skipped,
            checkpoint: Some(checkpoint),
            ..Beside::default()
        };
        context.commit(step.batch, beside).await?;
        if ended {
            break;
        }
    }
    Ok(())
}

/// A walk along the unfiltered list.
struct Walk {
    first: Call,
    at: Call,
    loops: LoopGuard,
}

struct Step {
    batch: Batch,
    skipped: u32,
    next: Option<String>,
}

impl Walk {
    fn new(context: &Context, from: Option<String>) -> Result<Self, Failure> {
        let call = context.target.list_call(&context.declared.request, &[])?;
        let first = upstream::first_page(&context.declared.paginate, call);
        let at = match from {
            Some(cursor) => context.gateway.upstream().resume(
                &context.target,
                &context.declared.paginate,
                &first,
                &cursor,
            )?,
            None => first.clone(),
        };
        Ok(Self {
            first,
            at,
            loops: LoopGuard::default(),
        })
    }

    async fn page(&mut self, context: &Context) -> Result<Step, Failure> {
        let Fetched { answer, asked } = context.fetch(self.at.clone()).await?;
        let page = context.read_page(&answer)?;
        let next = next_page(context, &self.at, &answer, &page)?;
        self.loops.check(&next, &page)?;
        let next = match next {
            Next::Page(cursor) => {
                let upstream = context.gateway.upstream();
                self.at =
                    upstream.resume(&context.target, &context.declared.paginate, &self.first, &cursor)?;
                Some(cursor)
            }
            Next::End => None,
        };
        let skipped = u32::try_from(page.skipped.len()).unwrap_or(u32::MAX);
        Ok(Step {
            batch: Batch {
                records: page.records,
                asked,
                permit: answer.into_permit(),
            },
            skipped,
            next,
        })
    }
}
