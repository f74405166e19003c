//! Connect sessions: created by an app's back end, read and ended by its front end.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use domain::IntegrationKey;
use gateway::{EndUser, Gateway, NewSession, NewSessionToken, Organization, Reconnection};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Caller, SessionHolder, scope};
use crate::error::ApiError;

/// The address of the connect page, without a query; `None` if the operator has not set it.
pub(crate) struct ConnectPage(pub(crate) Option<String>);

impl ConnectPage {
    /// Returns scheme, host and port, as a browser sends them.
    pub(crate) fn origin(&self) -> Option<String> {
        let url = url::Url::parse(self.0.as_ref()?).ok()?;
        Some(url.origin().ascii_serialization())
    }
}

/// The default colour of a connect page, as in Nango's API.
const PRIMARY: &str = "#00B2E3";

/// What a session sets for connections of one integration.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntegrationDefaults {
    /// For OAuth, which is not supported: stored and shown, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_scopes: Option<String>,
    /// For OAuth, which is not supported: stored and shown, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_params: Option<BTreeMap<String, String>>,
    /// Configuration of the connection; it overrides what the front end sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_config: Option<Map<String, Json>>,
}

/// What a connect page shows differently for one integration.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntegrationOverrides {
    /// The address of the instructions that the page links to.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs_connect: Option<String>,
}

/// The session to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "end_user": { "id": "user-1", "email": "ada@example.com" }, "allowed_integrations": ["acme"] }))]
pub(crate) struct SessionBody {
    /// Your user; required unless there are tags.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// The user's organization.
    #[schema(value_type = Option<Organization>)]
    organization: Option<Json>,
    /// Labels for the connections that it creates.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Keys of the integrations that may be connected; all if left out.
    #[schema(example = json!(["acme"]))]
    allowed_integrations: Option<Vec<String>>,
    /// What is set for connections, by integration.
    integrations_config_defaults: Option<BTreeMap<String, IntegrationDefaults>>,
    /// What a connect page shows differently, by integration.
    overrides: Option<BTreeMap<String, IntegrationOverrides>>,
    /// Where the events of the connections go. Stored, without effect: no events are sent yet.
    webhook_url_override: Option<String>,
}

/// The session to create, which replaces the credentials of one connection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReconnectBody {
    /// Your name for the connection.
    #[schema(example = "my-acme")]
    connection_id: String,
    /// Its integration's key.
    #[schema(example = "acme")]
    integration_id: String,
    /// Your user; unchanged if left out.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// The user's organization.
    #[schema(value_type = Option<Organization>)]
    organization: Option<Json>,
    /// Labels for the connection; unchanged if left out.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// What is set for the connection, by integration.
    integrations_config_defaults: Option<BTreeMap<String, IntegrationDefaults>>,
    /// What a connect page shows differently, by integration.
    overrides: Option<BTreeMap<String, IntegrationOverrides>>,
    /// Where the events of the connection go. Stored, without effect: no events are sent yet.
    webhook_url_override: Option<String>,
}

fn to_json<T: Serialize>(map: Option<BTreeMap<String, T>>) -> Map<String, Json> {
    let map = map.unwrap_or_default().into_iter();
    map.map(|(key, value)| (key, json!(value))).collect()
}

impl From<SessionBody> for NewSession {
    fn from(body: SessionBody) -> Self {
        Self {
            end_user: body.end_user,
            organization: body.organization,
            tags: body.tags,
            allowed_integrations: body.allowed_integrations,
            defaults: to_json(body.integrations_config_defaults),
            overrides: to_json(body.overrides),
            webhook_url_override: body.webhook_url_override,
        }
    }
}

impl From<ReconnectBody> for Reconnection {
    fn from(body: ReconnectBody) -> Self {
        Self {
            connection: body.connection_id,
            integration: body.integration_id,
            session: NewSession {
                end_user: body.end_user,
                organization: body.organization,
                tags: body.tags,
                allowed_integrations: None,
                defaults: to_json(body.integrations_config_defaults),
                overrides: to_json(body.overrides),
                webhook_url_override: body.webhook_url_override,
            },
        }
    }
}

/// A new session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    data: MadeSession,
}

/// What a front end needs to know of a session.
#[derive(Serialize, ToSchema)]
struct MadeSession {
    /// For the front end; shown this once.
    #[schema(
        example = "nango_connect_session_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    )]
    token: String,
    /// The connect page, opened with the token; only if the operator has set `TRUNKLINE_CONNECT_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://connect.example.org/?session_token=…")]
    connect_link: Option<String>,
    /// When the session ends: half an hour from now.
    #[schema(format = DateTime)]
    expires_at: String,
}

