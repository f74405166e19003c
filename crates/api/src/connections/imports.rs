//! `POST /connections`: imports a connection, whose fields have their stored names.

use actix_web::{HttpResponse, web};
use gateway::{EndUser, Gateway, Import};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::FullConnection;
use crate::body::Body;
use crate::caller::{Caller, scope};
use crate::error::ApiError;

/// Credentials as they are stored.
#[derive(ToSchema)]
#[serde(tag = "type")]
#[expect(dead_code, reason = "describes what the gateway reads")]
pub(super) enum GivenCredentials {
    /// One key
    #[serde(rename = "API_KEY")]
    ApiKey {
        #[serde(rename = "apiKey")]
        #[schema(example = "sk_live_0123456789abcdef")]
        api_key: String,
    },
    /// User name and password
    #[serde(rename = "BASIC")]
    Basic { username: String, password: String },
}

/// The connection to import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportBody {
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// Your name for the connection; a random UUID if left out. The name of an existing connection replaces its credentials and keeps its
    /// rows.
    #[schema(example = "my-acme")]
    connection_id: Option<String>,
    /// Credentials of the provider's type.
    #[schema(value_type = GivenCredentials)]
    credentials: Json,
    /// What else its requests need; not secret. What one of the provider's forms takes from the credentials may be left out.
    #[serde(default)]
    connection_config: Option<Map<String, Json>>,
    /// Your metadata.
    metadata: Option<Map<String, Json>>,
    /// Your user, who also becomes labels.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// Your labels: at most 10, names in lower case, values of 1 to 255 characters.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Where its events go instead of the environment's addresses.
    webhook_url_override: Option<String>,
}

impl From<ImportBody> for Import {
    fn from(body: ImportBody) -> Self {
        Self {
            integration: body.provider_config_key,
            name: body.connection_id,
            credentials: body.credentials,
            connection_config: body.connection_config.unwrap_or_default(),
            metadata: body.metadata,
            tags: body.tags,
            end_user: body.end_user,
            webhook_url_override: body.webhook_url_override,
        }
    }
}

/// Imports a connection: checks the credentials with the provider, encrypts them, and starts its syncs.
///
/// Nothing is stored unless the provider accepts the credentials. The response shows them to a key with the scope
/// `environment:connections:read_credentials`.
#[utoipa::path(
    post, path = "/connections", operation_id = "import_connection", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    request_body = ImportBody,
    responses(
        (status = 201, description = "Imported", body = FullConnection),
        (status = 400, description = "A field is wrong (`invalid_body`), or the provider refused the credentials (`connection_test_failed`) or no request can be made with them (`connection_validation_failed`)"),
        (status = 404, description = "`not_found`: the integration does not exist"),
        (status = 409, description = "`conflict`: the integration was changed while the credentials were checked")
    )
)]
pub(crate) async fn import(
    caller: Caller<scope::ConnectionsCreate>,
    gateway: web::Data<Gateway>,
    body: Body<ImportBody>,
) -> Result<HttpResponse, ApiError> {
    let imported = gateway.connections().import(&caller, body.0.into()).await;
    let imported = imported.map_err(ApiError::integration_not_found)?;
    Ok(HttpResponse::Created().json(FullConnection::made(imported)))
}
