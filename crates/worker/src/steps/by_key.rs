//! Asks for single records by their key: those that are not final, and those that a list no longer showed.

use std::sync::Arc;

use domain::{ConnectionId, Record, TableName, Timestamp};
use futures::{StreamExt, stream};
use gateway::ModelTable;
use registry::Unfinished;
use store::records::{self, KeyRange};
use store::{DbConn, StoreError};

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
    let undated = if trailing.widest {
        Pick::UndatedSince(window.column.clone(), trailing.from)
    } else {
        Pick::Undated(window.column.clone())
    };
    let dated = Pick::Within(window.column.clone(), floor, trailing.from);
    let turns = Turns {
        unfinished,
        undated: (undated, followed.undated),
        dated: (dated, followed.dated),
        budget: i64::from(reread.budget),
    };
    let (undated, dated) = turns.next(context).await?;
    let last = undated.last().cloned();
    ask(context, undated, false).await?;
    context.remember(|checkpoint| checkpoint.followed.undated = last);
    let last = dated.last().cloned();
    ask(context, dated, false).await?;
    context.remember(|checkpoint| checkpoint.followed.dated = last);
    Ok(())
}

/// Which rows to follow up.
enum Pick {
    Undated(TableName),
    /// Whatever their status, that stand in the list from this time on.
    UndatedSince(TableName, Timestamp),
    Within(TableName, Timestamp, Timestamp),
}

/// Rows to be followed up in turn: those behind a key, and at the end the first ones again.
struct Turns {
    unfinished: Unfinished,
    undated: (Pick, Option<String>),
    /// These get what the others leave of the budget.
    dated: (Pick, Option<String>),
    budget: i64,
}

impl Turns {
    /// The keys of the next rows without a date, and of the others.
    async fn next(self, context: &Arc<Context>) -> Result<(Vec<String>, Vec<String>), Failure> {
        // What this run has read may have made rows final.
        context.settle().await?;
        let (table, connection) = (Arc::clone(&context.table), context.connection.id);
        let read = context.gateway.store().read_long(move |c| {
            store::at_once(c, |c| {
                let undated = self.of(c, &table, connection, &self.undated, self.budget)?;
                let left = left(self.budget, &undated);
                let dated = self.of(c, &table, connection, &self.dated, left)?;
                Ok((undated, dated))
            })
        });
        Ok(read.await?)
    }

    fn of(
        &self,
        c: &mut DbConn,
        table: &ModelTable,
        connection: ConnectionId,
        (pick, after): &(Pick, Option<String>),
        budget: i64,
    ) -> Result<Vec<String>, StoreError> {
        let mut keys = self.list(c, table, connection, pick, after.as_deref(), budget)?;
        if let Some(after) = after {
            let left = left(budget, &keys);
            let again = self.list(c, table, connection, pick, None, left)?;
            keys.extend(again.into_iter().take_while(|key| key <= after));
        }
        Ok(keys)
    }

    fn list(
        &self,
        c: &mut DbConn,
        table: &ModelTable,
        connection: ConnectionId,
        pick: &Pick,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        if limit <= 0 {
            return Ok(Vec::new());
        }
        let (undated, range) = match pick {
            Pick::UndatedSince(column, since) => {
                return records::undated_since(c, &table.sql, connection, column, *since, after, limit);
            }
            Pick::Undated(column) => (Some(column), None),
            Pick::Within(column, from, to) => (
                None,
                Some(KeyRange {
                    column,
                    from: *from,
                    to: *to,
                }),
            ),
        };
        records::unfinished(
            c,
            &table.sql,
            &table.model,
            connection,
            &self.unfinished.column,
            &self.unfinished.values,
            undated,
            range.as_ref(),
            after,
            limit,
        )
    }
}

/// What is left of a budget after these keys.
fn left(budget: i64, keys: &[String]) -> i64 {
    budget.saturating_sub(i64::try_from(keys.len()).unwrap_or(i64::MAX))
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
            context.settle().await?;
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
