//! Changes of connections: labels, metadata, credentials.

use actix_web::{HttpResponse, web};
use gateway::{ConnectionPatch, MetadataChange, Names, connections};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::IntegrationQuery;
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::connect::{UnreadableSync, unreadable};
use crate::error::{ApiError, NotFound};

/// The result of a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PatchAnswer {
    success: bool,
    /// The syncs that the new key may not read. Left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_syncs: Vec<UnreadableSync>,
}

/// Changes a connection. New `credentials` are checked before they replace the old ones.
#[utoipa::path(
    patch, path = "/connections/{connection_id}", operation_id = "patch_connection", tag = "connections", security(("api_key" = ["environment:connections:update"])),
    params(IntegrationQuery),
    request_body = ConnectionPatch,
    responses(
        (status = 200, description = "Changed", body = PatchAnswer),
        (status = 400, description = "`invalid_query_params`, `invalid_body`, `unknown_provider_config`, `connection_test_failed` if the provider refused the credentials, or `connection_validation_failed` if no request can be made with them"),
        NotFound,
        (status = 409, description = "`conflict`: the credentials were replaced while the new ones were checked")
    )
)]
pub(crate) async fn patch(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsUpdate>,
    name: web::Path<String>,
    Body(patch, query): Body<ConnectionPatch, IntegrationQuery>,
) -> Result<web::Json<PatchAnswer>, ApiError> {
    let names = Names::of(&caller, &query.provider_config_key, &name);
    let patched = connections::patch(&gateway, &caller, names, patch).await;
    Ok(web::Json(PatchAnswer {
        success: true,
        unreadable_syncs: unreadable(patched.map_err(ApiError::connection_not_found)?),
    }))
}

/// One connection or several.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "must be the name of a connection, or a list of names")]
#[schema(as = Names, example = "my-acme")]
enum ConnectionNames {
    /// One
    One(String),
    /// Several
    Many(Vec<String>),
}

/// Metadata of connections.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataBody {
    /// Your name for the connection, or several names; if one does not exist, none is changed.
    connection_id: ConnectionNames,
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// Your metadata.
    pub(crate) metadata: Map<String, Json>,
}

impl MetadataBody {
    /// Makes the body that changes one connection, for the former route.
    pub(crate) fn of_one(name: String, query: IntegrationQuery, metadata: Map<String, Json>) -> Self {
        Self {
            connection_id: ConnectionNames::One(name),
            provider_config_key: query.provider_config_key,
            metadata,
        }
    }

    /// Changes the metadata of the connections; returns what was sent.
    pub(crate) async fn apply(
        self,
        Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsUpdate>,
        how: MetadataChange,
    ) -> Result<Self, ApiError> {
        let names = match &self.connection_id {
            ConnectionNames::One(name) => std::slice::from_ref(name),
            ConnectionNames::Many(names) => names,
        };
        let (integration, metadata) = (&self.provider_config_key, self.metadata.clone());
        let changed = connections::set_metadata(&gateway, &caller, integration, names, metadata, how).await;
        changed.map_err(ApiError::integration_unknown)?;
        Ok(self)
    }
}

/// Replaces the metadata of one or several connections. The response is what was sent.
#[utoipa::path(
    post, path = "/connections/metadata", operation_id = "set_metadata", tag = "connections", security(("api_key" = ["environment:connections:update"])),
    request_body = MetadataBody,
    responses(
        (status = 201, description = "Replaced", body = MetadataBody),
        (status = 400, description = "`invalid_body` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`: one does not exist, and none was changed")
    )
)]
pub(crate) async fn set_metadata(
    authorized: Authorized<scope::ConnectionsUpdate>,
    body: Body<MetadataBody>,
) -> Result<HttpResponse, ApiError> {
    let sent = body.0.apply(authorized, MetadataChange::Replace).await?;
    Ok(HttpResponse::Created().json(sent))
}

/// Adds fields to the metadata of one or several connections. The response is what was sent.
#[utoipa::path(
    patch, path = "/connections/metadata", operation_id = "merge_metadata", tag = "connections", security(("api_key" = ["environment:connections:update"])),
    request_body = MetadataBody,
    responses(
        (status = 200, description = "Merged", body = MetadataBody),
        (status = 400, description = "`invalid_body` or `unknown_provider_config`"),
        (status = 404, description = "`unknown_connection`: one does not exist, and none was changed")
    )
)]
pub(crate) async fn merge_metadata(
    authorized: Authorized<scope::ConnectionsUpdate>,
    body: Body<MetadataBody>,
) -> Result<web::Json<MetadataBody>, ApiError> {
    let sent = body.0.apply(authorized, MetadataChange::Merge).await?;
    Ok(web::Json(sent))
}
