//! The errors of all use cases, with a variant for each case that a caller handles differently.

mod action_failure;
mod attempt;

use std::fmt::Display;
use std::time::Duration;

use domain::{ConnectionName, IntegrationKey};
use registry::Field;
use serde::Serialize;
use serde_path_to_error::Segment;
use store::{DbConn, StoreError};
use upstream::RequestError;
use utoipa::ToSchema;
use vault::VaultError;

pub use self::action_failure::{ActionFailure, ActionFailureKind};
pub(crate) use self::action_failure::{LOOK_FIRST, MOST_STORED};
pub(crate) use self::attempt::{AttemptError, request_failed};
use crate::caller::Scope;

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ErrorField)]
pub struct FieldError {
    /// `missing`, `invalid` or `unknown`.
    #[schema(example = "missing")]
    pub code: &'static str,
    // Never has a secret.
    /// What is wrong, and what to do.
    pub message: String,
    /// The path to the field, from the outermost name.
    #[schema(example = json!(["connectionId"]))]
    pub path: Vec<String>,
}

impl FieldError {
    /// An error at the field with this path.
    pub fn new<Name: Into<String>>(
        code: &'static str,
        path: impl IntoIterator<Item = Name>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            path: path.into_iter().map(Into::into).collect(),
            message: message.into(),
        }
    }

    /// An error at a field of the outermost object.
    pub fn at(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, [field.into()], message)
    }

    /// An error of a typed query or body, whose path begins with `prefix`. A missing field is not part of the path; the message names it.
    pub fn from_serde(prefix: &[&str], error: serde_path_to_error::Error<impl Display>) -> Self {
        let mut path: Vec<String> = prefix.iter().map(|step| (*step).to_owned()).collect();
        path.extend(error.path().iter().map(|step| match step {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => String::new(),
        }));
        let message = error.into_inner().to_string();
        // The path says where.
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        // Serde names the Rust type; a caller knows it as an object.
        let message = match message.rsplit_once(", expected struct ") {
            Some((found, name)) if name.chars().all(char::is_alphanumeric) => {
                format!("{found}, expected an object")
            }
            _ => message.to_owned(),
        };
        let code = match message.as_str() {
            _ if message.starts_with("unknown field") => "unknown",
            _ if message.starts_with("missing field") => "missing",
            _ => "invalid",
        };
        Self::new(code, path, message)
    }

    /// An error at the field `name` of the object with the path `parent`.
    pub(crate) fn within(
        code: &'static str,
        parent: &[&str],
        name: &str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(code, parent.iter().copied().chain([name]), message)
    }

    /// An error at a field that the object with the path `parent` does not have; `known` are those that it has.
    pub(crate) fn unknown<'a>(parent: &[&str], name: &str, known: impl Iterator<Item = &'a String>) -> Self {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let known = if known.is_empty() {
            "nothing".to_owned()
        } else {
            known.join(", ")
        };
        Self::within(
            "unknown",
            parent,
            name,
            format!("is not known here; there is {known}"),
        )
    }
}

/// The message for a value that is missing, with what the provider's file says of it.
pub(crate) fn missing_message(field: Option<&Field>) -> String {
    let what = field.and_then(|field| field.description.as_ref().or(field.title.as_ref()));
    let what = what.map(|what| format!(" ({})", what.trim_end_matches('.')));
    format!("is required{}", what.unwrap_or_default())
}

/// Returns an error and its sources on one line, for the log.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = errors.map(ToString::to_string).collect();
    texts.join(": ")
}

/// How a provider refused credentials.
#[derive(Debug)]
pub struct Refusal {
    /// The provider's response and what to do.
    pub message: String,
    /// The provider's code, if any.
    pub code: Option<String>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
}

