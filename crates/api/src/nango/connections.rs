//! Former routes for the metadata of one connection.
//!
//! The tag `deprecated` marks an operation as deprecated in the document.

use actix_web::{HttpResponse, web};
use gateway::MetadataChange;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::connections::IntegrationQuery;
use crate::connections::update::MetadataBody;
use crate::error::ApiError;

/// The metadata itself.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Metadata(Map<String, Json>);

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
    authorized: Authorized<scope::ConnectionsUpdate>,
    name: web::Path<String>,
    Body(metadata, query): Body<Metadata, IntegrationQuery>,
) -> Result<HttpResponse, ApiError> {
    let change = MetadataBody::of_one(name.into_inner(), query, metadata.0);
    let sent = change.apply(authorized, MetadataChange::Replace).await?;
    Ok(HttpResponse::Created().json(sent.metadata))
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
    authorized: Authorized<scope::ConnectionsUpdate>,
    name: web::Path<String>,
    Body(metadata, query): Body<Metadata, IntegrationQuery>,
) -> Result<web::Json<Metadata>, ApiError> {
    let change = MetadataBody::of_one(name.into_inner(), query, metadata.0);
    let sent = change.apply(authorized, MetadataChange::Merge).await?;
    Ok(web::Json(Metadata(sent.metadata)))
}
