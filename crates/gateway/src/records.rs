//! Synced records: lists, newest first, and the feed of changes.

mod feed;
mod query;

use std::sync::Arc;

use domain::{Connection, ConnectionId, Model, Position, StoredRecord, SyncName, Variant};
use registry::Provider;
use store::records::{self, RecordQuery};
use store::{DbConn, StoreError, syncs};

pub use self::feed::{FeedPage, FeedRequest, PruneRequest, feed, prune};
use self::query::write_cursor;
use crate::caller::Caller;
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::models::ModelTable;

/// Which records to list, checked against their model.
#[derive(Debug, Clone)]
pub struct RecordFilter {
    table: Arc<ModelTable>,
    connection: ConnectionId,
    query: RecordQuery,
}

/// A page of records.
#[derive(Debug)]
pub struct RecordPage {
    /// Newest first.
    pub records: Vec<StoredRecord>,
    /// Where the list goes on; `None` at its end.
    pub next_cursor: Option<String>,
}

impl RecordFilter {
    /// The model of the records.
    pub fn model(&self) -> &Arc<Model> {
        &self.table.model
    }
}

/// Checks the query of `GET /{integration}/{plural}`: `connectionId`, `limit`, `cursor`, `variant`, the model's filters, and
/// `…_after` and `…_before` for each of its timestamp columns that order it.
pub async fn filter(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    plural: &str,
    parameters: Vec<(String, String)>,
) -> Result<RecordFilter> {
    let read = read(gateway, caller, integration, plural, parameters, false).await?;
    Ok(read.0)
}

/// Checks the query as [`filter`] does, and reads its page.
pub async fn filter_and_page(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    plural: &str,
    parameters: Vec<(String, String)>,
) -> Result<(RecordFilter, RecordPage)> {
    let (filter, found) = read(gateway, caller, integration, plural, parameters, true).await?;
    let limit = filter.query.limit;
    let found = match found {
        Some(found) => found,
        None => records_after(gateway, &filter, None, limit.saturating_add(1)).await?,
    };
    Ok((filter, RecordPage::of(found, limit)))
}

/// Checks a query, and with `page` reads its rows and the one after them, unless a variant's table may have to be made first.
/// All of it is one read of the database.
async fn read(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    plural: &str,
    parameters: Vec<(String, String)>,
    page: bool,
) -> Result<(RecordFilter, Option<Vec<StoredRecord>>)> {
    let connection = connection_name(&parameters);
    let names = Names::of(caller, integration, &connection);
    let models = Arc::clone(&gateway.models);
    let (key, plural) = (integration.to_owned(), plural.to_owned());
    let read = gateway.read_names(names, move |c, integration, connection| {
        let (sync, variant, query) = match list_query(&key, &integration.provider, &plural, parameters) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let has_variant = has_variant(c, connection, &sync, &variant)?;
        let rows = match (connection, models.base(&integration.provider.name, &sync)) {
            (Some(connection), Some(table)) if page && variant == Variant::base() => {
                let query = RecordQuery {
                    limit: query.limit.saturating_add(1),
                    ..query.clone()
                };
                Some(records::list(c, &table.sql, connection.id, &query)?)
            }
            _ => None,
        };
        Ok(Ok((sync, variant, query, has_variant, rows)))
    });
    let found = gateway.store.read_long(read?).await?;
    let (integration, connection, read) = names.record(found)?;
    let (sync, variant, query, has_variant, rows) = read?;
    let connection = names.found(integration, connection)?.connection;
    let invalid = GatewayError::InvalidQuery;
    let filter = RecordFilter {
        table: table(gateway, &connection, &sync, &variant, has_variant, invalid).await?,
        connection: connection.id,
        query,
    };
    Ok((filter, rows))
}

/// The table of a sync's variant; `invalid` makes the error if the connection does not have the variant.
async fn table(
    gateway: &Gateway,
    connection: &Connection,
    sync: &SyncName,
    variant: &Variant,
    has_variant: bool,
    invalid: fn(Vec<FieldError>) -> GatewayError,
) -> Result<Arc<ModelTable>> {
    let table = if has_variant {
        gateway.models.table(&connection.provider, sync, variant).await?
    } else {
        None
    };
    table.ok_or_else(|| {
        let message = format!(
            "is not a variant of {sync} on this connection: create it with POST /sync/{sync}/variant/{variant}"
        );
        invalid(vec![FieldError::at("unknown", "variant", message)])
    })
}

/// Reads at most `limit` records after the position `after`, for a response that streams them all.
pub async fn records_after(
    gateway: &Gateway,
    filter: &RecordFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<StoredRecord>> {
    let (table, connection, mut query) = (Arc::clone(&filter.table), filter.connection, filter.query.clone());
    query.limit = limit;
    query.position = after.or(query.position);
    let store = &gateway.store;
    let listed = store.read_long(move |c| records::list(c, &table.sql, connection, &query));
    Ok(listed.await?)
}

impl RecordPage {
    /// The first `wanted` of the records found, and a cursor if there are more.
    fn of(mut found: Vec<StoredRecord>, wanted: i64) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_cursor = found
            .last()
            .filter(|_| more)
            .map(|record| write_cursor(&record.position));
        Self {
            records: found,
            next_cursor,
        }
    }
}

/// Whether the connection has the variant of the sync. Every connection has the base variant, or had it while the file declared its sync.
fn has_variant(
    c: &mut DbConn,
    connection: Option<&Connection>,
    sync: &SyncName,
    variant: &Variant,
) -> Result<bool, StoreError> {
    match connection {
        Some(connection) if *variant != Variant::base() => {
            Ok(syncs::get(c, connection.id, sync, variant)?.is_some())
        }
        _ => Ok(true),
    }
}

/// The sync whose model has this plural, and the query checked against that model.
fn list_query(
    integration: &str,
    provider: &Provider,
    plural: &str,
    parameters: Vec<(String, String)>,
) -> Result<(SyncName, Variant, RecordQuery)> {
    let mut syncs = provider.syncs.iter();
    let Some((sync, declared)) = syncs.find(|(_, sync)| sync.model.plural == plural) else {
        let known = provider.syncs.values().map(|sync| sync.model.plural.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        let message = format!("{integration:?} has no model {plural:?}; it has: {known}");
        return Err(GatewayError::NotFound(message));
    };
    let (variant, query) = query::parse(&declared.model, parameters).map_err(GatewayError::InvalidQuery)?;
    Ok((sync.clone(), variant, query))
}

/// The connection that the parameters name; empty if they name none.
fn connection_name(parameters: &[(String, String)]) -> String {
    let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted);
    let named = of("connectionId").or_else(|| of("connection_id"));
    named.map_or_else(String::new, |(_, value)| value.clone())
}
