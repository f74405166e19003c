//! The recheck: requests single rows that are not final and that this run did not re-read.

use std::sync::Arc;

use store::StoreError;
use store::records::{self, KeyRange};

use super::by_key;
use super::lookback::ReadWindow;
use crate::context::Context;
use crate::failure::Failure;
use crate::plan;

/// Rechecks rows that are not final.
///
/// Rows without a date come first. With the widest lookback window, those of that window come whatever their status, since no window
/// shows them and yet they change. The file's budget limits the requests; the next run continues where this one stopped, so every row
/// gets its turn.
pub(crate) async fn run(context: &Arc<Context>, read: ReadWindow) -> Result<(), Failure> {
    let Some((reread, window)) = context.declared.reread.as_ref().zip(context.window()) else {
        return Ok(());
    };
    let Some(unfinished) = reread.unfinished.clone() else {
        return Ok(());
    };
    // What this run has read may have made rows final.
    context.writer.flush().await?;
    let (table, connection) = (Arc::clone(&context.table), context.connection.id);
    let (column, budget) = (window.column.clone(), i64::from(reread.budget));
    let followed = context.writer.checkpoint().followed;
    // Records that the provider no longer keeps because of their age are not deleted, so they are not requested.
    let floor = plan::floor(window, context.now());
    let keys = context.gateway.store.read_long(move |c| {
        store::at_once(c, |c| {
            let undated = in_turn(budget, followed.undated.as_deref(), |after, limit| {
                if read.widest {
                    return records::undated_since(
                        c, &table.sql, connection, &column, read.from, after, limit,
                    );
                }
                let undated = Some(&column);
                let (status, values) = (&unfinished.column, &unfinished.values);
                let (sql, model) = (&table.sql, &table.model);
                records::unfinished(
                    c, sql, model, connection, status, values, undated, None, after, limit,
                )
            })?;
            let range = KeyRange {
                column: &column,
                from: floor,
                to: read.from,
            };
            let budget = left(budget, &undated);
            let dated = in_turn(budget, followed.dated.as_deref(), |after, limit| {
                let (status, values) = (&unfinished.column, &unfinished.values);
                let (sql, model) = (&table.sql, &table.model);
                let range = Some(&range);
                records::unfinished(
                    c, sql, model, connection, status, values, None, range, after, limit,
                )
            })?;
            Ok((undated, dated))
        })
    });
    let (undated, dated) = keys.await?;
    let last = undated.last().cloned();
    by_key::read(context, undated, false).await?;
    context
        .writer
        .update_checkpoint(|checkpoint| checkpoint.followed.undated = last);
    let last = dated.last().cloned();
    by_key::read(context, dated, false).await?;
    context
        .writer
        .update_checkpoint(|checkpoint| checkpoint.followed.dated = last);
    Ok(())
}

/// Returns up to `budget` keys: those after the key `last`, which the run before ended with, then the first ones again.
fn in_turn(
    budget: i64,
    last: Option<&str>,
    mut list: impl FnMut(Option<&str>, i64) -> Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    if budget <= 0 {
        return Ok(Vec::new());
    }
    let mut keys = list(last, budget)?;
    let left = left(budget, &keys);
    if let Some(last) = last
        && left > 0
    {
        let first = list(None, left)?;
        keys.extend(first.into_iter().take_while(|key| key.as_str() <= last));
    }
    Ok(keys)
}

/// Returns the rest of a budget after these keys.
fn left(budget: i64, keys: &[String]) -> i64 {
    budget.saturating_sub(i64::try_from(keys.len()).unwrap_or(i64::MAX))
}
