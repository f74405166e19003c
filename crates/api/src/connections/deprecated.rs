//! Names that routes of connections bore in Nango before, for clients that still use them.
//!
//! The tag `deprecated` marks an operation as such in the document.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use gateway::{Gateway, MetadataChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::update::{MetadataBody, change_metadata};
use super::{
    ConnectionList, FullConnection, IntegrationQuery, ListQuery, ShowQuery, Success, deleted, listed, shown,
};
use crate::body::{Body, QueryBody};
use crate::caller::{Caller, scope};
use crate::error::{ApiError, ErrorBody, KeyErrors};
use crate::query::Query;

/// Lists connections: use `GET /connections`.
#[utoipa::path(
    operation_id = "list_connections_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:list"])), params(ListQuery),
    responses(
        (status = 200, description = "The connections", body = ConnectionList),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/connection")]
pub(crate) async fn list(
    caller: Caller<scope::ConnectionsList>,
    gateway: web::Data<Gateway>,
    query: Query<ListQuery>,
) -> Result<web::Json<ConnectionList>, ApiError> {
    listed(&caller, &gateway, query.0).await
}

/// Shows a connection: use `GET /connections/{connection_id}`.
#[utoipa::path(
    operation_id = "get_connection_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:read"])),
    params(("connection_id" = String, Path, description = "What you call the connection"), ShowQuery),
    responses(
        (status = 200, description = "The connection", body = FullConnection),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, `invalid_credentials` if the provider refuses them when tried, or `connection_validation_failed` if it cannot be called with what is stored", body = ErrorBody),
        (status = 404, description = "`not_found`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/connection/{connection_id:.*}")]
pub(crate) async fn get(
    caller: Caller<scope::ConnectionsRead>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<ShowQuery>,
) -> Result<web::Json<FullConnection>, ApiError> {
    shown(&caller, &gateway, &name, &query.0).await
}

/// Deletes a connection: use `DELETE /connections/{connection_id}`.
#[utoipa::path(
    operation_id = "delete_connection_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:delete"])),
    params(("connection_id" = String, Path, description = "What you call the connection"), IntegrationQuery),
    responses(
        (status = 200, description = "Done", body = Success),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, or `unknown_connection` if it is not there", body = ErrorBody),
        KeyErrors
    )
)]
#[delete("/connection/{connection_id:.*}")]
pub(crate) async fn delete(
    caller: Caller<scope::ConnectionsDelete>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
) -> Result<web::Json<Success>, ApiError> {
    deleted(&caller, &gateway, &name, &query.0).await
}

/// Sets notes: use `POST /connections/metadata`.
#[utoipa::path(
    operation_id = "set_metadata_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = MetadataBody,
    responses(
        (status = 201, description = "Set", body = MetadataBody),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`", body = ErrorBody),
        (status = 404, description = "`unknown_connection`", body = ErrorBody),
        (status = 413, description = "The body is larger than 64 KB", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        KeyErrors
    )
)]
#[post("/connection/metadata")]
pub(crate) async fn set_metadata(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    body: Body<MetadataBody>,
) -> Result<HttpResponse, ApiError> {
    change_metadata(&caller, &gateway, &body.0, MetadataChange::Replace).await?;
    Ok(HttpResponse::Created().json(body.0))
}

/// Adds notes: use `PATCH /connections/metadata`.
#[utoipa::path(
    operation_id = "merge_metadata_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = MetadataBody,
    responses(
        (status = 200, description = "Merged", body = MetadataBody),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`", body = ErrorBody),
        (status = 404, description = "`unknown_connection`", body = ErrorBody),
        (status = 413, description = "The body is larger than 64 KB", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        KeyErrors
    )
)]
#[patch("/connection/metadata")]
pub(crate) async fn merge_metadata(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    body: Body<MetadataBody>,
) -> Result<web::Json<MetadataBody>, ApiError> {
    change_metadata(&caller, &gateway, &body.0, MetadataChange::Merge).await?;
    Ok(web::Json(body.0))
}

/// The notes themselves.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Notes(Map<String, Json>);

async fn change_notes(
    caller: &gateway::Caller,
    gateway: &Gateway,
    name: String,
    query: &IntegrationQuery,
    notes: &Notes,
    how: MetadataChange,
) -> Result<(), ApiError> {
    let changed = gateway
        .connections()
        .set_metadata(caller, &query.provider_config_key, &[name], notes.0.clone(), how)
        .await;
    changed.map_err(ApiError::named)
}

/// Sets the notes of one connection: use `POST /connections/metadata`.
#[utoipa::path(
    operation_id = "set_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Notes,
    params(("connection_id" = String, Path, description = "What you call the connection"), IntegrationQuery),
    responses(
        (status = 201, description = "Set", body = Notes),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`", body = ErrorBody),
        (status = 404, description = "`unknown_connection`", body = ErrorBody),
        (status = 413, description = "The body is larger than 64 KB", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        KeyErrors
    )
)]
#[post("/connection/{connection_id:.*}/metadata")]
pub(crate) async fn set_notes(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
    body: QueryBody<Notes>,
) -> Result<HttpResponse, ApiError> {
    let how = MetadataChange::Replace;
    change_notes(&caller, &gateway, name.into_inner(), &query.0, &body.0, how).await?;
    Ok(HttpResponse::Created().json(body.0))
}

/// Adds notes to those of one connection: use `PATCH /connections/metadata`.
#[utoipa::path(
    operation_id = "merge_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Notes,
    params(("connection_id" = String, Path, description = "What you call the connection"), IntegrationQuery),
    responses(
        (status = 200, description = "Merged", body = Notes),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`", body = ErrorBody),
        (status = 404, description = "`unknown_connection`", body = ErrorBody),
        (status = 413, description = "The body is larger than 64 KB", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        KeyErrors
    )
)]
#[patch("/connection/{connection_id:.*}/metadata")]
pub(crate) async fn merge_notes(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
    body: QueryBody<Notes>,
) -> Result<web::Json<Notes>, ApiError> {
    let how = MetadataChange::Merge;
    change_notes(&caller, &gateway, name.into_inner(), &query.0, &body.0, how).await?;
    Ok(web::Json(body.0))
}
