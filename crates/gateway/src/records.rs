//! Synced records: lists, newest first, and the feed of changes.

mod feed;
mod query;

use std::sync::Arc;

use domain::{Connection, ConnectionId, Model, Position, StoredRecord, SyncName, Variant};
use registry::Provider;
use store::records::{self, RecordQuery};
use store::{DbConn, StoreError, syncs};

pub use self::feed::{FeedPage, FeedRequest, PruneRequest, feed, prune};
use self::query::{ListQuery, write_cursor};
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
    let page = match found {
        Some(found) => RecordPage::of(found, filter.query.limit),
        None => page(gateway, &filter).await?,
    };
    Ok((filter, page))
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
        let (sync, list) = match list_query(&key, &integration.provider, &plural, parameters) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut read = (has_variant(c, connection, &sync, &list.variant)?, None);
        let table = models.base(&integration.provider.name, &sync);
        if let (Some(connection), Some(table), true) = (connection, table, page)
            && list.variant == Variant::base()
        {
            read.1 = Some(rows(c, table, connection.id, &list.query)?);
        }
        Ok(Ok((sync, list, read)))
    });
    let found = gateway.store.read_long(read?).await?;
    let (integration, connection, read) = names.record(found)?;
    let (sync, list, (has_variant, rows)) = read?;
    let connection = names.found(integration, connection)?.connection;
    let table = table(gateway, &connection, &sync, &list.variant, has_variant).await?;
    let filter = RecordFilter {
        table: table.map_err(|error| GatewayError::InvalidQuery(vec![error]))?,
        connection: connection.id,
        query: list.query,
    };
    Ok((filter, rows))
}

/// The table of a sync's variant, or the error that the connection does not have the variant.
async fn table(
    gateway: &Gateway,
    connection: &Connection,
    sync: &SyncName,
    variant: &Variant,
    has_variant: bool,
) -> Result<Result<Arc<ModelTable>, FieldError>> {
    let table = if has_variant {
        gateway.models.table(&connection.provider, sync, variant).await?
    } else {
        None
    };
    Ok(table.ok_or_else(|| {
        let message = format!(
            "is no variant of {sync} of this connection: make it by POST /sync/{sync}/variant/{variant}"
        );
        FieldError::at("unknown", "variant", message)
    }))
}

/// Reads one page.
pub async fn page(gateway: &Gateway, filter: &RecordFilter) -> Result<RecordPage> {
    let (table, connection, query) = (Arc::clone(&filter.table), filter.connection, filter.query.clone());
    let store = &gateway.store;
    let found = store.read_long(move |c| rows(c, &table, connection, &query));
    Ok(RecordPage::of(found.await?, filter.query.limit))
}

/// Reads at most `limit` records after the position `after`, for a response that streams them all.
pub async fn after(
    gateway: &Gateway,
    filter: &RecordFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<StoredRecord>> {
    let (filter, mut query) = (filter.clone(), filter.query.clone());
    query.limit = limit;
    query.position = after.or(query.position);
    let listed = gateway.store.read_long(move |c| {
        records::list(
            c,
            &filter.table.sql,
            &filter.table.model,
            filter.connection,
            &query,
        )
    });
    Ok(listed.await?)
}

/// Reads the rows of a query and, to know whether there is a next page, one row more.
fn rows(
    c: &mut DbConn,
    table: &ModelTable,
    connection: ConnectionId,
    query: &RecordQuery,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut query = query.clone();
    query.limit = query.limit.saturating_add(1);
    records::list(c, &table.sql, &table.model, connection, &query)
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
) -> Result<(SyncName, ListQuery)> {
    let mut syncs = provider.syncs.iter();
    let Some((sync, declared)) = syncs.find(|(_, sync)| sync.model.plural == plural) else {
        let known = provider.syncs.values().map(|sync| sync.model.plural.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        let message = format!("{integration:?} has no model {plural:?}; it has: {known}");
        return Err(GatewayError::NotFound(message));
    };
    let query = ListQuery::parse(&declared.model, parameters).map_err(GatewayError::InvalidQuery)?;
    Ok((sync.clone(), query))
}

/// The connection that the parameters name; empty if they name none.
fn connection_name(parameters: &[(String, String)]) -> String {
    let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted);
    let named = of("connectionId").or_else(|| of("connection_id"));
    named.map_or_else(String::new, |(_, value)| value.clone())
}
