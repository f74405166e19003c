//! Names that routes of connections bore in Nango before, for clients that still use them.
//!
//! The tag `deprecated` marks an operation as such in the document.

use actix_web::{HttpResponse, web};
use gateway::{Gateway, MetadataChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::body::{Body, QueryBody};
use crate::caller::{Caller, scope};
use crate::connections::update::{MetadataBody, change_metadata};
use crate::connections::{
    ConnectionList, FullConnection, IntegrationQuery, ListQuery, ShowQuery, deleted, listed, shown,
};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::query::Query;
use crate::response::Success;

/// Lists connections: use `GET /connections`.
#[utoipa::path(
    get, path = "/connection", operation_id = "list_connections_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:list"])), params(ListQuery),
    responses((status = 200, description = "The connections", body = ConnectionList), InvalidQuery)
)]
pub(crate) async fn list(
    caller: Caller<scope::ConnectionsList>,
    gateway: web::Data<Gateway>,
    query: Query<ListQuery>,
) -> Result<web::Json<ConnectionList>, ApiError> {
    listed(&caller, &gateway, query.0).await
}

/// Shows a connection: use `GET /connections/{connection_id}`.
#[utoipa::path(
    get, path = "/connection/{connection_id}", operation_id = "get_connection_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:read"])),
    params(ShowQuery),
    responses(
        (status = 200, description = "The connection", body = FullConnection),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, `invalid_credentials` if the provider refuses them when tried, or `connection_validation_failed` if it cannot be called with what is stored"),
        NotFound
    )
)]
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
    delete, path = "/connection/{connection_id}", operation_id = "delete_connection_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:delete"])),
    params(IntegrationQuery),
    responses(
        (status = 200, description = "Done", body = Success),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, or `unknown_connection` if it is not there")
    )
)]
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
    post, path = "/connection/metadata", operation_id = "set_metadata_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = MetadataBody,
    responses(
        (status = 201, description = "Set", body = MetadataBody),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
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
    patch, path = "/connection/metadata", operation_id = "merge_metadata_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = MetadataBody,
    responses(
        (status = 200, description = "Merged", body = MetadataBody),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
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
    post, path = "/connection/{connection_id}/metadata", operation_id = "set_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Notes,
    params(IntegrationQuery),
    responses(
        (status = 201, description = "Set", body = Notes),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
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
    patch, path = "/connection/{connection_id}/metadata", operation_id = "merge_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Notes,
    params(IntegrationQuery),
    responses(
        (status = 200, description = "Merged", body = Notes),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
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
