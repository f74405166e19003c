//! `POST /{integration}/connect`: the same route for every provider.

pub(crate) mod forms;

use actix_web::{HttpResponse, web};
use domain::{Problem, SyncName};
use gateway::{ConnectRequest, Connected, connections};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;

/// A connection that was created or got new credentials.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectAnswer {
    success: bool,
    connection: ConnectionName,
    #[schema(example = "Acme connection created successfully")]
    message: String,
    /// What people must know according to the provider's file, such as that these credentials will expire. Left out if there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    /// The syncs that the key may not read; the connection is created in any case. Left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_syncs: Vec<UnreadableSync>,
}

/// A sync whose list the provider refuses to show to the key.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnreadableSync {
    #[schema(example = "acme-messages")]
    sync: String,
    /// What the provider said, and what to do.
    #[schema(
        example = "the key may not read acme-messages: Acme refused with HTTP 403: \"Missing scope\". At the provider, give the key permission to read this data, or connect again with a key that has it."
    )]
    message: String,
    /// The provider's code.
    code: Option<String>,
}

/// Returns syncs as responses show them.
pub(crate) fn unreadable(syncs: Vec<(SyncName, Problem)>) -> Vec<UnreadableSync> {
    let syncs = syncs.into_iter().map(|(sync, problem)| UnreadableSync {
        sync: sync.to_string(),
        message: problem.message,
        code: problem.code,
    });
    syncs.collect()
}

/// How other requests name a connection.
#[derive(Serialize, ToSchema)]
struct ConnectionName {
    #[schema(example = "my-acme")]
    id: String,
    #[schema(example = "acme")]
    provider_config_key: String,
}

impl From<Connected> for ConnectAnswer {
    fn from(connected: Connected) -> Self {
        let what = if connected.created { "created" } else { "updated" };
        Self {
            success: true,
            message: format!(
                "{} connection {what} successfully",
                connected.provider.display_name
            ),
            notice: connected.provider.notice.clone(),
            unreadable_syncs: unreadable(connected.unreadable),
            connection: ConnectionName {
                id: connected.connection.name.to_string(),
                provider_config_key: connected.connection.integration.to_string(),
            },
        }
    }
}

/// Connects an account: checks the credentials with the provider, encrypts them, and starts its syncs.
///
/// Nothing is stored unless the provider accepts the credentials. The same `connectionId` again replaces the credentials and keeps the
/// synced rows. The response names the syncs whose lists the provider refuses to show to the key.
#[utoipa::path(
    post, path = "/{integration}/connect", operation_id = "connect", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    request_body(content = ConnectRequest, example = json!({ "connectionId": "my-acme", "apiKey": "sk_live_0123456789abcdef" })),
    responses(
        (status = 201, description = "Connected", body = ConnectAnswer),
        (status = 400, description = "A field is wrong (`invalid_body`), the provider refused the credentials (`connection_test_failed`) or no request can be made with them (`connection_validation_failed`), or the body is one of an OAuth flow (`oauth_not_supported`)"),
        (status = 404, description = "`unknown_provider_config`"),
        (status = 409, description = "`conflict`: the integration was changed while the credentials were checked")
    )
)]
pub(crate) async fn connect(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsCreate>,
    integration: web::Path<String>,
    body: Body<ConnectRequest>,
) -> Result<HttpResponse, ApiError> {
    let connected = connections::connect(&gateway, &caller, &integration, body.0).await?;
    Ok(HttpResponse::Created().json(ConnectAnswer::from(connected)))
}
