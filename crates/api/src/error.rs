//! Every error on its way to HTTP: one stable code and one status each, one shape for all.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, error};
use gateway::{FieldError, GatewayError, Scope};
use serde::Serialize;
use serde_json::{Value as Json, json};
use store::StoreError;
use utoipa::{IntoResponses, ToSchema};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the header Authorization is missing: send Authorization: Bearer and an API key")]
    MissingKey,
    #[error("the header Authorization cannot be read: it must be Bearer and an API key")]
    MalformedKey,
    #[error("this API key may not do that: it lacks the scope {0}")]
    Forbidden(Scope),
    #[error("the query cannot be taken: see errors")]
    InvalidQuery(Vec<FieldError>),
    #[error("the body cannot be taken: see errors")]
    InvalidBody(Vec<FieldError>),
    #[error("the path cannot be read")]
    InvalidPath,
    #[error("the body is no JSON: {0}")]
    InvalidJson(String),
    #[error("the body must be JSON: send Content-Type: application/json")]
    InvalidContentType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive whole")]
    BrokenBody,
    #[error("there is no such route; GET /openapi.json describes those that there are")]
    NoRoute,
    #[error("this path does not take {method}; it takes {allowed}")]
    MethodNotAllowed { method: String, allowed: String },
    #[error("provider_config_key is needed: in the body, or as the header Provider-Config-Key")]
    MissingIntegration,
    #[error("syncs is needed: a list of names of syncs")]
    NoSyncs,
    #[error("the database has {0} migrations to go: run `trunkline migrate`")]
    Migrating(usize),
    #[error(
        "keys for front ends are no longer taken: make a connect session with POST /connect/sessions, and send its token as connect_session_token"
    )]
    PublicKey,
    #[error(
        "connect_session_token is missing: make a connect session with POST /connect/sessions, and send its token in the query"
    )]
    MissingSessionToken,
    #[error("a request came to a handler without having been authenticated")]
    Unauthenticated,
    /// The integration was named in a query or a body, where Nango answers 400.
    #[error("there is no integration {0:?}")]
    UnknownIntegration(String),
    /// The integration is named by a route about integrations, or by an import, where Nango answers `not_found`.
    #[error(
        "Integration does not exist: there is no integration {0:?}; GET /integrations lists those that there are"
    )]
    NoSuchIntegration(String),
    #[error("{integration:?} has no function {name:?}; it has: {known}")]
    NoSuchFunction {
        integration: String,
        name: String,
        known: String,
    },
    /// As Nango answers to the deletion of a connection that is not there.
    #[error("there is no connection {connection:?} of {integration:?}")]
    NothingToDelete { connection: String, integration: String },
    /// As Nango answers to a look at a connection that is not there.
    #[error("there is no connection {connection:?} of {integration:?}")]
    NoSuchConnection { connection: String, integration: String },
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// Wait this long before trying again when the database is away or still migrating.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// All that a caller learns of a cause of our own.
const SERVER_ERROR: &str = "Trunkline had an error of its own. Its log tells more under the id in payload.";
const UNAVAILABLE: &str = "Trunkline cannot reach its database just now. Try again later.";

/// The body of every answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// Stable, for programs.
    #[schema(example = "invalid_body")]
    code: &'static str,
    /// For people: what is wrong and what would be right.
    #[schema(example = "the body cannot be taken: see errors")]
    message: String,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ErrorField>>,
    /// More about it, depending on the code.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Json>,
}

/// A field that cannot be taken.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorField {
    /// `missing`, `invalid` or `unknown`.
    #[schema(example = "missing")]
    code: &'static str,
    /// What is wrong and what would be right.
    message: String,
    /// Where: names from the outermost in.
    #[schema(example = json!(["connectionId"]))]
    path: Vec<String>,
}

