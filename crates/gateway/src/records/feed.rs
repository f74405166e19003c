//! The change feed of a connection's records: each changed record once, with its latest state, in commit order. Its readers may prune
//! what they have read.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ConnectionId, Model, RecordAction, StoredRecord, Timestamp, Variant};
use store::records::{self, ChangeQuery, Pruned};
use xxhash_rust::xxh3::Xxh3;

use super::{has_variant, table};
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::models::ModelTable;

/// Which changes to read.
#[derive(Debug, Clone)]
pub struct FeedRequest {
    /// The model's name.
    pub model: String,
    /// The sync's variant.
    pub variant: Variant,
    /// Only records written at or after this time.
    pub modified_since: Option<Timestamp>,
    /// Only records whose last change is one of these; empty for all.
    pub actions: Vec<RecordAction>,
    /// Only records with these ids.
    pub ids: Option<Vec<String>>,
    /// Only changes after the record with this cursor.
    pub cursor: Option<String>,
    /// The maximum number of records.
    pub limit: i64,
}

/// Which records to prune.
#[derive(Debug, Clone)]
pub struct PruneRequest {
    /// The model's name.
    pub model: String,
    /// The sync's variant.
    pub variant: Variant,
    /// Up to the record with this cursor, inclusive.
    pub until_cursor: String,
    /// The maximum number of records.
    pub limit: i64,
}

/// A page of the feed.
#[derive(Debug)]
pub struct FeedPage {
    /// The records' model.
    pub model: Arc<Model>,
    /// In the order of their changes.
    pub records: Vec<StoredRecord>,
    /// The last record's cursor, if more records follow.
    pub next_cursor: Option<String>,
    codec: CursorCodec,
}

impl FeedPage {
    /// The cursor of one of the records, after which the feed can be continued.
    pub fn cursor(&self, record: &StoredRecord) -> String {
        self.codec.encode(record.cursor)
    }
}

/// One page of the feed.
pub async fn feed(gateway: &Gateway, names: Names<'_>, request: FeedRequest) -> Result<FeedPage> {
    let invalid = GatewayError::InvalidQuery;
    let model = (request.model.as_str(), &request.variant);
    let (table, connection, codec) = resolve_table(gateway, names, model, invalid).await?;
    let after = request.cursor.as_deref();
    let after = after.map(|text| codec.decode(text, "cursor").map_err(invalid));
    // One more record than requested shows whether there is a next page.
    let query = ChangeQuery {
        after: after.transpose()?.unwrap_or_default(),
        modified_since: request.modified_since,
        actions: request.actions,
        keys: request.ids,
        limit: request.limit.saturating_add(1),
    };
    let model = Arc::clone(&table.model);
    let store = &gateway.store;
    let read = store.read_long(move |c| records::changes(c, &table.sql, connection, &query));
    let mut records = read.await?;
    let wanted = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let more = records.len() > wanted;
    records.truncate(wanted);
    let last = records.last().filter(|_| more);
    Ok(FeedPage {
        next_cursor: last.map(|record| codec.encode(record.cursor)),
        model,
        records,
        codec,
    })
}

/// Empties the records up to the cursor. The feed still returns them, without content. When a record changes, the next sync writes it in
/// full again.
pub async fn prune(gateway: &Gateway, names: Names<'_>, request: PruneRequest) -> Result<Pruned> {
    let invalid = GatewayError::InvalidBody;
    let model = (request.model.as_str(), &request.variant);
    let (table, connection, codec) = resolve_table(gateway, names, model, invalid).await?;
    let until = codec.decode(&request.until_cursor, "until_cursor");
    let (until, now) = (until.map_err(invalid)?, gateway.clock.now());
    let store = &gateway.store;
    let pruned =
        store.write_long(move |c| records::prune(c, &table.sql, connection, until, request.limit, now));
    Ok(pruned.await?)
}

/// Finds the table and connection that a request names. `invalid` builds the error for an unknown model or variant.
async fn resolve_table(
    gateway: &Gateway,
    names: Names<'_>,
    (model, variant): (&str, &Variant),
    invalid: fn(Vec<FieldError>) -> GatewayError,
) -> Result<(Arc<ModelTable>, ConnectionId, CursorCodec)> {
    let (of_model, of_variant) = (model.to_owned(), variant.clone());
    let read = gateway.resolve_and_read(names, move |c, integration, connection| {
        let mut syncs = integration.provider.syncs.iter();
        match syncs.find(|(_, sync)| sync.model.name.as_str() == of_model) {
            Some((name, _)) => Ok(Some((
                name.clone(),
                has_variant(c, connection, name, &of_variant)?,
            ))),
            None => Ok(None),
        }
    });
    let (resolved, connection, sync) = read.await?;
    let provider = Arc::clone(&resolved.provider);
    let connection = names.found(resolved, connection)?.connection;
    let Some((sync, has_variant)) = sync else {
        let known = provider.syncs.values().map(|sync| sync.model.name.as_str());
        let known: Vec<_> = known.collect();
        let (integration, known) = (names.integration, known.join(", "));
        let message = format!("is not a model of {integration:?}; its models: {known}");
        return Err(invalid(vec![FieldError::at("unknown", "model", message)]));
    };
    let table = table(gateway, &connection, &sync, variant, has_variant, invalid).await?;
    let codec = CursorCodec::new(connection.id, &table.model);
    Ok((table, connection.id, codec))
}

/// Encodes and decodes the cursors of one connection's rows of one table.
///
/// A cursor is opaque to callers: a hash of connection and table, then a change number. The hash lets us refuse a cursor of another
/// connection, model or variant.
#[derive(Debug, Clone, Copy)]
struct CursorCodec {
    scope: u64,
}

impl CursorCodec {
    fn new(connection: ConnectionId, model: &Model) -> Self {
        let mut scope = Xxh3::new();
        scope.update(&connection.raw().to_be_bytes());
        scope.update(model.table.as_str().as_bytes());
        Self {
            scope: scope.digest(),
        }
    }

    fn encode(self, number: i64) -> String {
        let both = u128::from(self.scope) << 64 | u128::from(number.unsigned_abs());
        URL_SAFE_NO_PAD.encode(both.to_be_bytes())
    }

    fn decode(self, text: &str, field: &str) -> Result<i64, Vec<FieldError>> {
        let number = || {
            let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
            let both = u128::from_be_bytes(bytes);
            let number = i64::try_from(both & u128::from(u64::MAX)).ok()?;
            (both >> 64 == u128::from(self.scope)).then_some(number)
        };
        number().ok_or_else(|| {
            let message = "is not a cursor of this connection, model and variant: pass the cursor of one of their records or pages, unchanged";
            vec![FieldError::at("invalid", field, message)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_only_where_it_was_written() {
        let (ours, theirs) = (CursorCodec { scope: 7 }, CursorCodec { scope: 8 });
        for number in [0, 1, i64::MAX] {
            let text = ours.encode(number);
            assert_eq!(ours.decode(&text, "cursor"), Ok(number));
            assert!(theirs.decode(&text, "cursor").is_err());
        }
        for text in ["", "x", "AAAA", "AAAAAAAAAAf_________-A", "ä"] {
            assert!(ours.decode(text, "cursor").is_err(), "{text}");
        }
    }
}
