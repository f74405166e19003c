//! Requests single records by their key.

use std::sync::Arc;

use domain::Record;
use futures::{StreamExt, stream};
use store::records;

use super::deletions;
use crate::context::Context;
use crate::failure::Failure;
use crate::page::{self, PageError};
use crate::writer::PageWrite;

/// How many records one transaction writes. Each takes one request, so a crash repeats at most this many requests.
const CHUNK: usize = 50;

/// The result of a request for a key.
enum Found {
    Record(Box<Record>),
    Nothing,
    /// Another record, as where two were merged into one.
    Another,
    /// Something that cannot be read, or a refusal.
    Unreadable(Failure),
}

/// Requests each key. Records that the provider has are written; rows of others are marked as deleted, within the deletion guard.
///
/// `unlisted` says that a complete list did not show these keys. Then another record under a key also means that the row is deleted. A
/// record that the provider refuses to show, or that cannot be read, is counted as skipped, and its row stays unchanged.
pub(super) async fn read(context: &Arc<Context>, keys: Vec<String>, unlisted: bool) -> Result<(), Failure> {
    let mut deleted = Vec::new();
    let mut up_to = None;
    for chunk in keys.chunks(CHUNK) {
        let requested = context.writer.request_position().await?;
        up_to.get_or_insert(requested.number);
        let requests: Vec<_> = chunk
            .iter()
            .map(|key| request(Arc::clone(context), key.clone()))
            .collect();
        let responses: Vec<_> = stream::iter(requests)
            .buffer_unordered(context.parallel())
            .collect()
            .await;
        let mut write = PageWrite {
            requested,
            ..PageWrite::default()
        };
        let mut failed = None;
        for (key, found) in responses {
            match found {
                Ok(Found::Record(record)) => write.records.push(*record),
                Ok(Found::Nothing) => deleted.push(key),
                Ok(Found::Another) if unlisted => deleted.push(key),
                Ok(Found::Another) => {}
                Ok(Found::Unreadable(failure)) => {
                    tracing::warn!(error = %failure, "a record could not be read by its key");
                    write.notes.skipped = write.notes.skipped.saturating_add(1);
                }
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        if !write.records.is_empty() || write.notes.skipped > 0 {
            context.writer.submit(write).await?;
            context.writer.flush().await?;
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
    deletions::mark(context, &deleted, up_to.unwrap_or_default()).await
}

async fn request(context: Arc<Context>, key: String) -> (String, Result<Found, Failure>) {
    let found = find(&context, &key).await;
    (key, found)
}

async fn find(context: &Context, key: &str) -> Result<Found, Failure> {
    let Some(reread) = &context.declared.reread else {
        return Ok(Found::Another);
    };
    let server = context.declared.request.server.as_deref();
    let whole = whole_key(context, key).await?;
    let request = context.target.record_request(server, &reread.path, &whole)?;
    let response = match context.send(request).await {
        Ok(response) => response,
        Err(failure) if failure.not_found() => return Ok(Found::Nothing),
        Err(failure) if failure.refused() => return Ok(Found::Unreadable(failure)),
        Err(failure) => return Err(failure),
    };
    Ok(
        match page::parse_record(&response.body, &reread.record, &context.table.reader) {
            Ok(Ok(record)) if record.key == key => Found::Record(Box::new(record)),
            Ok(Ok(_)) => Found::Another,
            // An unreadable record says nothing about the row.
            Ok(Err(reason)) => Found::Unreadable(Failure::Unreadable(PageError::Record(reason))),
            Err(error) => Found::Unreadable(Failure::Unreadable(error)),
        },
    )
}

/// Returns the provider's key of a row. The row's own key may be shortened.
async fn whole_key(context: &Context, key: &str) -> Result<String, Failure> {
    if !domain::is_shortened(key) {
        return Ok(key.to_owned());
    }
    let (table, connection, stored) = (Arc::clone(&context.table), context.connection.id, key.to_owned());
    let store = &context.gateway.store;
    let long = store
        .read(move |c| records::long_key(c, &table.sql, connection, &stored))
        .await?;
    Ok(long.unwrap_or_else(|| key.to_owned()))
}
