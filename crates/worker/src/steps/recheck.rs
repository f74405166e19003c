//! The recheck: requests single rows that are not final and that this run did not re-read.

use std::sync::Arc;

use store::StoreError;
use store::records::{self, KeyQuery, KeyRange};

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
            let not_final = KeyQuery {
                values: Some((&unfinished.column, &unfinished.values)),
                ..KeyQuery::default()
            };
            let in_window = KeyQuery {
                since: Some(read.from),
                ..KeyQuery::default()
            };
            let undated = KeyQuery {
                undated: Some(&column),
                ..(if read.widest { in_window } else { not_final.clone() })
            };
            let dated = KeyQuery {
                range: Some(KeyRange {
                    column: &column,
                    from: floor,
                    to: read.from,
                }),
                ..not_final
            };
            let mut list = |query: &KeyQuery<'_>| records::live_keys(c, &table.sql, connection, query);
            let undated = in_turn(undated, budget, followed.undated.as_deref(), &mut list)?;
            let left = left(budget, &undated);
            let dated = in_turn(dated, left, followed.dated.as_deref(), &mut list)?;
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
fn in_turn<'a>(
    mut query: KeyQuery<'a>,
    budget: i64,
    last: Option<&'a str>,
    list: &mut impl FnMut(&KeyQuery<'_>) -> Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    if budget <= 0 {
        return Ok(Vec::new());
    }
    (query.after, query.limit) = (last, budget);
    let mut keys = list(&query)?;
    let left = left(budget, &keys);
    if let Some(last) = last
        && left > 0
    {
        (query.after, query.limit) = (None, left);
        let first = list(&query)?;
        keys.extend(first.into_iter().take_while(|key| key.as_str() <= last));
    }
    Ok(keys)
}

/// Returns the rest of a budget after these keys.
fn left(budget: i64, keys: &[String]) -> i64 {
    budget.saturating_sub(i64::try_from(keys.len()).unwrap_or(i64::MAX))
}
