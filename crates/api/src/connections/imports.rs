//! `POST /connections`: imports a connection, whose fields have their stored names.

use actix_web::{HttpResponse, web};
use gateway::{Import, connections};

use super::FullConnection;
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;

/// Imports a connection: checks the credentials with the provider, encrypts them, and starts its syncs.
///
/// Nothing is stored unless the provider accepts the credentials. The response shows them to a key with the scope
/// `environment:connections:read_credentials`.
#[utoipa::path(
    post, path = "/connections", operation_id = "import_connection", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    request_body = Import,
    responses(
        (status = 201, description = "Imported", body = FullConnection),
        (status = 400, description = "A field is wrong (`invalid_body`), or the provider refused the credentials (`connection_test_failed`) or no request can be made with them (`connection_validation_failed`)"),
        (status = 404, description = "`not_found`: the integration does not exist"),
        (status = 409, description = "`conflict`: the integration was changed while the credentials were checked")
    )
)]
pub(crate) async fn import(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsCreate>,
    body: Body<Import>,
) -> Result<HttpResponse, ApiError> {
    let imported = connections::import(&gateway, &caller, body.0).await;
    let imported = imported.map_err(ApiError::integration_not_found)?;
    Ok(HttpResponse::Created().json(FullConnection::made(imported)))
}