fn created(made: &NewSessionToken, page: &ConnectPage) -> HttpResponse {
    let token = made.token.expose_secret();
    HttpResponse::Created().json(SessionAnswer {
        data: MadeSession {
            connect_link: page
                .0
                .as_ref()
                .map(|page| format!("{page}?session_token={token}")),
            token: token.to_owned(),
            expires_at: made.expires_at.to_string(),
        },
    })
}

/// Creates a connect session: for half an hour, the holder of its token may connect what the session allows.
#[utoipa::path(
    post, path = "/connect/sessions", operation_id = "create_connect_session", tag = "connect sessions", security(("api_key" = ["environment:connect_sessions:write"])),
    request_body = SessionBody,
    responses((status = 201, description = "Created", body = SessionAnswer), (status = 400, description = "`invalid_body`"))
)]
pub(crate) async fn create(
    caller: Caller<scope::ConnectSessionsWrite>,
    gateway: web::Data<Gateway>,
    page: web::Data<ConnectPage>,
    body: Body<SessionBody>,
) -> Result<HttpResponse, ApiError> {
    let made = gateway.sessions().create(&caller, body.0.into()).await?;
    Ok(created(&made, &page))
}

/// Creates a connect session that replaces the credentials of one connection.
#[utoipa::path(
    post, path = "/connect/sessions/reconnect", operation_id = "create_reconnect_session", tag = "connect sessions", security(("api_key" = ["environment:connect_sessions:write"])),
    request_body = ReconnectBody,
    responses((status = 201, description = "Created", body = SessionAnswer), (status = 400, description = "`invalid_body`"))
)]
pub(crate) async fn reconnect(
    caller: Caller<scope::ConnectSessionsWrite>,
    gateway: web::Data<Gateway>,
    page: web::Data<ConnectPage>,
    body: Body<ReconnectBody>,
) -> Result<HttpResponse, ApiError> {
    let made = gateway.sessions().reconnect(&caller, body.0.into()).await?;
    Ok(created(&made, &page))
}

/// A session as its holder sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownSession {
    data: SessionView,
}

/// What a connect page needs to know of a session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    #[serde(rename = "connectUISettings")]
    #[schema(value_type = Object)]
    settings: Json,
    /// Keys of the integrations that may be connected; all if it is absent.
    #[serde(rename = "allowed_integrations", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_integrations: Option<Vec<IntegrationKey>>,
    /// What is set for connections, by integration.
    #[serde(
        rename = "integrations_config_defaults",
        skip_serializing_if = "Map::is_empty"
    )]
    #[schema(value_type = Option<BTreeMap<String, IntegrationDefaults>>)]
    defaults: Map<String, Json>,
    /// What the page shows differently, by integration.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<BTreeMap<String, IntegrationOverrides>>)]
    overrides: Map<String, Json>,
    /// Whether it replaces the credentials of an existing connection.
    is_reconnecting: bool,
}

/// Shows the connect session whose token is sent as `Authorization: Bearer`.
#[utoipa::path(
    get, path = "/connect/session", operation_id = "get_connect_session", tag = "connect sessions", security(("connect_session" = [])),
    responses((status = 200, description = "The session", body = ShownSession))
)]
pub(crate) async fn get(SessionHolder(session): SessionHolder) -> web::Json<ShownSession> {
    let colour = json!({ "primary": PRIMARY });
    let stored = session.stored();
    web::Json(ShownSession {
        data: SessionView {
            end_user: stored.end_user.clone(),
            settings: json!({
                "theme": { "light": colour, "dark": colour },
                "defaultTheme": "system",
                "showWatermark": false,
            }),
            allowed_integrations: stored.allowed_integrations.clone(),
            defaults: stored.defaults.clone(),
            overrides: stored.overrides.clone(),
            is_reconnecting: session.reconnects(),
        },
    })
}

/// Ends the connect session whose token is sent as `Authorization: Bearer`.
#[utoipa::path(
    delete, path = "/connect/session", operation_id = "end_connect_session", tag = "connect sessions", security(("connect_session" = [])),
    responses((status = 204, description = "Ended"))
)]
pub(crate) async fn end(
    SessionHolder(session): SessionHolder,
    gateway: web::Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    gateway.sessions().end(&session).await?;
    Ok(HttpResponse::NoContent().finish())
}
