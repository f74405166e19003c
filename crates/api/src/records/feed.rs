//! The feed of changes of Nango's API: every change since a cursor, in order; and the pruning of records that the caller has read.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::{HttpResponse, web};
use chrono::SecondsFormat;
use domain::{Model, RecordAction, StoredRecord, Timestamp, Value, Variant};
use gateway::{FeedPage, FeedRequest, PruneRequest, records};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, ToSchema};

use super::write::{json_page, json_value, write_json};
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::headers::NamedConnection;
use crate::parameters::{Bounded, at_most, comma_separated, time};
use crate::query::Query;

/// The limits are those of Nango's API.
const DEFAULT_LIMIT: i64 = 100;
const DEFAULT_PRUNE: i64 = 1_000;
/// The most characters of an id; far more than in Nango, since a provider may have long keys.
const MAX_ID: usize = 16_384;

/// The records to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedQuery {
    /// The model's name.
    #[param(example = "Message")]
    model: String,
    /// The sync's variant; `base` if left out.
    #[param(value_type = Option<String>, example = "base")]
    variant: Option<Variant>,
    /// Only records that were last written at this time or later (ISO 8601).
    #[serde(default, deserialize_with = "time")]
    #[param(value_type = Option<String>, format = DateTime)]
    modified_after: Option<Timestamp>,
    /// The older name of `modified_after`.
    #[serde(default, deserialize_with = "time")]
    #[param(value_type = Option<String>, format = DateTime)]
    delta: Option<Timestamp>,
    /// The most records to return; 100 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    limit: Option<Bounded<1, 10_000>>,
    /// Only records whose last change is one of these: `added`, `updated`, `deleted`, separated by commas, in upper or lower case.
    #[serde(default, deserialize_with = "comma_separated")]
    #[param(value_type = Option<String>, example = "added,updated")]
    filter: Vec<ActionName>,
    /// Only records after the record or the page that had this cursor.
    cursor: Option<String>,
    /// Only records with these ids: at most 100, each as a parameter of its own.
    #[serde(default, deserialize_with = "at_most::<_, _, 100>")]
    #[param(value_type = Option<Vec<String>>, max_items = 100)]
    ids: Vec<RecordId>,
}

/// The last change of a record, as a caller writes it.
struct ActionName(RecordAction);

impl FromStr for ActionName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text.trim().to_ascii_lowercase().as_str() {
            "added" => RecordAction::Added,
            "updated" => RecordAction::Updated,
            "deleted" => RecordAction::Deleted,
            _ => return Err("must be added, updated or deleted"),
        }))
    }
}

/// The id of a record.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RecordId(String);

impl TryFrom<String> for RecordId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.chars().count() > MAX_ID || text.contains('\0') {
            return Err(format!("must be text of 1 to {MAX_ID} characters"));
        }
        Ok(Self(text))
    }
}

impl From<FeedQuery> for FeedRequest {
    fn from(query: FeedQuery) -> Self {
        Self {
            model: query.model,
            variant: query.variant.unwrap_or_else(Variant::base),
            modified_since: query.modified_after.or(query.delta),
            actions: query
                .filter
                .into_iter()
                .map(|ActionName(action)| action)
                .collect(),
            ids: Some(query.ids.into_iter().map(|RecordId(id)| id).collect())
                .filter(|ids: &Vec<String>| !ids.is_empty()),
            cursor: query.cursor,
            limit: query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0),
        }
    }
}

/// A page of records in the order of their last changes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `page` writes")]
pub(crate) struct FeedList {
    records: Vec<FeedRecord>,
    /// The last record's cursor if there are more records; else null.
    next_cursor: Option<String>,
}

/// A record: its columns and what else the provider sent, all at the top level. A deleted or pruned record has only the fields listed
/// here.
#[derive(Serialize, ToSchema)]
struct FeedRecord {
    /// The key, as text.
    #[schema(example = "m_1")]
    id: String,
    _nango_metadata: FeedMetadata,
    /// The rest.
    #[serde(flatten)]
    rest: Map<String, Json>,
}

/// The metadata of a record. Times have microseconds and an offset.
#[derive(Serialize, ToSchema)]
struct FeedMetadata {
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.123456+00:00")]
    first_seen_at: String,
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.123456+00:00")]
    last_modified_at: String,
    /// `ADDED`, `UPDATED` or `DELETED`.
    #[schema(example = "ADDED")]
    last_action: &'static str,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
    /// When `PATCH /records/prune` removed its content.
    #[schema(format = DateTime)]
    pruned_at: Option<String>,
    /// The cursor with which the feed continues after this record.
    #[schema(example = "AAAAAAAAACo")]
    cursor: String,
}

