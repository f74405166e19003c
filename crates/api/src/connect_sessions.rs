//! Connect sessions: created by an app's back end, read and ended by its front end.

use actix_web::{HttpResponse, web};
use domain::IntegrationKey;
use gateway::{
    EndUser, Gateway, IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection,
    sessions,
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Authorized, SessionHolder, scope};
use crate::error::ApiError;

/// The connect page.
pub(crate) struct ConnectPage {
    /// Its address, without a query.
    address: String,
    /// Whether the operator uses another page than this server's.
    is_custom: bool,
}

impl ConnectPage {
    /// The page at the address that the operator has set, or else the one of the server at `public_url`.
    pub(crate) fn new(set: Option<String>, public_url: &str) -> Self {
        Self {
            is_custom: set.is_some(),
            address: set.unwrap_or_else(|| format!("{public_url}/connect")),
        }
    }

    /// Returns scheme, host and port of a custom page, as a browser sends them.
    pub(crate) fn custom_origin(&self) -> Option<String> {
        let url = url::Url::parse(&self.address).ok()?;
        self.is_custom.then(|| url.origin().ascii_serialization())
    }
}

/// The default colour of a connect page, as in Nango's API.
const PRIMARY: &str = "#00B2E3";

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
    /// The link to the connect page, with the session's token.
    #[schema(example = "https://trunkline.example.org/connect?session_token=…")]
    connect_link: String,
    /// When the session ends: half an hour from now.
    #[schema(format = DateTime)]
    expires_at: String,
}

fn created(made: &NewSessionToken, page: &ConnectPage) -> HttpResponse {
    let token = made.token.expose_secret();
    HttpResponse::Created().json(SessionAnswer {
        data: MadeSession {
            connect_link: format!("{}?session_token={token}", page.address),
            token: token.to_owned(),
            expires_at: made.expires_at.to_string(),
        },
    })
}

/// Creates a connect session: for half an hour, the holder of its token may connect what the session allows.
#[utoipa::path(
    post, path = "/connect/sessions", operation_id = "create_connect_session", tag = "connect sessions", security(("api_key" = ["environment:connect_sessions:write"])),
    request_body = NewSession,
    responses((status = 201, description = "Created", body = SessionAnswer), (status = 400, description = "`invalid_body`"))
)]
pub(crate) async fn create(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectSessionsWrite>,
    page: web::Data<ConnectPage>,
    body: Body<NewSession>,
) -> Result<HttpResponse, ApiError> {
    let made = sessions::create(&gateway, &caller, body.0).await?;
    Ok(created(&made, &page))
}

/// Creates a connect session that replaces the credentials of one connection.
#[utoipa::path(
    post, path = "/connect/sessions/reconnect", operation_id = "create_reconnect_session", tag = "connect sessions", security(("api_key" = ["environment:connect_sessions:write"])),
    request_body = Reconnection,
    responses((status = 201, description = "Created", body = SessionAnswer), (status = 400, description = "`invalid_body`"))
)]
pub(crate) async fn reconnect(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectSessionsWrite>,
    page: web::Data<ConnectPage>,
    body: Body<Reconnection>,
) -> Result<HttpResponse, ApiError> {
    let made = sessions::reconnect(&gateway, &caller, body.0).await?;
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
    web::Json(ShownSession {
        data: SessionView {
            end_user: session.end_user.clone(),
            settings: json!({
                "theme": { "light": colour, "dark": colour },
                "defaultTheme": "system",
                "showWatermark": false,
            }),
            allowed_integrations: session.allowed_integrations.clone(),
            defaults: session.defaults.clone(),
            overrides: session.overrides.clone(),
            is_reconnecting: session.connection.is_some(),
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
    sessions::end(&gateway, &session).await?;
    Ok(HttpResponse::NoContent().finish())
}