/// The result of a use case.
pub type Result<T, E = GatewayError> = std::result::Result<T, E>;

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The API key is unknown or revoked.
    #[error("unknown or revoked API key")]
    UnknownKey,
    /// The integration does not exist.
    #[error("there is no integration {0:?}; `trunkline providers list` shows what there is")]
    UnknownIntegration(String),
    /// The environment cannot be deleted.
    #[error("{0}")]
    EnvironmentInUse(String),
    /// No such connection in this environment.
    #[error("there is no connection {connection:?} of {integration:?}")]
    UnknownConnection {
        /// The name in the request.
        connection: String,
        /// The name in the request.
        integration: String,
    },
    /// Something else that the request names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// None of the request's syncs exists.
    #[error("{0}")]
    UnknownSync(String),
    /// The base variant always exists, and cannot be created or deleted.
    #[error("the variant `base` always exists: it cannot be created or deleted")]
    BaseVariant,
    /// The variant already exists.
    #[error("the sync {sync} of this connection already has the variant {variant}")]
    VariantExists {
        /// The sync.
        sync: String,
        /// The variant.
        variant: String,
    },
    /// The quota is used up.
    #[error("{0}")]
    Capped(String),
    /// The stored action has not ended.
    #[error("the action has not finished (status {status}): request its result again later")]
    ActionPending {
        /// `queued` or `running`.
        status: &'static str,
    },
    /// An action failed.
    #[error(transparent)]
    Action(Box<ActionFailure>),
    /// An earlier request with the same key is in progress.
    #[error(
        "a request with this Idempotency-Key is in progress: send it again with the same key to get its result"
    )]
    KeyInUse,
    /// The key was used with another input.
    #[error("this Idempotency-Key was used with another input: use a new key for each action")]
    KeyReused,
    /// The connection or its integration changed while the credentials were verified.
    #[error(
        "the connection or its integration changed during the verification, and nothing was stored: send the request again"
    )]
    ChangedMeanwhile,
    /// A header is invalid.
    #[error("the header {name} {message}")]
    InvalidHeader {
        /// Its name.
        name: &'static str,
        /// What its value must be.
        message: &'static str,
    },
    /// The body is invalid.
    #[error("the body is invalid: see `errors`")]
    InvalidBody(Vec<FieldError>),
    /// The query is invalid.
    #[error("the query is invalid: see `errors`")]
    InvalidQuery(Vec<FieldError>),
    /// The key lacks a scope that this request needs.
    #[error("the API key lacks the scope {0}")]
    Forbidden(Scope),
    /// A connect session's token is not well-formed.
    #[error("invalid connect session token: it must be nango_connect_session_ and 64 hex digits")]
    MalformedSessionToken,
    /// The token of a connect session is unknown, or its session has ended.
    #[error("unknown or ended connect session: create a new one with POST /connect/sessions")]
    UnknownSession,
    /// The connect session must wait after too many failures.
    #[error(
        "{failures} attempts in a row with this connect session failed: check the credentials and try again in {} seconds",
        .retry_after.as_secs().max(1)
    )]
    TooManyAttempts {
        /// Failed attempts in a row.
        failures: i64,
        /// The time until the next attempt.
        retry_after: Duration,
    },
    /// The connect session does not allow the integration.
    #[error("this connect session does not allow the integration {0:?}")]
    IntegrationNotAllowed(IntegrationKey),
    /// The integration's provider needs other credentials.
    #[error("{integration:?} needs credentials of the type {wanted} (got {given})")]
    InvalidAuthMode {
        /// The integration.
        integration: IntegrationKey,
        /// The required type.
        wanted: &'static str,
        /// The type in the request.
        given: &'static str,
    },
    /// The values of a front end break the rules of the provider's fields.
    #[error("the fields do not follow the provider's rules: {}", words(.0))]
    ConnectionInvalid(Vec<FieldError>),
    /// The provider refused stored credentials in a requested verification.
    #[error("{}", .refusal.message)]
    InvalidCredentials {
        /// How.
        refusal: Refusal,
        /// The connection.
        connection: ConnectionName,
    },
    /// The credentials were given up with the encryption key that sealed them.
    #[error(
        "the credentials of the connection {0:?} are lost with the encryption key that sealed them: connect again with new ones"
    )]
    CredentialsLost(ConnectionName),
    /// The secret fields of the integration's configuration were given up with the encryption key that sealed them.
    #[error(
        "the secret fields of integration_config of {0:?} are lost with the encryption key that sealed them: set them again with PATCH \
         /integrations/{0}"
    )]
    IntegrationSecretsLost(IntegrationKey),
    /// The caller tried an OAuth flow.
    #[error("{0}")]
    OauthNotSupported(String),
    /// The provider refused the credentials; nothing was stored.
    #[error("{}", .0.message)]
    CredentialsRefused(Refusal),
    /// The given values allow no request to the provider; nothing was stored.
    #[error("{0}")]
    Uncallable(String),
    /// The provider could not be reached, or failed; nothing was stored.
    #[error("{message}")]
    ProviderUnavailable {
        /// What happened.
        message: String,
        /// The time until the next attempt.
        retry_after: Duration,
    },
    /// A request to a webhook address does not come from the provider, as far as can be verified. The reason is only logged.
    #[error("the request is not accepted")]
    WebhookRefused,
    /// A request at a webhook address is too large, or brings too many events.
    #[error("the request is larger than what is accepted")]
    WebhookTooLarge,
    /// Too many events of a webhook address wait to be processed.
    #[error("too many events wait: send this one again later")]
    WebhookBacklog,
    /// The secrets of the connection behind a webhook address cannot be opened.
    #[error("requests to this address cannot be verified now: connect the account again")]
    WebhookUnready,
    /// The webhook subscription is being changed by another request.
    #[error("this subscription is being changed by another request or by the worker: try again in a minute")]
    SubscriptionBusy,
    /// The webhook subscription is being ended.
    #[error(
        "this subscription is being ended: wait until it is gone, or remove it with DELETE and forget=true"
    )]
    SubscriptionEnding,
    /// A request was not forwarded, or the provider did not respond.
    #[error("{0}")]
    Request(#[source] RequestError),
    /// The encryption keys do not fit the database; the text says what to do.
    #[error("{0}")]
    EncryptionKey(String),
    /// A credential cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ActionFailure> for GatewayError {
    fn from(failure: ActionFailure) -> Self {
        Self::Action(Box::new(failure))
    }
}

