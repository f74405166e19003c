//! `POST /integrations/quickstart`: refused, since it creates an integration with an OAuth app of Nango's.

use actix_web::web;

use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::integrations::IntegrationAnswer;

/// Always fails: a quick start uses an OAuth app of Nango's, and OAuth is not supported.
#[utoipa::path(
    post, path = "/integrations/quickstart", operation_id = "create_quickstart_integration", tag = "integrations", security(("api_key" = ["environment:integrations:create"])),
    responses((status = 400, description = "Always: `invalid_body`"))
)]
pub(crate) async fn quickstart(
    _: Authorized<scope::IntegrationsCreate>,
) -> Result<web::Json<IntegrationAnswer>, ApiError> {
    Err(ApiError::invalid_body(
        "provider",
        "cannot be created this way: a quick start uses an OAuth app, and OAuth is not supported; use POST /integrations",
    ))
}
