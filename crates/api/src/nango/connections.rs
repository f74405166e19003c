//! Former routes for the metadata of one connection.
//!
//! The tag `deprecated` marks an operation as deprecated in the document.

use actix_web::{HttpResponse, web};
use gateway::{Gateway, MetadataChange, connections};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Caller, scope};
use crate::connections::IntegrationQuery;
use crate::error::ApiError;

/// The metadata itself.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Metadata(Map<String, Json>);

async fn change(
    caller: &gateway::Caller,
    gateway: &Gateway,
    name: String,
    query: &IntegrationQuery,
    metadata: &Metadata,
    how: MetadataChange,
) -> Result<(), ApiError> {
    let changed = connections::set_metadata(
        gateway,
        caller,
        &query.provider_config_key,
        &[name],
        metadata.0.clone(),
        how,
    )
    .await;
    changed.map_err(ApiError::integration_unknown)
}

/// Replaces the metadata of one connection: use `POST /connections/metadata`.
#[utoipa::path(
    post, path = "/connection/{connection_id}/metadata", operation_id = "set_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Metadata,
    params(IntegrationQuery),
    responses(
        (status = 201, description = "Replaced", body = Metadata),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
pub(crate) async fn set_metadata(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    Body(metadata, query): Body<Metadata, IntegrationQuery>,
) -> Result<HttpResponse, ApiError> {
    let how = MetadataChange::Replace;
    change(&caller, &gateway, name.into_inner(), &query, &metadata, how).await?;
    Ok(HttpResponse::Created().json(metadata))
}

/// Adds fields to the metadata of one connection: use `PATCH /connections/metadata`.
#[utoipa::path(
    patch, path = "/connection/{connection_id}/metadata", operation_id = "merge_metadata_of_one_deprecated", tags = ["connections", "deprecated"],
    security(("api_key" = ["environment:connections:update"])), request_body = Metadata,
    params(IntegrationQuery),
    responses(
        (status = 200, description = "Merged", body = Metadata),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `invalid_json` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`")
    )
)]
pub(crate) async fn merge_metadata(
    caller: Caller<scope::ConnectionsUpdate>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    Body(metadata, query): Body<Metadata, IntegrationQuery>,
) -> Result<web::Json<Metadata>, ApiError> {
    let how = MetadataChange::Merge;
    change(&caller, &gateway, name.into_inner(), &query, &metadata, how).await?;
    Ok(web::Json(metadata))
}
