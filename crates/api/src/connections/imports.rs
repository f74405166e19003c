//! `POST /connections`: connections imported by their stored names.

use actix_web::{HttpResponse, web};
use gateway::{Gateway, Import};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::{EndUser, FullConnection};
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

/// A connection to import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportBody {
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// What you call the connection; a random UUID if left out. The name of one that is there replaces its credentials and keeps
    /// its rows.
    #[schema(example = "my-acme")]
    connection_id: Option<String>,
    /// Of the provider's type.
    #[schema(value_type = GivenCredentials)]
    credentials: Json,
    /// What else its calls must know; not secret. What one of the provider's forms takes from the credentials may be left out.
    #[serde(default)]
    connection_config: Option<Map<String, Json>>,
    /// Your own notes.
    metadata: Option<Map<String, Json>>,
    /// Your user; also becomes labels.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// Your labels: at most 10, names in lower case, values of 1 to 255 characters.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Where its events go in place of the environment's addresses.
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

/// Imports a connection: tries the credentials at the provider, seals them, and starts its syncs.
///
/// Nothing is stored unless the provider takes the credentials. The answer shows them to a key with the scope
/// `environment:connections:read_credentials`.
#[utoipa::path(
    post, path = "/connections", operation_id = "import_connection", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    request_body = ImportBody,
    responses(
        (status = 201, description = "Imported", body = FullConnection),
        (status = 400, description = "A field is wrong (`invalid_body`), or the provider refused the credentials (`connection_test_failed`) or cannot be called with what was given (`connection_validation_failed`)"),
        (status = 404, description = "`not_found`: there is no such integration"),
        (status = 409, description = "`conflict`: the integration was changed while the credentials were tried")
    )
)]
pub(crate) async fn import(
    caller: Caller<scope::ConnectionsCreate>,
    gateway: web::Data<Gateway>,
    body: Body<ImportBody>,
) -> Result<HttpResponse, ApiError> {
    let imported = gateway.connections().import(&caller, body.0.into()).await;
    let imported = imported.map_err(ApiError::integration)?;
    Ok(HttpResponse::Created().json(FullConnection::made(imported)))
}
