//! Synced records, newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{
    ColumnKind, Connection, ConnectionId, Model, NameError, Position, StoredRecord, SyncName, TableName,
    Timestamp, Value, Variant,
};
use registry::Provider;
use serde::{Deserialize, Serialize};
use store::records::{self, Bound, RecordQuery};
use store::{DbConn, StoreError};

use crate::gateway::Inner;
use crate::lookup::Names;
use crate::models::ModelTable;
use crate::{Caller, FieldError, GatewayError};

/// The use cases of synced records.
pub struct Records<'a>(pub(crate) &'a Inner);

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

/// Records of a page if the caller names no number, and the most that they may ask for.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1_000;

/// A cursor as it is written for the caller, who has no business with what is in it.
#[derive(Serialize, Deserialize)]
struct CursorText {
    at: Option<i64>,
    key: String,
}

impl RecordFilter {
    /// The model of the records.
    pub fn model(&self) -> &Arc<Model> {
        &self.table.model
    }
}

impl Records<'_> {
    /// Checks the query of `GET /{integration}/{plural}`: `connectionId`, `limit`, `cursor`, `variant`, the model's filters, and
    /// `…_after` and `…_before` for each of its timestamp columns that order it.
    pub async fn filter(
        &self,
        caller: &Caller,
        integration: &str,
        plural: &str,
        parameters: Vec<(String, String)>,
    ) -> Result<RecordFilter, GatewayError> {
        let read = self.read(caller, integration, plural, parameters, false).await?;
        Ok(read.0)
    }

    /// Checks the query as [`Self::filter`] does, and reads its page.
    pub async fn filter_and_page(
        &self,
        caller: &Caller,
        integration: &str,
        plural: &str,
        parameters: Vec<(String, String)>,
    ) -> Result<(RecordFilter, RecordPage), GatewayError> {
        let (filter, found) = self.read(caller, integration, plural, parameters, true).await?;
        let page = match found {
            Some(found) => RecordPage::of(found, filter.query.limit),
            None => self.page(&filter).await?,
        };
        Ok((filter, page))
    }

    /// Checks a query, and with `page` reads its rows and the one after them, unless a variant's table may have to be made first.
    /// All of it is one read of the database.
    async fn read(
        &self,
        caller: &Caller,
        integration: &str,
        plural: &str,
        parameters: Vec<(String, String)>,
        page: bool,
    ) -> Result<(RecordFilter, Option<Vec<StoredRecord>>), GatewayError> {
        let connection = connection_name(&parameters);
        let names = Names {
            integration,
            connection: &connection,
        };
        let models = Arc::clone(&self.0.models);
        let (key, plural) = (integration.to_owned(), plural.to_owned());
        let read =
            self.0
                .integration_and_connection_with(caller, names, move |c, integration, connection| {
                    let listed = match listed(&key, &integration.provider, &plural, parameters) {
                        Ok(listed) => listed,
                        Err(error) => return Ok(Err(error)),
                    };
                    let is_base = listed.query.variant == Variant::base();
                    let table = connection
                        .filter(|_| page && is_base)
                        .and_then(|row| Some((models.of_sync(&row.provider, &listed.sync)?, row.id)));
                    let rows = table
                        .map(|(table, connection)| rows(c, table, connection, &listed.query.query))
                        .transpose()?;
                    Ok(Ok((listed, rows)))
                });
        let (_, connection, read) = read.await?;
        let (Listed { sync, query }, rows) = read?;
        let connection = connection?;
        let table = self.table(&connection, &sync, &query.variant).await?;
        let filter = RecordFilter {
            table: table.map_err(|error| GatewayError::InvalidQuery(vec![error]))?,
            connection: connection.id,
            query: query.query,
        };
        Ok((filter, rows))
    }

    /// The table of a sync's variant, or what is wrong with the variant if the connection has no such.
    pub(crate) async fn table(
        &self,
        connection: &Connection,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Result<Arc<ModelTable>, FieldError>, GatewayError> {
        // Every connection has the base variant, or had it while the file declared its sync.
        let there =
            *variant == Variant::base() || self.0.find_sync(connection, sync, variant).await?.is_some();
        let table = if there {
            self.0.table(&connection.provider, sync, variant).await?
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

    /// One page.
    pub async fn page(&self, filter: &RecordFilter) -> Result<RecordPage, GatewayError> {
        let (table, connection, query) = (Arc::clone(&filter.table), filter.connection, filter.query.clone());
        let found = self
            .0
            .store
            .read_long(move |c| rows(c, &table, connection, &query));
        Ok(RecordPage::of(found.await?, filter.query.limit))
    }

    /// The page of at most `limit` records behind `after`, for a caller who streams them all.
    pub async fn after(
        &self,
        filter: &RecordFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<StoredRecord>, GatewayError> {
        let (filter, mut query) = (filter.clone(), filter.query.clone());
        query.limit = limit;
        query.position = after.or(query.position);
        let listed = self.0.store.read_long(move |c| {
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

/// What a request lists, as far as its provider tells.
struct Listed {
    sync: SyncName,
    query: Parsed,
}

/// The sync whose model has this plural, and the query checked against that model.
fn listed(
    integration: &str,
    provider: &Provider,
    plural: &str,
    parameters: Vec<(String, String)>,
) -> Result<Listed, GatewayError> {
    let (sync, declared) = provider
        .syncs
        .iter()
        .find(|(_, sync)| sync.model.plural == plural)
        .ok_or_else(|| GatewayError::UnknownModel {
            integration: integration.to_owned(),
            model: plural.to_owned(),
            known: provider
                .syncs
                .values()
                .map(|sync| sync.model.plural.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    let query = parse(&declared.model, parameters).map_err(GatewayError::InvalidQuery)?;
    Ok(Listed {
        sync: sync.clone(),
        query,
    })
}

/// The connection that the parameters name; empty if they name none.
fn connection_name(parameters: &[(String, String)]) -> String {
    let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted);
    let named = of("connectionId").or_else(|| of("connection_id"));
    named.map_or_else(String::new, |(_, value)| value.clone())
}

/// The checked query of a list.
struct Parsed {
    variant: Variant,
    query: RecordQuery,
}

fn parse(model: &Model, parameters: Vec<(String, String)>) -> Result<Parsed, Vec<FieldError>> {
    let mut query = RecordQuery {
        limit: DEFAULT_LIMIT,
        ..RecordQuery::default()
    };
    let mut errors = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in parameters {
        if seen.insert(name.clone(), value.clone()).is_some() {
            errors.push(FieldError::at("invalid", name, "is given twice"));
        } else if let Err(error) = parse_one(model, &name, &value, &mut query) {
            errors.push(FieldError::at(error.0, name, error.1));
        }
    }
    let variant = match seen.remove("variant").map(|text| text.parse()) {
        Some(Ok(variant)) => variant,
        Some(Err(rule)) => {
            let rule: NameError = rule;
            errors.push(FieldError::at("invalid", "variant", rule.to_string()));
            Variant::base()
        }
        None => Variant::base(),
    };
    let connection = seen
        .remove("connectionId")
        .or_else(|| seen.remove("connection_id"));
    match connection {
        Some(_) if errors.is_empty() => Ok(Parsed { variant, query }),
        Some(_) => Err(errors),
        None => {
            errors.push(FieldError::at(
                "missing",
                "connectionId",
                "is needed: the name of the connection whose records to list",
            ));
            Err(errors)
        }
    }
}

fn parse_one(
    model: &Model,
    name: &str,
    value: &str,
    query: &mut RecordQuery,
) -> Result<(), (&'static str, String)> {
    let invalid = |message: &str| ("invalid", message.to_owned());
    if value.contains('\0') {
        return Err(invalid("must not hold the character U+0000"));
    }
    match name {
        "connectionId" | "connection_id" | "variant" => return Ok(()),
        "limit" => {
            query.limit = value
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| invalid("must be a whole number from 1 to 1000"))?;
            return Ok(());
        }
        "cursor" => {
            query.position = Some(read_cursor(value).ok_or_else(|| {
                invalid("is no cursor that this list gave: take `next_cursor` of the page before, unchanged")
            })?);
            return Ok(());
        }
        _ => {}
    }
    if let Some(column) = model.filters.iter().find(|column| column.as_str() == name) {
        query.equals.push((
            column.clone(),
            filter_value(model, column, value).map_err(|message| invalid(&message))?,
        ));
        return Ok(());
    }
    if let Some((column, bound)) = bound(model, name) {
        let time = Timestamp::from_parameter(value).map_err(|error| invalid(&format!("is {error}")))?;
        query.ranges.push((column, bound, time));
        return Ok(());
    }
    Err((
        "unknown",
        format!("is no parameter of this list; it takes {}", known(model)),
    ))
}

fn filter_value(model: &Model, column: &TableName, value: &str) -> Result<Value, String> {
    let kind = model
        .columns
        .get(column)
        .map_or(ColumnKind::Text, |column| column.kind);
    Value::from_parameter(kind, value)
}

/// `date_sent_after` (that moment or later), `date_sent_before` (earlier) and the like, for every timestamp column by which the model is ordered.
fn bound(model: &Model, name: &str) -> Option<(TableName, Bound)> {
    let (column, bound) = name
        .strip_suffix("_after")
        .map(|column| (column, Bound::After))
        .or_else(|| name.strip_suffix("_before").map(|column| (column, Bound::Before)))?;
    model
        .newest_by
        .iter()
        .find(|known| known.as_str() == column)
        .map(|known| (known.clone(), bound))
}

fn known(model: &Model) -> String {
    let mut names = ["connectionId", "limit", "cursor", "variant"]
        .map(str::to_owned)
        .to_vec();
    names.extend(model.filters.iter().map(ToString::to_string));
    names.extend(
        model
            .newest_by
            .iter()
            .flat_map(|column| [format!("{column}_after"), format!("{column}_before")]),
    );
    names.join(", ")
}

fn write_cursor(position: &Position) -> String {
    let text = CursorText {
        at: position.at.map(Timestamp::as_micros),
        key: position.key.clone(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&text).unwrap_or_default())
}

fn read_cursor(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let CursorText { at, key } = serde_json::from_slice(&bytes).ok()?;
    (!key.is_empty() && !key.contains('\0')).then_some(Position {
        at: at.map(Timestamp::from_micros),
        key,
    })
}
