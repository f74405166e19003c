//! The routes by which Nango's front-end library connects, with the token of a connect session in the query.
//!
//! The token is never logged. Every error has a code and a message, since the library shows both.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures::future::LocalBoxFuture;
use gateway::{ConnectSession, Connected, Gateway, sessions};
use registry::AuthMode;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::body::Body;
use crate::connect::{UnreadableSync, unreadable};
use crate::error::ApiError;
use crate::query::{self, Query};

/// The parameter that holds the token.
const TOKEN: &str = "connect_session_token";

/// The query of a front end.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FrontEndQuery {
    /// The token of a connect session.
    #[serde(rename = "connect_session_token")]
    _connect_session_token: String,
    /// Configuration of the connection: `params[subdomain]=acme`. What the session sets overrides it.
    #[serde(default)]
    #[param(value_type = Option<BTreeMap<String, String>>, style = DeepObject, explode)]
    params: BTreeMap<String, String>,
    #[serde(default, rename = "authorization_params")]
    #[param(ignore)]
    _authorization_params: BTreeMap<String, String>,
    #[serde(rename = "public_key")]
    #[param(ignore)]
    _public_key: Option<IgnoredAny>,
    #[serde(rename = "hmac")]
    #[param(ignore)]
    _hmac: Option<IgnoredAny>,
    #[serde(rename = "user_scope")]
    #[param(ignore)]
    _user_scope: Option<IgnoredAny>,
    #[serde(default, rename = "connection_id", deserialize_with = "refuse_name")]
    #[param(ignore)]
    _connection_id: (),
}

impl FrontEndQuery {
    fn params(self) -> Map<String, Json> {
        let params = self.params.into_iter();
        params.map(|(name, value)| (name, value.into())).collect()
    }
}

fn refuse_name<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom(
        "is not for a front end to choose: the connection gets a random name, or is the one that the session reconnects",
    ))
}

/// The session of the token in the query, and the rest of the request. The body is read, and errors of the rest are reported, only if the
/// token is valid.
pub(crate) struct FrontEnd<T>(Arc<ConnectSession>, T);

impl<T: FromRequest<Error = ApiError> + 'static> FromRequest for FrontEnd<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let pairs = query::pairs(request);
        let find = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).cloned();
        let token = find(TOKEN).ok_or(match find("public_key") {
            Some(_) => ApiError::PublicKey,
            None => ApiError::MissingSessionToken,
        });
        let gateway = request.app_data::<web::Data<Gateway>>().cloned();
        let rest = T::from_request(request, payload);
        Box::pin(async move {
            let (_, token) = token?;
            let gateway = gateway.ok_or(ApiError::Unauthenticated)?;
            let session = sessions::authenticate(&gateway, &token).await?;
            Ok(Self(session, rest.await?))
        })
    }
}

/// Credentials, which the provider's rules check, beside the query.
type CredentialsBody = Body<Map<String, Json>, FrontEndQuery>;

/// One key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the gateway reads")]
pub(crate) struct ApiKeyBody {
    #[schema(rename = "apiKey", example = "sk_live_0123456789abcdef")]
    api_key: String,
}

/// User name and password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the gateway reads")]
pub(crate) struct BasicBody {
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "correct horse")]
    password: String,
}

/// Connected.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FrontEndAnswer {
    /// The connection's name.
    connection_id: String,
    /// The integration's key.
    #[schema(example = "acme")]
    provider_config_key: String,
    /// The syncs that the key may not read; the connection is created in any case. Left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_syncs: Vec<UnreadableSync>,
}

impl From<Connected> for FrontEndAnswer {
    fn from(connected: Connected) -> Self {
        Self {
            connection_id: connected.connection.name.to_string(),
            provider_config_key: connected.connection.integration.to_string(),
            unreadable_syncs: unreadable(connected.unreadable),
        }
    }
}

async fn connect(
    gateway: &Gateway,
    integration: &str,
    mode: AuthMode,
    FrontEnd(session, Body(credentials, query)): FrontEnd<CredentialsBody>,
) -> Result<web::Json<FrontEndAnswer>, ApiError> {
    let params = query.params();
    let connected =
        sessions::connect(gateway, &session, integration, Some(mode), &credentials, params).await?;
    Ok(web::Json(connected.into()))
}

/// The errors of connecting.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses; `ApiError` makes them")]
enum ConnectErrors {
    #[response(
        status = 400,
        description = "`invalid_query_params`, `invalid_json`, `integration_not_allowed`, `invalid_auth_mode`, `connection_validation_failed`, `connection_test_failed` or, after 20 connections, `resource_capped`"
    )]
    Invalid,
    #[response(status = 404, description = "`unknown_provider_config`")]
    UnknownIntegration,
    #[response(
        status = 409,
        description = "The connection or its integration was changed meanwhile (`conflict`)"
    )]
    Conflict,
    #[response(
        status = 429,
        description = "Five or more attempts with this session failed (`too_many_attempts`): see the header `Retry-After`"
    )]
    TooManyAttempts,
}

/// Connects with an API key, from a front end.
#[utoipa::path(
    post, path = "/api-auth/api-key/{integration}", operation_id = "connect_with_api_key", tag = "connect sessions", security(("connect_session_token" = [])),
    params(FrontEndQuery),
    request_body = ApiKeyBody,
    responses((status = 200, description = "Connected", body = FrontEndAnswer), ConnectErrors)
)]
pub(crate) async fn api_key(
    gateway: web::Data<Gateway>,
    integration: web::Path<String>,
    request: FrontEnd<CredentialsBody>,
) -> Result<web::Json<FrontEndAnswer>, ApiError> {
    connect(&gateway, &integration, AuthMode::ApiKey, request).await
}

/// Connects with a user name and a password, from a front end.
#[utoipa::path(
    post, path = "/api-auth/basic/{integration}", operation_id = "connect_with_basic", tag = "connect sessions", security(("connect_session_token" = [])),
    params(FrontEndQuery),
    request_body = BasicBody,
    responses((status = 200, description = "Connected", body = FrontEndAnswer), ConnectErrors)
)]
pub(crate) async fn basic(
    gateway: web::Data<Gateway>,
    integration: web::Path<String>,
    request: FrontEnd<CredentialsBody>,
) -> Result<web::Json<FrontEndAnswer>, ApiError> {
    connect(&gateway, &integration, AuthMode::Basic, request).await
}

/// Refuses to connect without credentials, which every provider needs.
#[utoipa::path(
    post, path = "/auth/unauthenticated/{integration}", operation_id = "connect_without_credentials", tag = "connect sessions", security(("connect_session_token" = [])),
    params(FrontEndQuery),
    responses(
        (status = 400, description = "`invalid_auth_mode`, `integration_not_allowed` or `invalid_query_params`"),
        (status = 404, description = "`unknown_provider_config`")
    )
)]
pub(crate) async fn unauthenticated(
    gateway: web::Data<Gateway>,
    integration: web::Path<String>,
    FrontEnd(session, Query(query)): FrontEnd<Query<FrontEndQuery>>,
) -> Result<web::Json<FrontEndAnswer>, ApiError> {
    let (none, params) = (Map::new(), query.params());
    let connected = sessions::connect(&gateway, &session, &integration, None, &none, params).await?;
    Ok(web::Json(connected.into()))
}
