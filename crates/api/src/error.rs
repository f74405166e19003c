//! Every error on its way to HTTP: one stable code and one status each, one shape for all.

mod kind;
mod unreadable;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, error};
use gateway::{FieldError, GatewayError, Scope, StoreError};
use serde::Serialize;
use serde_json::{Value as Json, json};
use upstream::{QuotedResponse, excerpt};
use utoipa::{IntoResponses, ToSchema};

pub(crate) use self::unreadable::unreadable_heads;
use crate::request_heads::Unreadable;

/// Characters of a message: it may quote what a caller or a provider wrote.
const LONGEST_MESSAGE: usize = 4_000;
/// Characters of one step of a field's path.
const LONGEST_STEP: usize = 200;

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
    #[error("the headers cannot be taken: see errors")]
    InvalidHeaders(Vec<FieldError>),
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
    #[error("the body did not arrive within {0} seconds")]
    LateBody(u64),
    #[error("{}", unreadable::words(*.0))]
    Unreadable(Unreadable),
    /// Refused by actix or its middleware.
    #[error("the request cannot be taken: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("there is no such route; GET /openapi.json describes those that there are")]
    NoRoute,
    #[error("this path does not take {method}; it takes {allowed}")]
    MethodNotAllowed { method: String, allowed: String },
    #[error("provider_config_key is needed: in the body, or as the header Provider-Config-Key")]
    MissingIntegration,
    #[error("the header Connection-Id is needed")]
    MissingConnection,
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
    /// The same for an action, which Nango answers with a code of its own.
    #[error("there is no integration {0:?}")]
    UnknownProvider(String),
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
    /// The connection was named where Nango answers 400 if it is not there.
    #[error("there is no connection {connection:?} of {integration:?}")]
    UnknownConnection { connection: String, integration: String },
    /// As Nango answers to a look at a connection that is not there.
    #[error("there is no connection {connection:?} of {integration:?}")]
    NoSuchConnection { connection: String, integration: String },
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// Wait this long before trying again when the database is away or still migrating.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Fields that one answer names, at most.
const MAX_FIELDS: usize = 100;
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
    /// The provider's own answer to an action: its `status`, `headers` and `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    upstream: Option<QuotedResponse>,
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

/// A query parameter is missing, unknown or wrong.
#[derive(IntoResponses)]
#[response(status = 400, description = "`invalid_query_params`")]
pub(crate) struct InvalidQuery;

/// What the path names does not exist.
#[derive(IntoResponses)]
#[response(status = 404, description = "`not_found`")]
pub(crate) struct NotFound;

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

    /// For requests to which Nango answers 400 if their connection (`unknown_connection`) or integration is not there.
    pub(crate) fn refusing(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownConnection {
                connection,
                integration,
            } => Self::UnknownConnection {
                connection,
                integration,
            },
            other => Self::named(other),
        }
    }

    /// For an action: what its headers name and is not there is 400.
    pub(crate) fn triggering(error: GatewayError) -> Self {
        match error {
            GatewayError::UnknownIntegration(integration) => Self::UnknownProvider(integration),
            other => Self::refusing(other),
        }
    }

    /// For the state of syncs, where a connection that is not there is 400 `invalid_body`.
    pub(crate) fn status(error: GatewayError) -> Self {
        match Self::refusing(error) {
            error @ Self::UnknownConnection { .. } => Self::InvalidBody(vec![FieldError::at(
                "unknown",
                "connection_id",
                error.to_string(),
            )]),
            other => other,
        }
    }

    /// An error at one field of the body.
    pub(crate) fn invalid_body(field: &str, message: &str) -> Self {
        Self::InvalidBody(vec![FieldError::at("invalid", field, message)])
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
            Self::MissingKey | Self::MissingSessionToken => (S::UNAUTHORIZED, "missing_auth_header"),
            Self::MalformedKey => (S::UNAUTHORIZED, "malformed_auth_header"),
            Self::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
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
            Self::NoRoute
            | Self::NoSuchConnection { .. }
            | Self::NoSuchIntegration(_)
            | Self::NoSuchFunction { .. } => (S::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::MissingIntegration => (S::BAD_REQUEST, "missing_provider_config_key"),
            Self::MissingConnection => (S::BAD_REQUEST, "missing_connection_id"),
            Self::UnknownProvider(_) => (S::BAD_REQUEST, "unknown_provider"),
            Self::NoSyncs => (S::BAD_REQUEST, "no_syncs_found"),
            Self::Migrating(_) => (S::SERVICE_UNAVAILABLE, "migrations_pending"),
            Self::UnknownIntegration(_) => (S::BAD_REQUEST, "unknown_provider_config"),
            Self::UnknownConnection { .. } => (S::BAD_REQUEST, "unknown_connection"),
            Self::Gateway(error) => kind::of_gateway(error),
        }
    }

    /// The cause that is for the log and not for the caller, if it is our own.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        (self.kind().0.is_server_error() && !self.tells_callers()).then_some(self)
    }

    /// Whether the cause needs no line in the log: the store logs when the database goes away and when it is back.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Gateway(GatewayError::Store(StoreError::Unavailable(_)))
        )
    }

    /// Whether the message of a server's error is made for callers.
    fn tells_callers(&self) -> bool {
        matches!(
            self,
            Self::Migrating(_)
                | Self::Gateway(
                    GatewayError::ProviderUnavailable { .. }
                        | GatewayError::Request(_)
                        | GatewayError::Action(_)
                )
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
            Self::Gateway(GatewayError::CredentialsRefused { status, code, .. }) => {
                Some(json!({ "provider_status": status, "provider_code": code }))
            }
            Self::Gateway(GatewayError::InvalidCredentials {
                status,
                code,
                connection,
                ..
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

    /// The answer; `request` is the request's id.
    pub(crate) fn response(&self, request: Option<&str>) -> HttpResponse {
        let (status, code) = self.kind();
        let errors = self.fields().map(|fields| {
            let field = |field: &FieldError| ErrorField {
                code: field.code,
                message: excerpt(&field.message, LONGEST_MESSAGE),
                path: field
                    .path
                    .iter()
                    .map(|step| excerpt(step, LONGEST_STEP))
                    .collect(),
            };
            fields.iter().take(MAX_FIELDS).map(field).collect()
        });
        let detail = ErrorDetail {
            code,
            message: excerpt(&self.message(), LONGEST_MESSAGE),
            errors,
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

/// A path whose parts are no text.
pub(crate) fn path_error(_: error::PathError, _: &HttpRequest) -> actix_web::Error {
    ApiError::InvalidPath.into()
}

/// What no route takes.
pub(crate) async fn no_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NoRoute)
}
