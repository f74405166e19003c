//! `POST /{integration}/verify`: checks the stored credentials with the provider; the same route for every provider.

use actix_web::web;
use domain::ConnectionName;
use gateway::{Names, connections};
use registry::Provider;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;

/// The connection to verify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    /// The connection.
    #[serde(rename = "connectionId", alias = "connection_id")]
    #[schema(value_type = String, example = "my-acme")]
    connection: ConnectionName,
}

/// The provider accepts the credentials.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerifyAnswer {
    success: bool,
    /// Whether they were checked: a provider without a verification request accepts any.
    verified: bool,
    #[schema(example = "Acme accepts the stored credentials.")]
    message: String,
}

impl VerifyAnswer {
    /// The response for a connection of the provider.
    fn new(provider: &Provider) -> Self {
        let (display_name, verified) = (&provider.display_name, provider.verification.is_some());
        Self {
            success: true,
            verified,
            message: if verified {
                format!("{display_name} accepts the stored credentials.")
            } else {
                format!("{display_name} has no request by which credentials can be checked.")
            },
        }
    }
}

/// Checks the stored credentials of a connection with its provider now.
///
/// The result is stored on the connection, as when a sync finds it.
#[utoipa::path(
    post, path = "/{integration}/verify", operation_id = "verify_connection", tag = "connections", security(("api_key" = ["environment:connections:read"])),
    request_body = VerifyBody,
    responses(
        (status = 200, description = "The provider accepts them", body = VerifyAnswer),
        (status = 400, description = "The provider refuses them (`invalid_credentials`), no request can be made with what is stored (`connection_validation_failed`), or a field is wrong (`invalid_body`)"),
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`")
    )
)]
pub(crate) async fn verify(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsRead>,
    integration: web::Path<String>,
    body: Body<VerifyBody>,
) -> Result<web::Json<VerifyAnswer>, ApiError> {
    let names = Names::of(&caller, &integration, body.0.connection.as_str());
    let provider = connections::verify(&gateway, names).await?;
    Ok(web::Json(VerifyAnswer::new(&provider)))
}
