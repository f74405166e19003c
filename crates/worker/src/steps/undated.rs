//! Finds records without a date, which no date filter matches, by reading the list without a filter.
//!
//! If the list begins with the newest record, each run reads the newest pages, back to an hour before the last run began. A full scan follows
//! the backfill, and is repeated regularly; each run reads a part of it.

use std::sync::Arc;
use std::time::Duration;

use domain::{Record, Timestamp, Value};
use registry::Undated;
use upstream::End;

use crate::checkpoint::Sweep;
use crate::context::Context;
use crate::failure::Failure;
use crate::pager::{ListPage, NextPage, Pager};
use crate::writer::PageWrite;

/// How much further than the beginning of the last run the newest pages are read: for clocks that differ and records
/// that show late.
const MARGIN: Duration = Duration::from_hours(1);

/// Reads the newest pages and a part of the full scan, if the file declares `undated`.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Failure> {
    let Some(undated) = context.declared.undated else {
        return Ok(());
    };
    // Only a list in order has newest pages. For any other list, the full scan must do.
    if context.declared.newest_first {
        newest(context).await?;
    }
    scan_part(context, undated).await
}

/// Reads the newest pages, however many there are since the last run: the next run does not read an omitted page.
async fn newest(context: &Arc<Context>) -> Result<(), Failure> {
    let began = context.now();
    let head = context.writer.checkpoint().head;
    // Another machine's clock wrote a head that is ahead of this one's.
    if let Some(until) = head.map(|head| head.min(began).minus(MARGIN)) {
        let mut pager = Pager::new(context, &[], None)?;
        let mut ended = false;
        while !ended {
            let (write, next) = page(context, &mut pager).await?;
            let mut ages = write.records.iter().map(|record| age(context, record));
            let past = ages.all(|age| age.is_some_and(|at| at < until));
            // An empty page says nothing about how far the list was read.
            let empty = write.records.is_empty();
            context.writer.submit(write).await?;
            ended = past && !empty || next?.is_none();
        }
    }
    context
        .writer
        .update_checkpoint(|checkpoint| checkpoint.head = Some(began));
    Ok(())
}

/// Returns the time of a record by the list's order: the first of the ordering columns that has a value.
fn age(context: &Context, record: &Record) -> Option<Timestamp> {
    let model = &context.table.model;
    model.newest_by.iter().find_map(
        |column| match record.values.get(model.columns.get_index_of(column)?) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        },
    )
}

/// Reads the next part of the full scan.
async fn scan_part(context: &Arc<Context>, undated: Undated) -> Result<(), Failure> {
    let sweep = context.writer.checkpoint().sweep;
    let is_recent = |last| !context.now().has_elapsed(undated.every, last);
    if sweep.next.is_none() && sweep.finished.is_some_and(is_recent) {
        return Ok(());
    }
    let mut pager = Pager::new(context, &[], sweep.next.as_deref())?;
    for _ in 0..undated.pages {
        let (mut write, next) = match page(context, &mut pager).await {
            // The record of the stored cursor no longer exists: the next run begins at the top.
            Err(failure) if failure.refused() && sweep.next.is_some() => {
                context
                    .writer
                    .update_checkpoint(|checkpoint| checkpoint.sweep.next = None);
                return Ok(());
            }
            page => page?,
        };
        let mut checkpoint = context.writer.checkpoint();
        match &next {
            Ok(Some(next)) => checkpoint.sweep.next = Some(next.clone()),
            Ok(None) => {
                checkpoint.sweep = Sweep {
                    next: None,
                    finished: Some(context.now()),
                };
            }
            Err(_) => {}
        }
        write.checkpoint = Some(checkpoint);
        context.writer.submit(write).await?;
        if next?.is_none() {
            break;
        }
    }
    Ok(())
}

/// A page of the unfiltered list, and the cursor of the next one. The records are good, even if there is none because of a failure.
type UnfilteredPage = (PageWrite, Result<Option<String>, Failure>);

async fn page(context: &Context, pager: &mut Pager) -> Result<UnfilteredPage, Failure> {
    let response = context.fetch(pager.request()).await?;
    let ListPage { write, next, .. } = pager.read(context, response).await?;
    let next = match next {
        Ok(NextPage::Cursor(cursor)) => Ok(Some(cursor)),
        Ok(NextPage::End(End::Proved)) => Ok(None),
        Ok(NextPage::End(End::Unproved(reason))) => {
            context.note_incomplete(reason.to_string());
            Ok(None)
        }
        Ok(NextPage::Limit { failure, .. }) | Err(failure) => Err(failure),
    };
    Ok((write, next))
}
