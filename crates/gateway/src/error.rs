//! The errors of all use cases, with a variant for each case that a caller handles differently.

mod action_failure;

use std::fmt::Display;
use std::time::Duration;

use domain::{ConnectionName, IntegrationKey};
use registry::Field;
use serde_path_to_error::Segment;
use store::StoreError;
use upstream::RequestError;
use vault::VaultError;

pub use self::action_failure::{ActionFailure, ActionFailureKind};
pub(crate) use self::action_failure::{LOOK_FIRST, MOST_STORED};
use crate::caller::Scope;

/// An invalid value of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// What is wrong, in a word: `missing`, `invalid`, `unknown`.
    pub code: &'static str,
    /// Where: names from the outermost in.
    pub path: Vec<String>,
    /// What is wrong and what would be right; never the value of a secret.
    pub message: String,
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
        let code = match message {
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
pub(crate) fn is_needed(field: Option<&Field>) -> String {
    let what = field.and_then(|field| field.description.as_ref().or(field.title.as_ref()));
    let what = what.map(|what| format!(" ({})", what.trim_end_matches('.')));
    format!("is needed{}", what.unwrap_or_default())
}

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The API key is not one of ours, or was revoked.
    #[error("this API key is not known, or was revoked")]
    UnknownKey,
    /// No integration of that key.
    #[error("there is no integration {0:?}; `trunkline providers list` shows what there is")]
    UnknownIntegration(String),
    /// No provider of that name.
    #[error("there is no provider {0:?}; GET /providers lists those that there are")]
    UnknownProvider(String),
    /// No environment of that name.
    #[error("there is no environment {0:?}")]
    UnknownEnvironment(String),
    /// The environment cannot be deleted.
    #[error("{0}")]
    EnvironmentInUse(String),
    /// No such API key in that environment.
    #[error("there is no API key {0:?} in this environment")]
    UnknownApiKey(String),
    /// No such connection in this environment.
    #[error("there is no connection {connection:?} of {integration:?}")]
    UnknownConnection {
        /// As the caller named it.
        connection: String,
        /// As the caller named it.
        integration: String,
    },
    /// No such run in this environment.
    #[error("there is no run {0:?}")]
    UnknownRun(String),
    /// The integration has no such model.
    #[error("{integration:?} has no model {model:?}; it has: {known}")]
    UnknownModel {
        /// As the caller named it.
        integration: String,
        /// As the caller named it.
        model: String,
        /// Those that it has.
        known: String,
    },
    /// The request's syncs name none that exists.
    #[error("{0}")]
    UnknownSync(String),
    /// The connection has no such variant of the sync.
    #[error("{0}")]
    UnknownVariant(String),
    /// The base variant is there as long as the connection, and cannot be made or deleted.
    #[error("the variant base is every sync's own: it cannot be made or deleted")]
    BaseVariant,
    /// A variant of that name is there already.
    #[error("the sync {sync} of this connection has a variant {variant} already")]
    VariantExists {
        /// The sync.
        sync: String,
        /// The variant.
        variant: String,
    },
    /// There is as much of it as there may be.
    #[error("{0}")]
    Capped(String),
    /// The integration has no such action.
    #[error("{integration:?} has no action {action:?}; it has: {known}")]
    UnknownAction {
        /// As the caller named it.
        integration: String,
        /// As the caller named it.
        action: String,
        /// Those that it has.
        known: String,
    },
    /// No stored action of that id in this environment.
    #[error("there is no action {0:?}; results are kept for five days")]
    UnknownActionResult(String),
    /// The stored action has not ended.
    #[error("the action is not done yet (it is {status}): ask again later")]
    ActionPending {
        /// `queued` or `running`.
        status: &'static str,
    },
    /// An action failed.
    #[error(transparent)]
    Action(Box<ActionFailure>),
    /// An earlier request with the same key is under way.
    #[error(
        "a request with this Idempotency-Key is under way: ask again with the same key to get its answer"
    )]
    KeyInUse,
    /// The key was used for something else.
    #[error("this Idempotency-Key was used with another input; give each thing to be done a key of its own")]
    KeyReused,
    /// The connection got other credentials, or its integration another configuration, while credentials were tried.
    #[error(
        "the connection or its integration was changed while the credentials were tried, and nothing was stored: send this again"
    )]
    ChangedMeanwhile,
    /// A header cannot be taken.
    #[error("the header {name} {message}")]
    InvalidHeader {
        /// Its name.
        name: &'static str,
        /// What would be right.
        message: &'static str,
    },
    /// Fields of the body cannot be taken.
    #[error("the body cannot be taken: see errors")]
    InvalidBody(Vec<FieldError>),
    /// Query parameters cannot be taken.
    #[error("the query cannot be taken: see errors")]
    InvalidQuery(Vec<FieldError>),
    /// The key lacks a scope that this very call needs.
    #[error("this API key may not do that: it lacks the scope {0}")]
    Forbidden(Scope),
    /// A connect session's token is not well-formed.
    #[error("this is no token of a connect session: one is nango_connect_session_ and 64 hex digits")]
    MalformedSessionToken,
    /// A connect session's token is not known, or its session has ended.
    #[error("this connect session is not known, or has ended: make a new one with POST /connect/sessions")]
    UnknownSession,
    /// The connect session has failed too often to try again at once.
    #[error(
        "{failures} attempts in a row with this connect session failed: check the credentials and try again in {} seconds",
        .retry_after.as_secs().max(1)
    )]
    TooManyAttempts {
        /// Failed attempts in a row.
        failures: i64,
        /// When to try again.
        retry_after: Duration,
    },
    /// The connect session does not let connect that integration.
    #[error("this connect session may not connect {0:?}")]
    IntegrationNotAllowed(IntegrationKey),
    /// The integration's provider takes other credentials.
    #[error("{integration:?} takes credentials of the type {wanted}, not {given}")]
    InvalidAuthMode {
        /// The integration.
        integration: IntegrationKey,
        /// The type that it takes.
        wanted: &'static str,
        /// The type that was given.
        given: &'static str,
    },
    /// What a front end gave does not follow the rules of the provider's fields.
    #[error("the fields do not follow the provider's rules: {}", words(.0))]
    ConnectionInvalid(Vec<FieldError>),
    /// Stored credentials were tried because somebody asked for it, and refused.
    #[error("{message}")]
    InvalidCredentials {
        /// What the provider answered and what to do.
        message: String,
        /// The provider's code, if it gave one.
        code: Option<String>,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
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
    /// Somebody tried an OAuth flow.
    #[error("{0}")]
    OauthNotSupported(String),
    /// The provider refused the credentials; nothing was stored.
    #[error("{message}")]
    CredentialsRefused {
        /// What the provider answered and what to do.
        message: String,
        /// The provider's code, if it gave one.
        code: Option<String>,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
    },
    /// With what was given, the provider cannot be called; nothing was stored.
    #[error("{0}")]
    Uncallable(String),
    /// The provider could not be reached, or had an error of its own; nothing was stored.
    #[error("{message}")]
    ProviderUnavailable {
        /// What happened.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A call was not handed on, or the provider did not answer it.
    #[error("{0}")]
    Request(#[source] RequestError),
    /// The encryption keys do not fit the database; the text says what to do.
    #[error("{0}")]
    EncryptionKey(String),
    /// A credential cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ActionFailure> for GatewayError {
    fn from(failure: ActionFailure) -> Self {
        Self::Action(Box::new(failure))
    }
}

impl GatewayError {
    /// An invalid field of the body.
    pub(crate) fn invalid_body(field: &str, message: impl Into<String>) -> Self {
        Self::InvalidBody(vec![FieldError::at("invalid", field, message)])
    }

    /// For a connection that is not there (any more).
    pub(crate) fn unknown_connection(connection: &ConnectionName, integration: &IntegrationKey) -> Self {
        Self::UnknownConnection {
            connection: connection.to_string(),
            integration: integration.to_string(),
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