/// Reads the records of a connection in the order in which they last changed, including deleted ones.
///
/// A reader that continues from its last cursor misses no change, whatever is written meanwhile. Cursors do not expire; each belongs to
/// its connection, model and variant.
#[utoipa::path(
    get, path = "/records", operation_id = "read_changes", tag = "records", security(("api_key" = ["environment:records:read"])),
    params(NamedConnection, FeedQuery),
    responses(
        (status = 200, description = "The records", body = FeedList),
        (status = 400, description = "`invalid_query_params`, `invalid_headers`, `unknown_connection` or `unknown_provider_config`")
    )
)]
pub(crate) async fn read(
    Authorized { gateway, caller, .. }: Authorized<scope::RecordsRead>,
    named: NamedConnection,
    query: Query<FeedQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = records::feed(&gateway, named.names(&caller), query.0.into()).await;
    let page = page.map_err(ApiError::connection_unknown)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(self::page(&page)))
}

/// The records to prune.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PruneBody {
    /// The model's name.
    #[schema(example = "Message")]
    model: String,
    /// The sync's variant; `base` if left out.
    #[schema(value_type = Option<String>, example = "base")]
    variant: Option<Variant>,
    /// The cursor of the last record to prune.
    #[schema(example = "AAAAAAAAACo")]
    until_cursor: String,
    /// The most records to prune; 1000 if left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    limit: Option<Bounded<1, 10_000>>,
}

/// The result of pruning.
#[derive(Serialize, ToSchema)]
pub(crate) struct PruneAnswer {
    /// Records that this request pruned.
    count: u64,
    /// Whether records up to the cursor are left: send the request again.
    has_more: bool,
}

/// Prunes records that you have read, up to a cursor: removes their content.
///
/// They keep their position in the feed, their id and their metadata, and `GET /{integration}/{plural}` does not list them. A record that
/// changes afterwards appears again in full.
#[utoipa::path(
    patch, path = "/records/prune", operation_id = "prune_records", tag = "records", security(("api_key" = ["environment:records:write"])),
    params(NamedConnection), request_body = PruneBody,
    responses(
        (status = 200, description = "The number of records", body = PruneAnswer),
        (status = 400, description = "`invalid_body`, `invalid_headers`, `unknown_connection` or `unknown_provider_config`")
    )
)]
pub(crate) async fn prune(
    Authorized { gateway, caller, .. }: Authorized<scope::RecordsWrite>,
    named: NamedConnection,
    body: Body<PruneBody>,
) -> Result<web::Json<PruneAnswer>, ApiError> {
    let body = body.0;
    let request = PruneRequest {
        model: body.model,
        variant: body.variant.unwrap_or_else(Variant::base),
        until_cursor: body.until_cursor,
        limit: body.limit.map_or(DEFAULT_PRUNE, |limit| limit.0),
    };
    let pruned = records::prune(&gateway, named.names(&caller), request).await;
    let pruned = pruned.map_err(ApiError::connection_unknown)?;
    Ok(web::Json(PruneAnswer {
        count: pruned.count,
        has_more: pruned.has_more,
    }))
}

/// Returns a page as JSON.
fn page(page: &FeedPage) -> Vec<u8> {
    json_page(
        "records",
        &page.records,
        page.next_cursor.as_deref(),
        |record, out| {
            out.push(b'{');
            if record.deleted_at.is_none() && record.pruned_at.is_none() {
                payload(&page.model, record, out);
            }
            out.extend_from_slice(b"\"id\":");
            write_json(&record.key, out);
            out.extend_from_slice(b",\"_nango_metadata\":");
            write_json(&FeedMetadata::new(record, page.cursor(record)), out);
            out.push(b'}');
        },
    )
}

/// Writes the columns and the extra fields, each followed by a comma. A value that did not fit its column is written as the provider sent
/// it.
fn payload(model: &Model, record: &StoredRecord, out: &mut Vec<u8>) {
    let extra = record.extra.as_deref();
    // What is stored there is an object.
    let mut extra: BTreeMap<String, &RawValue> = extra
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for name in ["id", "_nango_metadata"] {
        extra.remove(name);
    }
    for (column, value) in model.columns.keys().zip(&record.values) {
        let name = column.as_str();
        let beside = extra.contains_key(name);
        if name == "id" || (beside && *value == Value::Null) {
            continue;
        }
        extra.remove(name);
        write_json(name, out);
        out.push(b':');
        json_value(value, out);
        out.push(b',');
    }
    for (name, value) in extra {
        write_json(&name, out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
        out.push(b',');
    }
}

impl FeedMetadata {
    fn new(record: &StoredRecord, cursor: String) -> Self {
        Self {
            first_seen_at: precise(record.first_seen_at),
            last_modified_at: precise(record.last_modified_at),
            last_action: match record.last_action() {
                RecordAction::Added => "ADDED",
                RecordAction::Updated => "UPDATED",
                RecordAction::Deleted => "DELETED",
            },
            deleted_at: record.deleted_at.map(precise),
            pruned_at: record.pruned_at.map(precise),
            cursor,
        }
    }
}

/// Returns the time with microseconds and an offset, as PostgreSQL writes times in JSON.
fn precise(time: Timestamp) -> String {
    time.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, false)
}
