//! Connections: listed, shown, deleted; the shapes are those of Nango's public API.

use std::collections::BTreeMap;

use actix_web::{delete, get, web};
use domain::{ConnectionName, IntegrationKey, Timestamp};
use gateway::Gateway;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::connections::{ConnectionFilter, ConnectionRow};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Caller, scope};
use crate::error::{ApiError, ErrorBody, KeyErrors};
use crate::query::{FromParameters, Parameters, Query};

/// Connections of a list that names no limit, and the most that one may name: as Nango has it.
const DEFAULT_LIMIT: i64 = 10_000;
const MAX_LIMIT: i64 = 2_000;

/// Which connections to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Of this name exactly.
    #[param(rename = "connectionId", value_type = Option<String>, example = "my-acme")]
    name: Option<ConnectionName>,
    /// Whose name, or whose user's id, e-mail or display name, holds this text.
    search: Option<String>,
    /// Of the user with this id.
    #[param(rename = "endUserId")]
    end_user_id: Option<String>,
    /// Of users of the organization with this id.
    #[param(rename = "endUserOrganizationId")]
    organization_id: Option<String>,
    /// Of these integrations, with commas between.
    #[param(rename = "integrationId", value_type = Option<String>, example = "acme")]
    integrations: Vec<IntegrationKey>,
    /// With this label: `tags[plan]=pro`; may be given several times.
    #[param(value_type = Option<BTreeMap<String, String>>, style = DeepObject, explode)]
    tags: Vec<(String, String)>,
    /// At most so many; 10000 if left out.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<i64>,
    /// Pages of `limit` to skip, from 0.
    #[param(minimum = 0)]
    page: Option<i64>,
}

impl FromParameters for ListQuery {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            name: parameters.parsed("connectionId"),
            search: parameters.text("search"),
            end_user_id: parameters.text("endUserId"),
            organization_id: parameters.text("endUserOrganizationId"),
            integrations: parameters.list("integrationId"),
            tags: parameters.keyed("tags"),
            limit: parameters.number("limit", 1..=MAX_LIMIT),
            page: parameters.number("page", 0..=i64::MAX / DEFAULT_LIMIT),
        }
    }
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
            limit: self.limit.unwrap_or(DEFAULT_LIMIT),
            page: self.page.unwrap_or(0),
        }
    }
}

/// A list of connections, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionList {
    connections: Vec<ListedConnection>,
}

/// A connection as a list shows it.
#[derive(Serialize, ToSchema)]
struct ListedConnection {
    #[serde(flatten)]
    shared: SharedFields,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created: String,
}

/// A connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullConnection {
    #[serde(flatten)]
    shared: SharedFields,
    /// What else its calls must know; not secret.
    connection_config: Map<String, Json>,
    webhook_url_override: Option<String>,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00+00:00")]
    created_at: String,
    /// When it was last connected.
    #[schema(format = DateTime, example = "2026-11-21T10:00:00+00:00")]
    updated_at: String,
    /// When its credentials were last handed out.
    #[schema(format = DateTime)]
    last_fetched_at: Option<String>,
    /// Always empty: no route shows a secret.
    credentials: Map<String, Json>,
}

/// What every view of a connection has.
#[derive(Serialize, ToSchema)]
struct SharedFields {
    /// Its number.
    id: i64,
    /// What you call it.
    #[schema(example = "my-acme")]
    connection_id: String,
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    /// What is wrong with it; empty if nothing is.
    errors: Vec<ConnectionError>,
    /// Your user, if one was given.
    #[schema(value_type = Option<Object>)]
    end_user: Option<Json>,
    /// Your labels.
    tags: BTreeMap<String, String>,
    /// Your own notes.
    metadata: Option<Map<String, Json>>,
}

/// Something that is wrong with a connection.
#[derive(Serialize, ToSchema)]
struct ConnectionError {
    /// The kind: `auth` if the provider no longer takes the credentials.
    #[schema(example = "auth")]
    r#type: String,
    /// Names this occurrence.
    log_id: String,
    /// What is wrong and what to do.
    message: String,
    /// The provider's code.
    code: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    at: String,
}

impl From<ConnectionRow> for SharedFields {
    fn from(row: ConnectionRow) -> Self {
        let id = row.id.raw();
        let error = row.problem.map(|problem| ConnectionError {
            log_id: format!("{id}-{}", problem.at.as_micros()),
            r#type: problem.kind,
            message: problem.message,
            code: problem.code,
            at: problem.at.to_string(),
        });
        Self {
            id,
            connection_id: row.name.to_string(),
            provider_config_key: row.integration.to_string(),
            provider: row.provider.to_string(),
            errors: error.into_iter().collect(),
            end_user: row.end_user,
            tags: row.tags,
            metadata: row.metadata,
        }
    }
}

