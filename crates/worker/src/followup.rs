//! Asks for single records by their key: those that are not final, and those that a list no longer showed.

use std::sync::Arc;

use domain::{Record, TableName, Timestamp};
use futures::{StreamExt, stream};
use registry::Unfinished;
use store::records::{self, KeyRange};

use crate::context::{Batch, Beside, Context};
use crate::deletions;
use crate::failure::Failure;
use crate::page::{self, PageError};
use crate::plan;

/// Rows written in one transaction; each is a call of its own, so a crash repeats at most so many calls.
const CHUNK: usize = 50;

/// What the provider says of a key.
enum Told {
    Record(Box<Record>),
    Gone(String),
    /// Another record under this key's address, as where two were merged into one.
    Another(String),
    /// Nothing that can be read.
    Nothing(Failure),
}

/// What the run has read of the trailing range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trailing {
    /// Where it begins.
    pub(crate) from: Timestamp,
    /// Whether it is the widest that the file declares, and not each run's.
    pub(crate) widest: bool,
}

/// Follows up rows that are not final and that this run did not read again.
///
/// Rows without a date come first; with the widest range those of that range whatever their status, since they show in no range
/// and yet change. The file's budget bounds the calls; the next run goes on where this one stopped, so every row has its turn.
pub(crate) async fn follow_up(context: &Arc<Context>, trailing: Trailing) -> Result<(), Failure> {
    let Some((reread, window)) = context.declared.reread.as_ref().zip(context.window()) else {
        return Ok(());
    };
    let Some(unfinished) = reread.unfinished.clone() else {
        return Ok(());
    };
    // What the provider no longer keeps for its age is no deletion: it is not asked about.
    let floor = plan::floor(window, context.now());
    let followed = context.checkpoint().followed.clone();
    let budget = i64::from(reread.budget);
    let undated = if trailing.widest {
        Pick::UndatedSince(window.column.clone(), trailing.from)
    } else {
        Pick::Undated(window.column.clone())
    };
    let keys = turn(context, &unfinished, undated, followed.undated, budget).await?;
    let left = budget.saturating_sub(i64::try_from(keys.len()).unwrap_or(i64::MAX));
    let last = keys.last().cloned();
    ask(context, keys, false).await?;
    context
        .remember(|checkpoint| checkpoint.followed.undated = last)
        .await?;
    let dated = Pick::Within(window.column.clone(), floor, trailing.from);
    let keys = turn(context, &unfinished, dated, followed.dated, left).await?;
    let last = keys.last().cloned();
    ask(context, keys, false).await?;
    context
        .remember(|checkpoint| checkpoint.followed.dated = last)
        .await
}

/// Which rows to follow up.
#[derive(Clone)]
enum Pick {
    Undated(TableName),
    /// Whatever their status, that stand in the list from this time on.
    UndatedSince(TableName, Timestamp),
    Within(TableName, Timestamp, Timestamp),
}

/// The next rows in turn: those behind the key `after`, and at the end the first ones again.
async fn turn(
    context: &Arc<Context>,
    unfinished: &Unfinished,
    pick: Pick,
    after: Option<String>,
    budget: i64,
) -> Result<Vec<String>, Failure> {
    let (table, connection, unfinished) = (
        Arc::clone(&context.table),
        context.connection.id,
        unfinished.clone(),
    );
    let read = context.gateway.store().read_long(move |c| {
        let (undated, range) = match &pick {
            Pick::Undated(column) | Pick::UndatedSince(column, _) => (Some(column), None),
            Pick::Within(column, from, to) => (
                None,
                Some(KeyRange {
                    column,
                    from: *from,
                    to: *to,
                }),
            ),
        };
        let mut list = |after: Option<&str>, limit: i64| {
            if limit <= 0 {
                return Ok(Vec::new());
            }
            if let Pick::UndatedSince(column, since) = &pick {
                return records::undated_since(c, &table.sql, connection, column, *since, after, limit);
            }
            let (column, values) = (&unfinished.column, &unfinished.values);
            records::unfinished(
                c,
                &table.sql,
                &table.model,
                connection,
                column,
                values,
                undated,
                range.as_ref(),
                after,
                limit,
            )
        };
        let mut keys = list(after.as_deref(), budget)?;
        if after.is_some() {
            let left = budget.saturating_sub(i64::try_from(keys.len()).unwrap_or(i64::MAX));
            let again = list(None, left)?;
            keys.extend(
                again
                    .into_iter()
                    .take_while(|key| after.as_ref().is_some_and(|after| key <= after)),
            );
        }
        Ok(keys)
    });
    Ok(read.await?)
}

/// Requests each key; what the provider has is written, what it has not is marked deleted, unless that is too much at once.
///
/// `unlisted` tells that the list lacks them: then another record in the place of one means that it is gone too. A key that the
/// provider refuses to show, or shows in a way that cannot be read, is counted as skipped, and its row stays as it is.
pub(crate) async fn ask(context: &Arc<Context>, keys: Vec<String>, unlisted: bool) -> Result<(), Failure> {
    let mut gone = Vec::new();
    let mut up_to = None;
    for chunk in keys.chunks(CHUNK) {
        let asked = context.asked().await?;
        up_to.get_or_insert(asked.number);
        let calls: Vec<_> = chunk
            .iter()
            .map(|key| one(Arc::clone(context), key.clone()))
            .collect();
        let told: Vec<Result<Told, Failure>> = stream::iter(calls)
            .buffer_unordered(context.parallel())
            .collect()
            .await;
        let (mut records, mut skipped, mut failed) = (Vec::new(), 0_u32, None);
        for answer in told {
            match answer {
                Ok(Told::Record(record)) => records.push(*record),
                Ok(Told::Gone(key)) => gone.push(key),
                Ok(Told::Another(key)) if unlisted => gone.push(key),
                Ok(Told::Another(_)) => {}
                Ok(Told::Nothing(failure)) => {
                    tracing::warn!(run.id = %context.run, sync = %context.sync.name, error = %failure, "a record could not be read by its key");
                    skipped = skipped.saturating_add(1);
                }
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        if !records.is_empty() || skipped > 0 {
            let beside = Beside {
                skipped,
                ..Beside::default()
            };
            let batch = Batch {
                records,
                asked,
                ..Batch::default()
            };
            context.commit(batch, beside).await?;
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    deletions::mark(context, gone, up_to.unwrap_or_default()).await
}

async fn one(context: Arc<Context>, key: String) -> Result<Told, Failure> {
    let Some(reread) = &context.declared.reread else {
        return Ok(Told::Another(key));
    };
    let server = context.declared.request.server.as_deref();
    let sent = context.sent_key(&key).await?;
    let call = context.target.record_call(server, &reread.path, &sent)?;
    let answer = match context.call(call).await {
        Ok(answer) => answer,
        Err(failure) if failure.not_found() => return Ok(Told::Gone(key)),
        Err(failure) if failure.refused() => return Ok(Told::Nothing(failure)),
        Err(failure) => return Err(failure),
    };
    match page::parse_record(&answer.body, &reread.record, &context.table.reader) {
        Ok(Ok(record)) if record.key == key => Ok(Told::Record(Box::new(record))),
        Ok(Ok(_)) => Ok(Told::Another(key)),
        // None under this key's address says nothing of the row.
        Ok(Err(reason)) => Ok(Told::Nothing(Failure::Unreadable(PageError::Record(reason)))),
        Err(error) => Ok(Told::Nothing(Failure::Unreadable(error))),
    }
}
