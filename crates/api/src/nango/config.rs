//! `GET /config/{unique_key}`: the former route of an integration.

use actix_web::web;
use gateway::integrations;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::query::Query;

/// What clients send: credentials belong to connections, and flows are the functions of an integration.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ignored {
    #[serde(rename = "include_creds")]
    #[param(ignore)]
    _include_creds: Option<IgnoredAny>,
    #[serde(rename = "include_flows")]
    #[param(ignore)]
    _include_flows: Option<IgnoredAny>,
}

/// An integration, in short.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShortIntegration {
    /// Your key for it.
    #[schema(example = "acme")]
    unique_key: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    /// Always empty: `GET /integrations/{unique_key}/functions` lists them.
    #[schema(example = json!([]))]
    syncs: Vec<String>,
    /// Always empty.
    #[schema(example = json!([]))]
    actions: Vec<String>,
}

/// An integration, in short.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigAnswer {
    config: ShortIntegration,
}

/// Shows an integration in short: use `GET /integrations/{unique_key}`.
#[utoipa::path(
    get, path = "/config/{unique_key}", operation_id = "get_config_deprecated", tags = ["integrations", "deprecated"],
    security(("api_key" = ["environment:integrations:read"])),
    responses(
        (status = 200, description = "The integration", body = ConfigAnswer),
        (status = 400, description = "`invalid_query_params`, or `unknown_provider_config` if it does not exist")
    )
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::IntegrationsRead>,
    key: web::Path<String>,
    _: Query<Ignored>,
) -> Result<web::Json<ConfigAnswer>, ApiError> {
    let found = integrations::find(&gateway, caller.environment, &key).await;
    let row = found.map_err(ApiError::integration_unknown)?.row;
    Ok(web::Json(ConfigAnswer {
        config: ShortIntegration {
            unique_key: row.key.to_string(),
            provider: row.provider.to_string(),
            syncs: Vec::new(),
            actions: Vec::new(),
        },
    }))
}