/// What every route that needs a key may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers; `ApiError` makes them")]
pub(crate) enum KeyErrors {
    /// No key, one that cannot be read (`missing_auth_header`, `malformed_auth_header`), or one that is not known
    /// (`unknown_account`).
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// The key lacks the scope: `forbidden`.
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// An error of our own, with the request's id in `payload`: `server_error`.
    #[response(status = 500)]
    Server(ErrorBody),
    /// The database (`unavailable`) or the provider (`provider_unavailable`) is away: see the header `Retry-After`.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// What every route that needs the token of a connect session may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers; `ApiError` makes them")]
pub(crate) enum SessionErrors {
    /// No token (`missing_auth_header`), one that cannot be read (`malformed_auth_header`, `invalid_connect_session_token_format`),
    /// one that is not known or whose session has ended (`unknown_connect_session_token`), or a public key in its place
    /// (`deprecated_authentication`).
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// An error of our own, with the request's id in `payload`: `server_error`.
    #[response(status = 500)]
    Server(ErrorBody),
    /// The database (`unavailable`) or the provider (`provider_unavailable`) is away: see the header `Retry-After`.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

impl ApiError {
    /// For a connection that a path names: not there is 404 `not_found`, and an integration in the query 400.
    pub(crate) fn looking(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownConnection {
                connection,
                integration,
            } => Self::NoSuchConnection {
                connection,
                integration,
            },
            other => Self::named(other),
        }
    }

    /// For a deletion: not there is 400 `unknown_connection`.
    pub(crate) fn deleting(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownConnection {
                connection,
                integration,
            } => Self::NothingToDelete {
                connection,
                integration,
            },
            other => Self::named(other),
        }
    }

