//! Synced records: a page as JSON, all of them as a stream of CSV or NDJSON, and the feed of changes.

pub(crate) mod feed;
mod stream;
mod write;

use std::collections::BTreeMap;

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION};
use actix_web::{HttpRequest, HttpResponse, web};
use gateway::records;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use self::stream::Format;
use self::write::RowWriter;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::query;

/// A page of records, newest first. The list has the model's plural as its name: `messages`.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "messages": [{ "id": "1", "status": "delivered" }], "next_cursor": null }))]
pub(crate) struct RecordPage {
    /// The records: each declared column by its name, and under `_extra` what else the provider sent.
    #[serde(flatten)]
    records: BTreeMap<String, Vec<Map<String, Json>>>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Lists synced records of a connection, newest first, without deleted and pruned ones.
///
/// Each model has its own filters, which are parameters of the same name. `…_after` (at that time or later) and `…_before` (before that
/// time) bound the times by which it is ordered, so that adjacent ranges share no record. With `Accept: text/csv` or
/// `application/x-ndjson` all matching records come in one stream, unless `limit` is given.
#[utoipa::path(
    get, path = "/{integration}/{plural}", operation_id = "list_records", tag = "records", security(("api_key" = ["environment:records:read"])),
    params(
        ("plural" = String, Path, description = "The model in the plural", example = "messages"),
        ("connectionId" = String, Query, description = "The connection", example = "my-acme"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "The most records to return; 100 if left out"),
        ("variant" = Option<String>, Query, description = "The sync's variant; `base` if left out"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page, unchanged"),
    ),
    responses(
        (status = 200, description = "The records", content(
            (RecordPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson")
        )),
        InvalidQuery,
        (status = 404, description = "`unknown_provider_config`, `unknown_connection`, or `not_found` if the model does not exist")
    )
)]
pub(crate) async fn list(
    authorized: Authorized<scope::RecordsRead>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    respond(authorized, &request, &path.0, &path.1).await
}

/// Returns the page or the stream of records that the request asks for.
pub(crate) async fn respond(
    Authorized { gateway, caller, .. }: Authorized<scope::RecordsRead>,
    request: &HttpRequest,
    integration: &str,
    plural: &str,
) -> Result<HttpResponse, ApiError> {
    let parameters = query::pairs(request);
    let limit = parameters
        .iter()
        .find(|(name, _)| name == "limit")
        .and_then(|(_, value)| value.parse().ok());
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some(format) = Format::of(accept) else {
        let read = records::filter_and_page(&gateway, &caller, integration, plural, parameters);
        let (filter, page) = read.await?;
        let body = RowWriter::new(filter.model()).page(&page);
        return Ok(HttpResponse::Ok().content_type("application/json").body(body));
    };
    let filter = records::filter(&gateway, &caller, integration, plural, parameters).await?;
    let name = format!(
        "attachment; filename=\"{}.{}\"",
        filter.model().table,
        format.extension()
    );
    let stream = stream::stream(gateway.into_inner(), filter, format, limit).await?;
    Ok(HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((CONTENT_DISPOSITION, name))
        .streaming(stream))
}