/// Makes a transaction of a body that may refuse the request. A refusal is not a failure of the database, so what was written before it is
/// committed.
pub(crate) fn refusable<T>(
    body: impl FnOnce(&mut DbConn) -> Result<T>,
) -> impl FnOnce(&mut DbConn) -> Result<Result<T>, StoreError> {
    move |c| match body(c) {
        Err(GatewayError::Store(error)) => Err(error),
        result => Ok(result),
    }
}

impl GatewayError {
    /// Returns a function that turns a missing row into the error `unknown`, and keeps other errors of the database.
    pub(crate) fn or_unknown(unknown: impl FnOnce() -> Self) -> impl FnOnce(StoreError) -> Self {
        move |error| match error {
            StoreError::NotFound { .. } => unknown(),
            other => other.into(),
        }
    }

    /// Refuses a body that has errors.
    pub(crate) fn check_body(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self::InvalidBody(errors))
        }
    }

    /// An invalid field of the body.
    pub(crate) fn invalid_body(field: &str, message: impl Into<String>) -> Self {
        Self::InvalidBody(vec![FieldError::at("invalid", field, message)])
    }

    /// Returns the error for a connection that does not exist.
    pub(crate) fn unknown_connection(connection: &str, integration: &str) -> Self {
        Self::UnknownConnection {
            connection: connection.to_owned(),
            integration: integration.to_owned(),
        }
    }
}

/// Errors of fields in a sentence, for clients that show nothing but the message.
fn words(errors: &[FieldError]) -> String {
    let words: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.path.join("."), error.message))
        .collect();
    words.join("; ")
}
