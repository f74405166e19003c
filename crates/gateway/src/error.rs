//! What can go wrong in a use case, as the caller must tell it apart.

use std::time::Duration;

use store::StoreError;
use vault::VaultError;

/// A value that somebody sent and that cannot be taken.
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
    /// An error at one field of the outermost object.
    pub fn at(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            path: vec![field.into()],
            message: message.into(),
        }
    }
}

/// Why a use case was not carried out.
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
    /// Fields of the body cannot be taken.
    #[error("the body cannot be taken: see errors")]
    InvalidBody(Vec<FieldError>),
    /// Query parameters cannot be taken.
    #[error("the query cannot be taken: see errors")]
    InvalidQuery(Vec<FieldError>),
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
    /// The provider could not be reached, or had an error of its own; nothing was stored.
    #[error("{message}")]
    ProviderUnavailable {
        /// What happened.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A credential cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}
