//! Connections: list, get, import, change, delete. The shapes are those of Nango's public API.

pub(crate) mod update;
mod view;

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use domain::{ConnectionFilter, ConnectionName, IntegrationKey};
use gateway::{Import, Names, ShowCredentials, connections};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::IntoParams;

use self::view::{ConnectionList, FullConnection, with_offset};
use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::parameters::{Bounded, comma_separated};
use crate::query::Query;
use crate::response::Success;

/// Connections of a page if the caller names no number, as in Nango. It is more than the caller may name.
const DEFAULT_LIMIT: i64 = 10_000;

/// Which connections to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The name of the connection.
    #[serde(rename = "connectionId")]
    #[param(value_type = Option<String>, example = "my-acme")]
    name: Option<ConnectionName>,
    /// Text that the name, or the user's id, e-mail or display name, contains.
    search: Option<String>,
    /// The id of the user.
    #[serde(rename = "endUserId")]
    end_user_id: Option<String>,
    /// The id of the user's organization.
    #[serde(rename = "endUserOrganizationId")]
    organization_id: Option<String>,
    /// Keys of integrations, separated by commas.
    #[serde(default, rename = "integrationId", deserialize_with = "comma_separated")]
    #[param(value_type = Option<String>, example = "acme")]
    integrations: Vec<IntegrationKey>,
    /// A label: `tags[plan]=pro`; may be given several times.
    #[serde(default)]
    #[param(value_type = Option<BTreeMap<String, String>>, style = DeepObject, explode)]
    tags: BTreeMap<String, String>,
    /// The most connections to return; 10000 if left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 2000)]
    limit: Option<Bounded<1, 2_000>>,
    /// Pages of `limit` to skip, from 0.
    #[param(value_type = Option<i64>, minimum = 0)]
    page: Option<Bounded<0, { i64::MAX / DEFAULT_LIMIT }>>,
}

impl ListQuery {
    fn filter(self) -> ConnectionFilter {
        ConnectionFilter {
            name: self.name,
            search: self.search,
            integrations: self.integrations,
            tags: self
                .tags
                .into_iter()
                .map(|(tag, value)| (tag.to_ascii_lowercase(), value))
                .collect(),
            end_user_id: self.end_user_id,
            organization_id: self.organization_id,
            limit: self.limit.map_or(DEFAULT_LIMIT, |limit| limit.0),
            page: self.page.map_or(0, |page| page.0),
        }
    }
}

/// The integration of the connection.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IntegrationQuery {
    /// The integration's key.
    #[param(example = "acme")]
    pub(crate) provider_config_key: String,
}

/// The integration of the connection, and whether to check its credentials.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowQuery {
    /// The integration's key.
    #[param(example = "acme")]
    provider_config_key: String,
    /// Whether to check the credentials with the provider now.
    force_refresh: Option<bool>,
    /// Whether the credentials are required: a key that may not see them is refused.
    refresh_token: Option<bool>,
    /// Nango's SDKs send it; it means nothing here.
    #[serde(rename = "refresh_github_app_jwt_token")]
    #[param(ignore)]
    _refresh_github_app_jwt_token: Option<IgnoredAny>,
}

impl ShowQuery {
    fn credentials(&self) -> ShowCredentials {
        match (self.force_refresh, self.refresh_token) {
            (Some(true), _) => ShowCredentials::Verified,
            (_, Some(true)) => ShowCredentials::Required,
            _ => ShowCredentials::IfAllowed,
        }
    }
}

/// Lists the connections of the environment, newest first.
#[utoipa::path(
    get, path = "/connections", operation_id = "list_connections", tag = "connections", security(("api_key" = ["environment:connections:list"])),
    params(ListQuery),
    responses((status = 200, description = "The connections", body = ConnectionList), InvalidQuery)
)]
pub(crate) async fn list(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsList>,
    query: Query<ListQuery>,
) -> Result<web::Json<ConnectionList>, ApiError> {
    let rows = connections::list(&gateway, &caller, query.0.filter()).await?;
    Ok(web::Json(rows.into()))
}

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
    Ok(HttpResponse::Created().json(FullConnection::new(imported, |time| time.to_string())))
}

/// Shows a connection, and to a key with the scope `environment:connections:read_credentials` its credentials.
///
/// With `force_refresh=true` the credentials are checked with the provider first, and the result is stored on the connection. Slashes and
/// spaces of the name may be percent-encoded or not.
#[utoipa::path(
    get, path = "/connections/{connection_id}", operation_id = "get_connection", tag = "connections", security(("api_key" = ["environment:connections:read"])),
    params(ShowQuery),
    responses(
        (status = 200, description = "The connection", body = FullConnection),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, `invalid_credentials` if the provider refuses them, or `connection_validation_failed` if no request can be made with what is stored"),
        NotFound
    )
)]
pub(crate) async fn get(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsRead>,
    name: web::Path<String>,
    query: Query<ShowQuery>,
) -> Result<web::Json<FullConnection>, ApiError> {
    let query = query.0;
    let names = Names::of(&caller, &query.provider_config_key, &name);
    let found = connections::show(&gateway, &caller, names, query.credentials()).await;
    let found = found.map_err(ApiError::connection_not_found)?;
    Ok(web::Json(FullConnection::new(found, with_offset)))
}

/// Deletes a connection, its credentials, its syncs and its synced rows.
#[utoipa::path(
    delete, path = "/connections/{connection_id}", operation_id = "delete_connection", tag = "connections", security(("api_key" = ["environment:connections:delete"])),
    params(IntegrationQuery),
    responses(
        (status = 200, description = "Deleted", body = Success),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, or `unknown_connection` if it does not exist")
    )
)]
pub(crate) async fn delete(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsDelete>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
) -> Result<web::Json<Success>, ApiError> {
    let names = Names::of(&caller, &query.0.provider_config_key, &name);
    let deleted = connections::delete(&gateway, names).await;
    deleted.map_err(ApiError::connection_unknown)?;
    Ok(web::Json(Success::new()))
}