    /// For a route about integrations, and an import: one that is not there is 404 `not_found`.
    pub(crate) fn integration(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownIntegration(integration) => Self::NoSuchIntegration(integration),
            other => Self::Gateway(other),
        }
    }

    /// For an integration that is named in the query or the body and not in the path: not there is 400.
    pub(crate) fn named(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownIntegration(integration) => Self::UnknownIntegration(integration),
            other => Self::Gateway(other),
        }
    }

    /// Status and code.
    fn kind(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MissingKey => (S::UNAUTHORIZED, "missing_auth_header"),
            Self::MalformedKey => (S::UNAUTHORIZED, "malformed_auth_header"),
            Self::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
            Self::InvalidQuery(_) => (S::BAD_REQUEST, "invalid_query_params"),
            Self::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
            Self::InvalidPath => (S::BAD_REQUEST, "invalid_uri_params"),
            Self::InvalidJson(_) | Self::BrokenBody => (S::BAD_REQUEST, "invalid_json"),
            Self::InvalidContentType => (S::UNSUPPORTED_MEDIA_TYPE, "invalid_content_type"),
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::PublicKey => (S::UNAUTHORIZED, "deprecated_authentication"),
            Self::MissingSessionToken => (S::UNAUTHORIZED, "missing_auth_header"),
            Self::NoRoute
            | Self::NoSuchConnection { .. }
            | Self::NoSuchIntegration(_)
            | Self::NoSuchFunction { .. } => (S::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::MissingIntegration => (S::BAD_REQUEST, "missing_provider_config_key"),
            Self::NoSyncs => (S::BAD_REQUEST, "no_syncs_found"),
            Self::Migrating(_) => (S::SERVICE_UNAVAILABLE, "migrations_pending"),
            Self::Unauthenticated => (S::INTERNAL_SERVER_ERROR, "server_error"),
            Self::UnknownIntegration(_) => (S::BAD_REQUEST, "unknown_provider_config"),
            Self::NothingToDelete { .. } => (S::BAD_REQUEST, "unknown_connection"),
            Self::Gateway(error) => gateway_kind(error),
        }
    }

    /// The cause that is for the log and not for the caller, if it is our own.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        (self.kind().0.is_server_error() && !self.tells_callers()).then_some(self)
    }

    /// Whether the message of a server's error is made for callers.
    fn tells_callers(&self) -> bool {
        matches!(
            self,
            Self::Migrating(_) | Self::Gateway(GatewayError::ProviderUnavailable { .. })
        )
    }

    fn message(&self) -> String {
        match self.kind().0 {
            _ if self.tells_callers() => self.to_string(),
            StatusCode::INTERNAL_SERVER_ERROR => SERVER_ERROR.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE.to_owned(),
            _ => self.to_string(),
        }
    }

    fn fields(&self) -> Option<&[FieldError]> {
        match self {
            Self::InvalidQuery(fields)
            | Self::InvalidBody(fields)
            | Self::Gateway(
                GatewayError::InvalidBody(fields)
                | GatewayError::InvalidQuery(fields)
                | GatewayError::ConnectionInvalid(fields),
            ) => Some(fields),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Gateway(GatewayError::ProviderUnavailable { retry_after, .. }) => Some(*retry_after),
            _ => (self.kind().0 == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
        }
    }

    fn payload(&self, request: Option<&str>) -> Option<Json> {
        match self {
            Self::Gateway(GatewayError::CredentialsRefused { status, code, .. }) => {
                Some(json!({ "provider_status": status, "provider_code": code }))
            }
            Self::Gateway(GatewayError::InvalidCredentials {
                status,
                code,
                connection,
                ..
            }) => Some(json!({ "provider_status": status, "provider_code": code, "connection": connection })),
            _ => request
                .filter(|_| self.cause().is_some())
                .map(|id| json!({ "id": id })),
        }
    }

    /// The answer; `request` is the request's id.
    pub(crate) fn response(&self, request: Option<&str>) -> HttpResponse {
        let (status, code) = self.kind();
        let errors = self.fields().map(|fields| {
            let field = |field: &FieldError| ErrorField {
                code: field.code,
                message: field.message.clone(),
                path: field.path.clone(),
            };
            fields.iter().map(field).collect()
        });
        let detail = ErrorDetail {
            code,
            message: self.message(),
            errors,
            payload: self.payload(request),
        };
        let mut response = HttpResponse::build(status);
        if let Some(wait) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1)));
        }
        if let Self::MethodNotAllowed { allowed, .. } = self {
            response.insert_header((header::ALLOW, allowed.as_str()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(ErrorBody { error: detail })
    }
}

fn gateway_kind(error: &GatewayError) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        GatewayError::UnknownKey => (S::UNAUTHORIZED, "unknown_account"),
        GatewayError::MalformedSessionToken => (S::UNAUTHORIZED, "invalid_connect_session_token_format"),
        GatewayError::UnknownSession => (S::UNAUTHORIZED, "unknown_connect_session_token"),
        GatewayError::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
        GatewayError::IntegrationNotAllowed(_) => (S::BAD_REQUEST, "integration_not_allowed"),
        GatewayError::InvalidAuthMode { .. } => (S::BAD_REQUEST, "invalid_auth_mode"),
        GatewayError::ConnectionInvalid(_) => (S::BAD_REQUEST, "connection_validation_failed"),
        GatewayError::InvalidCredentials { .. } => (S::BAD_REQUEST, "invalid_credentials"),
        GatewayError::UnknownIntegration(_) => (S::NOT_FOUND, "unknown_provider_config"),
        GatewayError::UnknownConnection { .. } => (S::NOT_FOUND, "unknown_connection"),
        GatewayError::UnknownRun(_)
        | GatewayError::UnknownModel { .. }
        | GatewayError::UnknownEnvironment(_)
        | GatewayError::UnknownProvider(_)
        | GatewayError::UnknownApiKey(_) => (S::NOT_FOUND, "not_found"),
        GatewayError::EnvironmentInUse(_) => (S::CONFLICT, "conflict"),
        GatewayError::UnknownSync(_) => (S::BAD_REQUEST, "unknown_sync"),
        GatewayError::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
        GatewayError::InvalidQuery(_) => (S::BAD_REQUEST, "invalid_query_params"),
        GatewayError::OauthNotSupported(_) => (S::BAD_REQUEST, "oauth_not_supported"),
        GatewayError::CredentialsRefused { .. } => (S::BAD_REQUEST, "connection_test_failed"),
        GatewayError::ProviderUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "provider_unavailable"),
        GatewayError::Vault(_) => (S::INTERNAL_SERVER_ERROR, "server_error"),
        GatewayError::Store(error) => store_kind(error),
    }
}

fn store_kind(error: &StoreError) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        StoreError::NotFound { .. } => (S::NOT_FOUND, "not_found"),
        StoreError::Conflict { .. } => (S::CONFLICT, "conflict"),
        StoreError::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "unavailable"),
        StoreError::LeaseLost | StoreError::Refused(_) | StoreError::Query(_) | StoreError::Migration(_) => {
            (S::INTERNAL_SERVER_ERROR, "server_error")
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

/// A path whose parts are no text.
pub(crate) fn path_error(_: error::PathError, _: &HttpRequest) -> actix_web::Error {
    ApiError::InvalidPath.into()
}

/// What no route takes.
pub(crate) async fn no_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NoRoute)
}