impl From<ConnectionRow> for ListedConnection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            created: row.created_at.to_string(),
            shared: row.into(),
        }
    }
}

impl From<ConnectionRow> for FullConnection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            connection_config: row.connection_config.clone(),
            webhook_url_override: None,
            created_at: offset(row.created_at),
            updated_at: offset(row.updated_at),
            last_fetched_at: row.last_fetched_at.map(offset),
            credentials: Map::new(),
            shared: row.into(),
        }
    }
}

/// The time with `+00:00` at its end, as Nango writes it in this one place.
fn offset(time: Timestamp) -> String {
    let text = time.to_string();
    text.strip_suffix('Z')
        .map_or_else(|| text.clone(), |bare| format!("{bare}+00:00"))
}

/// Which integration's connection is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IntegrationQuery {
    /// The integration's key.
    #[param(example = "acme")]
    provider_config_key: String,
}

impl FromParameters for IntegrationQuery {
    fn read(parameters: &mut Parameters) -> Self {
        parameters.ignore(&["force_refresh", "refresh_token", "refresh_github_app_jwt_token"]);
        Self {
            provider_config_key: parameters.required("provider_config_key", "the integration's key"),
        }
    }
}

/// Done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Success {
    success: bool,
}

impl Success {
    pub(crate) fn new() -> Self {
        Self { success: true }
    }
}

/// Lists the connections of the key's environment, newest first.
#[utoipa::path(
    operation_id = "list_connections", tag = "connections", security(("api_key" = ["environment:connections:list"])),
    params(ListQuery),
    responses(
        (status = 200, description = "The connections", body = ConnectionList),
        (status = 400, description = "`invalid_query_params`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/connections")]
pub(crate) async fn list(
    caller: Caller<scope::ConnectionsList>,
    gateway: web::Data<Gateway>,
    query: Query<ListQuery>,
) -> Result<web::Json<ConnectionList>, ApiError> {
    let organization = query.0.organization_id.clone();
    let listed = gateway.connections().list(&caller, query.0.filter()).await?;
    let of_organization = |row: &ConnectionRow| {
        let id = row
            .end_user
            .as_ref()
            .and_then(|user| user.pointer("/organization/id"))
            .and_then(Json::as_str);
        organization.is_none() || id == organization.as_deref()
    };
    let connections = listed
        .connections
        .into_iter()
        .filter(of_organization)
        .map(ListedConnection::from)
        .collect();
    Ok(web::Json(ConnectionList { connections }))
}

/// Shows one connection; never its credentials.
///
/// The name may be written with its slashes and spaces as they are or percent-encoded.
#[utoipa::path(
    operation_id = "get_connection", tag = "connections", security(("api_key" = ["environment:connections:read"])),
    params(("connection_id" = String, Path, description = "What you call the connection", example = "my-acme"), IntegrationQuery),
    responses(
        (status = 200, description = "The connection", body = FullConnection),
        (status = 400, description = "`invalid_query_params` or `unknown_provider_config`", body = ErrorBody),
        (status = 404, description = "`not_found`", body = ErrorBody),
        KeyErrors
    )
)]
#[get("/connections/{connection_id:.*}")]
pub(crate) async fn get(
    caller: Caller<scope::ConnectionsRead>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
) -> Result<web::Json<FullConnection>, ApiError> {
    let found = gateway
        .connections()
        .find(&caller, &query.0.provider_config_key, &name)
        .await;
    Ok(web::Json(found.map_err(ApiError::looking)?.into()))
}

/// Deletes a connection, its credentials, its syncs and its synced rows.
#[utoipa::path(
    operation_id = "delete_connection", tag = "connections", security(("api_key" = ["environment:connections:delete"])),
    params(("connection_id" = String, Path, description = "What you call the connection", example = "my-acme"), IntegrationQuery),
    responses(
        (status = 200, description = "Done", body = Success),
        (status = 400, description = "`invalid_query_params`, `unknown_provider_config`, or `unknown_connection` if it is not there", body = ErrorBody),
        KeyErrors
    )
)]
#[delete("/connections/{connection_id:.*}")]
pub(crate) async fn delete(
    caller: Caller<scope::ConnectionsDelete>,
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
    query: Query<IntegrationQuery>,
) -> Result<web::Json<Success>, ApiError> {
    let deleted = gateway
        .connections()
        .delete(&caller, &query.0.provider_config_key, &name)
        .await;
    deleted.map_err(ApiError::deleting)?;
    Ok(web::Json(Success::new()))
}
