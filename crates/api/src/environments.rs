//! Environments and their API keys.

use actix_web::{HttpResponse, web};
use gateway::{NewKeyRequest, api_keys, environments};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::query::{NoParameters, Query};
use crate::response::Success;

/// An environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Environment {
    /// Its name.
    #[schema(example = "dev")]
    name: String,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: String,
}

impl From<domain::Environment> for Environment {
    fn from(row: domain::Environment) -> Self {
        Self {
            name: row.name.to_string(),
            created_at: row.created_at.to_string(),
        }
    }
}

/// The environments, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnvironmentList {
    data: Vec<Environment>,
}

/// One environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnvironmentAnswer {
    data: Environment,
}

/// The environment to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEnvironment {
    /// Its name: lower-case letters, digits, `-` and `_`.
    #[schema(example = "staging", pattern = "^[a-z0-9_-]{1,64}$")]
    name: String,
}

/// An API key, without the key itself, which is never shown again.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKey {
    /// Its id.
    #[schema(example = "key_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    /// Your name for it.
    #[schema(example = "ci")]
    name: String,
    /// The first characters of the key, to tell keys apart.
    #[schema(example = "tl_dev_Ab3x")]
    prefix: String,
    /// What it may do.
    #[schema(example = json!(["environment:*"]))]
    scopes: Vec<String>,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: String,
    /// When it was last used, to the minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl From<domain::ApiKey> for ApiKey {
    fn from(row: domain::ApiKey) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            prefix: row.prefix,
            scopes: row.scopes,
            created_at: row.created_at.to_string(),
            last_used_at: row.last_used_at.map(|at| at.to_string()),
            revoked_at: row.revoked_at.map(|at| at.to_string()),
        }
    }
}

/// The keys of an environment, newest first, including revoked ones.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    data: Vec<ApiKey>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeApiKey {
    data: Secret,
}

/// A new key, shown this once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "id": "key_0198f0c8a2b37d5ea6a2d4c1b0f3e921", "secret": "tl_dev_…" }))]
struct Secret {
    /// Its id.
    id: String,
    /// The key, which is never shown again.
    secret: String,
}

/// Lists the environments.
#[utoipa::path(
    get, path = "/environments", operation_id = "list_environments", tag = "environments", security(("api_key" = ["account:environments:list"])),
    responses((status = 200, description = "The environments", body = EnvironmentList), InvalidQuery)
)]
pub(crate) async fn list(
    Authorized { gateway, .. }: Authorized<scope::EnvironmentsList>,
    _: Query<NoParameters>,
) -> Result<web::Json<EnvironmentList>, ApiError> {
    let listed = environments::list(&gateway).await?;
    let data = listed.into_iter().map(Environment::from).collect();
    Ok(web::Json(EnvironmentList { data }))
}

/// Creates an environment, empty and without a key.
#[utoipa::path(
    post, path = "/environments", operation_id = "create_environment", tag = "environments", security(("api_key" = ["account:environments:create"])),
    request_body = NewEnvironment,
    responses(
        (status = 201, description = "Created", body = EnvironmentAnswer),
        (status = 400, description = "`invalid_body`: the name is taken or not valid")
    )
)]
pub(crate) async fn create(
    Authorized { gateway, .. }: Authorized<scope::EnvironmentsCreate>,
    body: Body<NewEnvironment>,
) -> Result<HttpResponse, ApiError> {
    let data = environments::create(&gateway, &body.0.name).await?.into();
    Ok(HttpResponse::Created().json(EnvironmentAnswer { data }))
}

/// Deletes an environment with its integrations and keys; it must have no connections.
#[utoipa::path(
    delete, path = "/environments/{environment}", operation_id = "delete_environment", tag = "environments", security(("api_key" = ["account:environments:delete"])),
    params(("environment" = String, Path, description = "The environment's name", example = "staging")),
    responses(
        (status = 200, description = "Deleted", body = Success),
        InvalidQuery,
        NotFound,
        (status = 409, description = "`conflict`: it has connections, or your key is its own")
    )
)]
pub(crate) async fn delete(
    Authorized { gateway, caller, .. }: Authorized<scope::EnvironmentsDelete>,
    name: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<Success>, ApiError> {
    environments::delete(&gateway, Some(&caller), &name).await?;
    Ok(web::Json(Success::new()))
}

/// Lists the API keys of an environment, newest first; never the keys themselves.
#[utoipa::path(
    get, path = "/environments/{environment}/api-keys", operation_id = "list_api_keys", tag = "environments", security(("api_key" = ["account:environments:api_keys:list"])),
    responses((status = 200, description = "The keys", body = ApiKeyList), InvalidQuery, NotFound)
)]
pub(crate) async fn list_keys(
    Authorized { gateway, .. }: Authorized<scope::ApiKeysList>,
    name: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<ApiKeyList>, ApiError> {
    let environment = environments::find(&gateway, &name).await?;
    let listed = api_keys::list(&gateway, environment.id).await?;
    let data = listed.into_iter().map(ApiKey::from).collect();
    Ok(web::Json(ApiKeyList { data }))
}

/// Creates an API key of an environment, and shows it this once.
#[utoipa::path(
    post, path = "/environments/{environment}/api-keys", operation_id = "create_api_key", tag = "environments", security(("api_key" = ["account:environments:api_keys:create"])),
    request_body = NewKeyRequest,
    responses(
        (status = 201, description = "Created", body = MadeApiKey),
        (status = 400, description = "`invalid_body`: no such scope, or one that your own key lacks"),
        NotFound
    )
)]
pub(crate) async fn create_key(
    Authorized { gateway, caller, .. }: Authorized<scope::ApiKeysCreate>,
    name: web::Path<String>,
    body: Body<NewKeyRequest>,
) -> Result<HttpResponse, ApiError> {
    let environment = environments::find(&gateway, &name).await?;
    let made = api_keys::create(&gateway, Some(&caller), &environment, body.0).await?;
    let data = Secret {
        id: made.id.to_string(),
        secret: made.secret.expose_secret().to_owned(),
    };
    Ok(HttpResponse::Created().json(MadeApiKey { data }))
}

/// Revokes an API key at once and for ever.
#[utoipa::path(
    delete, path = "/environments/{environment}/api-keys/{key_id}", operation_id = "revoke_api_key", tag = "environments", security(("api_key" = ["account:environments:api_keys:delete"])),
    params(("key_id" = String, Path, description = "The key's id", example = "key_0198f0c8a2b37d5ea6a2d4c1b0f3e921")),
    responses((status = 200, description = "Deleted", body = Success), InvalidQuery, NotFound)
)]
pub(crate) async fn revoke_key(
    Authorized { gateway, .. }: Authorized<scope::ApiKeysDelete>,
    path: web::Path<(String, String)>,
    _: Query<NoParameters>,
) -> Result<web::Json<Success>, ApiError> {
    let (name, id) = path.into_inner();
    let environment = environments::find(&gateway, &name).await?;
    api_keys::revoke(&gateway, environment.id, &id).await?;
    Ok(web::Json(Success::new()))
}
