//! Errors as HTTP responses: each has a stable code and a status, and all have one shape.

mod kind;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError, error};
use gateway::{FieldError, GatewayError, Refusal, StoreError};
use serde::Serialize;
use serde_json::{Value as Json, json};
use upstream::{QuotedResponse, excerpt};
use utoipa::{IntoResponses, ToSchema};

use crate::request_heads::{ROUTE, Unreadable};

/// The most characters of a message, which may quote what a caller or a provider wrote.
const LONGEST_MESSAGE: usize = 4_000;
/// The most characters of a step of a field's path.
const LONGEST_STEP: usize = 200;

/// A status and a code.
type Kind = (StatusCode, &'static str);

const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "not_found");
const UNKNOWN_CONNECTION: Kind = (StatusCode::BAD_REQUEST, "unknown_connection");
const UNKNOWN_INTEGRATION: Kind = (StatusCode::BAD_REQUEST, "unknown_provider_config");
const UNKNOWN_PROVIDER: Kind = (StatusCode::BAD_REQUEST, "unknown_provider");

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the header Authorization is missing: send Authorization: Bearer and an API key")]
    MissingKey,
    #[error("the header Authorization cannot be read: it must be Bearer and an API key")]
    MalformedKey,
    #[error("the query is not valid: see errors")]
    InvalidQuery(Vec<FieldError>),
    #[error("the body is not valid: see errors")]
    InvalidBody(Vec<FieldError>),
    #[error("the headers are not valid: see errors")]
    InvalidHeaders(Vec<FieldError>),
    #[error("the path cannot be read")]
    InvalidPath,
    #[error("the body is not JSON: {0}")]
    InvalidJson(String),
    #[error("the body must be JSON: send Content-Type: application/json")]
    InvalidContentType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body ended too early: send all of it")]
    BrokenBody,
    #[error("the body did not arrive within {0} seconds")]
    LateBody(u64),
    #[error(transparent)]
    Unreadable(Unreadable),
    /// Refused by actix or its middleware.
    #[error("the request is not valid: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("this route does not exist; GET /openapi.json describes all routes")]
    NoRoute,
    #[error("this path does not allow {method}; it allows {allowed}")]
    MethodNotAllowed { method: String, allowed: String },
    #[error("provider_config_key is required, in the body or as the header Provider-Config-Key")]
    MissingIntegration,
    #[error("the header Connection-Id is required")]
    MissingConnection,
    #[error("syncs is required: a list of names of syncs")]
    NoSyncs,
    #[error("{0} migrations of the database are pending: run `trunkline migrate`")]
    Migrating(usize),
    #[error(
        "keys for front ends are no longer accepted: create a connect session with POST /connect/sessions, and send its token as connect_session_token"
    )]
    PublicKey,
    #[error(
        "connect_session_token is missing: create a connect session with POST /connect/sessions, and send its token in the query"
    )]
    MissingSessionToken,
    #[error("an unauthenticated request reached a handler")]
    Unauthenticated,
    /// The connection or the integration does not exist, for which Nango has another status or code on this route.
    #[error("{error}")]
    Missing { error: GatewayError, kind: Kind },
    /// The integration of an import, or of a route about integrations, does not exist, to which Nango responds with `not_found`.
    #[error("Integration does not exist: there is no integration {0:?}; GET /integrations lists all")]
    NoSuchIntegration(String),
    #[error("{integration:?} has no function {name:?}; it has: {known}")]
    NoSuchFunction {
        integration: String,
        name: String,
        known: String,
    },
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// When to retry if the database cannot be reached or is still migrating.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// When a provider should send an event again while too many wait.
const BACKLOG_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The most fields that a response names.
const MAX_FIELDS: usize = 100;
/// The messages of internal errors, which do not tell the cause.
const SERVER_ERROR: &str = "Trunkline had an internal error. Its log has the cause under the id in payload.";
const UNAVAILABLE: &str = "Trunkline cannot reach its database. Try again later.";

/// The body of every error response.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// A stable code for programs.
    #[schema(example = "invalid_body")]
    code: &'static str,
    /// A message for people: what is wrong, and what to do.
    #[schema(example = "the body is not valid: see errors")]
    message: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
    /// Details that depend on the code.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Json>,
    /// The provider's response to an action: its `status`, `headers` and `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    upstream: Option<QuotedResponse>,
}

/// A query parameter is missing, unknown or wrong.
#[derive(IntoResponses)]
#[response(status = 400, description = "`invalid_query_params`")]
pub(crate) struct InvalidQuery;

