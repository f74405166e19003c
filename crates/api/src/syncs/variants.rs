//! Variants of syncs: create and delete.

use actix_web::web;
use domain::{ConnectionName, IntegrationKey, SyncName, Variant};
use gateway::{Caller, Names, syncs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::response::Success;

/// The connection that has the variant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariantBody {
    /// The integration's key.
    #[schema(value_type = String, example = "acme")]
    provider_config_key: IntegrationKey,
    /// The connection.
    #[schema(value_type = String, example = "my-acme")]
    connection_id: ConnectionName,
}

impl VariantBody {
    fn names(&self, caller: &Caller) -> Names<'_> {
        Names::of(
            caller,
            self.provider_config_key.as_str(),
            self.connection_id.as_str(),
        )
    }
}

/// A new variant.
#[derive(Serialize, ToSchema)]
pub(crate) struct VariantAnswer {
    /// Its number, as in `GET /sync/status`.
    #[schema(example = "2")]
    id: String,
    #[schema(example = "acme-messages")]
    name: String,
    #[schema(example = "eu")]
    variant: String,
}

/// Creates a variant of a connection's sync.
///
/// A variant reads the same list with its own name for the placeholder `${variant}` of the provider's file. It has its own schedule, runs,
/// checkpoint and records. A sync may have 100 variants besides the base.
#[utoipa::path(
    post, path = "/sync/{name}/variant/{variant}", operation_id = "create_variant", tag = "syncs", security(("api_key" = ["environment:syncs:variant:create"])),
    params(
        ("name" = String, Path, description = "The sync", example = "acme-messages"),
        ("variant" = String, Path, description = "Your name for the variant: letters, digits, _ and -", example = "eu"),
    ),
    request_body = VariantBody,
    responses(
        (status = 200, description = "The variant", body = VariantAnswer),
        (status = 400, description = "`invalid_variant` for base, `sync_variant_already_exists`, `resource_capped`, `invalid_body`, `invalid_uri_params`, `unknown_sync`, `unknown_connection` or `unknown_provider_config`")
    )
)]
pub(crate) async fn create(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsVariantCreate>,
    path: web::Path<(SyncName, Variant)>,
    body: Body<VariantBody>,
) -> Result<web::Json<VariantAnswer>, ApiError> {
    let made = syncs::create_variant(&gateway, body.0.names(&caller), &path.0, &path.1).await;
    let made = made.map_err(ApiError::connection_unknown)?;
    Ok(web::Json(VariantAnswer {
        id: made.id.to_string(),
        name: made.name.to_string(),
        variant: made.variant.to_string(),
    }))
}

/// Deletes a variant of a connection's sync with its runs and its records.
#[utoipa::path(
    delete, path = "/sync/{name}/variant/{variant}", operation_id = "delete_variant", tag = "syncs", security(("api_key" = ["environment:syncs:variant:delete"])),
    params(
        ("name" = String, Path, description = "The sync", example = "acme-messages"),
        ("variant" = String, Path, description = "The variant", example = "eu"),
    ),
    request_body = VariantBody,
    responses(
        (status = 200, description = "Deleted", body = Success),
        (status = 400, description = "`invalid_variant` for base, `invalid_body`, `invalid_uri_params`, `unknown_connection` or `unknown_provider_config`"),
        (status = 404, description = "`not_found` if the variant does not exist")
    )
)]
pub(crate) async fn delete(
    Authorized { gateway, caller, .. }: Authorized<scope::SyncsVariantDelete>,
    path: web::Path<(SyncName, Variant)>,
    body: Body<VariantBody>,
) -> Result<web::Json<Success>, ApiError> {
    let deleted = syncs::delete_variant(&gateway, body.0.names(&caller), &path.0, &path.1).await;
    deleted.map_err(ApiError::connection_unknown)?;
    Ok(web::Json(Success::new()))
}