/// What the path names does not exist.
#[derive(IntoResponses)]
#[response(status = 404, description = "`not_found`")]
pub(crate) struct NotFound;

impl ApiError {
    /// Replaces the status and code of a missing connection and a missing integration.
    fn missing(error: GatewayError, connection: Kind, integration: Kind) -> Self {
        let kind = match &error {
            GatewayError::UnknownConnection { .. } => connection,
            GatewayError::UnknownIntegration(_) => integration,
            _ => return Self::Gateway(error),
        };
        Self::Missing { error, kind }
    }

    /// For a connection in the path, which is 404 `not_found` if it does not exist; a missing integration is 400.
    pub(crate) fn connection_not_found(error: GatewayError) -> Self {
        Self::missing(error, NOT_FOUND, UNKNOWN_INTEGRATION)
    }

    /// For requests to which Nango responds with 400 if their connection (`unknown_connection`) or integration does not exist.
    pub(crate) fn connection_unknown(error: GatewayError) -> Self {
        Self::missing(error, UNKNOWN_CONNECTION, UNKNOWN_INTEGRATION)
    }

    /// For an action: a connection or an integration in its headers that does not exist is 400.
    pub(crate) fn action(error: GatewayError) -> Self {
        Self::missing(error, UNKNOWN_CONNECTION, UNKNOWN_PROVIDER)
    }

    /// For an integration in the query or the body: one that does not exist is 400.
    pub(crate) fn integration_unknown(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownIntegration(_) => Self::Missing {
                error,
                kind: UNKNOWN_INTEGRATION,
            },
            other => Self::Gateway(other),
        }
    }

    /// For the status of syncs, where a connection that does not exist is 400 `invalid_body`.
    pub(crate) fn sync_status(error: GatewayError) -> Self {
        if let GatewayError::UnknownConnection { .. } = error {
            let error = FieldError::at("unknown", "connection_id", error.to_string());
            return Self::InvalidBody(vec![error]);
        }
        Self::integration_unknown(error)
    }

    /// For an import, and routes about integrations: one that does not exist is 404 `not_found`.
    pub(crate) fn integration_not_found(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownIntegration(integration) => Self::NoSuchIntegration(integration),
            other => Self::Gateway(other),
        }
    }

    /// An invalid field of the body.
    pub(crate) fn invalid_body(field: &str, message: &str) -> Self {
        Self::InvalidBody(vec![FieldError::at("invalid", field, message)])
    }

    /// Returns status and code.
    fn kind(&self) -> Kind {
        use StatusCode as S;
        match self {
            Self::MissingKey | Self::MissingSessionToken => (S::UNAUTHORIZED, "missing_auth_header"),
            Self::MalformedKey => (S::UNAUTHORIZED, "malformed_auth_header"),
            Self::InvalidQuery(_) => (S::BAD_REQUEST, "invalid_query_params"),
            Self::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
            Self::InvalidHeaders(_) => (S::BAD_REQUEST, "invalid_headers"),
            Self::InvalidPath => (S::BAD_REQUEST, "invalid_uri_params"),
            Self::InvalidJson(_) | Self::BrokenBody => (S::BAD_REQUEST, "invalid_json"),
            Self::InvalidContentType => (S::UNSUPPORTED_MEDIA_TYPE, "invalid_content_type"),
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::PublicKey => (S::UNAUTHORIZED, "deprecated_authentication"),
            Self::Unreadable(Unreadable::TargetTooLong) => (S::URI_TOO_LONG, "uri_too_long"),
            Self::Unreadable(Unreadable::HeadTooLarge) => {
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            }
            Self::LateBody(_) | Self::Unreadable(Unreadable::Late) => (S::REQUEST_TIMEOUT, "request_timeout"),
            Self::Unreadable(_) => (S::BAD_REQUEST, "invalid_request"),
            Self::Refused { status, .. } if status.is_client_error() => (*status, "invalid_request"),
            Self::Refused { .. } | Self::Unauthenticated => (S::INTERNAL_SERVER_ERROR, "server_error"),
            Self::NoRoute | Self::NoSuchIntegration(_) | Self::NoSuchFunction { .. } => NOT_FOUND,
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::MissingIntegration => (S::BAD_REQUEST, "missing_provider_config_key"),
            Self::MissingConnection => (S::BAD_REQUEST, "missing_connection_id"),
            Self::NoSyncs => (S::BAD_REQUEST, "no_syncs_found"),
            Self::Migrating(_) => (S::SERVICE_UNAVAILABLE, "migrations_pending"),
            Self::Missing { kind, .. } => *kind,
            Self::Gateway(error) => kind::of_gateway(error),
        }
    }

    /// Returns the cause of an internal error, which is for the log and not for the caller.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        (self.kind().0.is_server_error() && !self.is_for_callers()).then_some(self)
    }

    /// Whether the cause needs no log line, because the store logs when the database becomes unavailable and when it is back.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Gateway(GatewayError::Store(StoreError::Unavailable(_)))
        )
    }

    /// Whether the message of a server error is for callers.
    fn is_for_callers(&self) -> bool {
        matches!(
            self,
            Self::Migrating(_)
                | Self::Gateway(
                    GatewayError::ProviderUnavailable { .. }
                        | GatewayError::Request(_)
                        | GatewayError::WebhookBacklog
                        | GatewayError::Action(_)
                )
        )
    }

    fn message(&self) -> String {
        match self.kind().0 {
            _ if self.is_for_callers() => self.to_string(),
            StatusCode::INTERNAL_SERVER_ERROR => SERVER_ERROR.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE.to_owned(),
            _ => self.to_string(),
        }
    }

    fn fields(&self) -> Option<&[FieldError]> {
        match self {
            Self::InvalidQuery(fields)
            | Self::InvalidBody(fields)
            | Self::InvalidHeaders(fields)
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
            Self::Gateway(
                GatewayError::ProviderUnavailable { retry_after, .. }
                | GatewayError::TooManyAttempts { retry_after, .. },
            ) => Some(*retry_after),
            Self::Gateway(GatewayError::WebhookBacklog) => Some(BACKLOG_RETRY_AFTER),
            Self::Gateway(GatewayError::Request(error)) => error.retry_after(),
            Self::Gateway(GatewayError::Action(failure)) => failure.retry_after.map(Duration::from_secs),
            Self::Gateway(GatewayError::KeyInUse | GatewayError::ActionPending { .. }) => {
                Some(Duration::from_secs(1))
            }
            _ => (self.kind().0 == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
        }
    }

    fn payload(&self, request: Option<&str>) -> Option<Json> {
        match self {
            Self::Gateway(GatewayError::CredentialsRefused(Refusal { status, code, .. })) => {
                Some(json!({ "provider_status": status, "provider_code": code }))
            }
            Self::Gateway(GatewayError::InvalidCredentials {
                refusal: Refusal { status, code, .. },
                connection,
            }) => Some(json!({ "provider_status": status, "provider_code": code, "connection": connection })),
            Self::Gateway(GatewayError::ActionPending { status }) => Some(json!({ "status": status })),
            Self::Gateway(GatewayError::Action(failure)) => {
                failure.upstream.as_ref().map(|answer| answer.body.clone())
            }
            _ => request
                .filter(|_| self.cause().is_some())
                .map(|id| json!({ "id": id })),
        }
    }

    /// Returns the response; `request` is the request's id.
    pub(crate) fn response(&self, request: Option<&str>) -> HttpResponse {
        let (status, code) = self.kind();
        let shortened = |field: &FieldError| FieldError {
            code: field.code,
            message: excerpt(&field.message, LONGEST_MESSAGE),
            path: field
                .path
                .iter()
                .map(|step| excerpt(step, LONGEST_STEP))
                .collect(),
        };
        let fields = self.fields().map(|fields| fields.iter().take(MAX_FIELDS));
        let detail = ErrorDetail {
            code,
            message: excerpt(&self.message(), LONGEST_MESSAGE),
            errors: fields.map(|fields| fields.map(shortened).collect()),
            payload: self.payload(request),
            upstream: match self {
                Self::Gateway(GatewayError::Action(failure)) => failure.upstream.clone(),
                _ => None,
            },
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

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

/// The error of a path whose parameters cannot be read.
pub(crate) fn path_error(_: error::PathError, _: &HttpRequest) -> actix_web::Error {
    ApiError::InvalidPath.into()
}

/// The handler of requests that match no route.
pub(crate) async fn no_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NoRoute)
}

/// Registers the route of requests whose head actix would refuse with an empty body. The document does not show it.
pub(crate) fn unreadable_heads(config: &mut ServiceConfig) {
    config.route(&format!("{ROUTE}{{why}}"), web::route().to(unreadable_head));
}

async fn unreadable_head(why: web::Path<String>) -> Result<HttpResponse, ApiError> {
    Err(why.parse().map_or(ApiError::NoRoute, ApiError::Unreadable))
}
