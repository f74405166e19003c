//! Why a run failed, and what its row and the log say about it.

use domain::RunError;
use gateway::{GatewayError, permission_hint};
use store::StoreError;
use upstream::{Outcome, ProviderError, RequestError};

use crate::page::PageError;

/// The most characters of a message that a run's row keeps.
const LONGEST_MESSAGE: usize = 2_000;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Another worker has the sync now. Nothing of this run may be written any more.
    #[error("another worker has claimed the sync")]
    LeaseLost,
    /// The process is about to end. The next one continues the run.
    #[error("the worker is stopping")]
    Stopping,
    /// A request to the provider failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The credentials are good, but have no permission to read this sync.
    #[error("the key has no permission to read this: {0}")]
    NotPermitted(ProviderError),
    /// The credentials are good, but the account has a problem.
    #[error("{0}")]
    Account(String),
    /// A page cannot be parsed.
    #[error("the response is not the expected list: {0}")]
    Unreadable(PageError),
    /// A page leads back to an earlier one, or has the same records.
    #[error("the list does not end: a page leads back to an earlier one, or has the same records")]
    PageRepeats,
    /// A list has too many empty pages in a row.
    #[error("the list does not end: {bound} empty pages in a row, the most that one run reads")]
    EmptyPages {
        /// The limit.
        bound: u64,
    },
    /// A list has more pages than one run reads.
    #[error("the list does not end: {bound} pages, the most that one run reads")]
    TooManyPages {
        /// The limit.
        bound: u64,
    },
    /// Too many rows would be marked as deleted.
    #[error(
        "{missing} of {live} rows are missing at the provider, more than the share of {guard} that one run may mark as deleted"
    )]
    DeleteGuard {
        /// Rows that would be marked.
        missing: u64,
        /// Live rows of the connection.
        live: u64,
        /// The share allowed.
        guard: f64,
    },
    /// The provider file no longer declares the sync.
    #[error("the provider file no longer declares this sync")]
    NotDeclared,
    /// A use case or the vault failed.
    #[error(transparent)]
    Gateway(GatewayError),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// A task of the run panicked.
    #[error("a task of the run ended unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost => Self::LeaseLost,
            other => Self::Store(other),
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Store(error) => error.into(),
            other => Self::Gateway(other),
        }
    }
}

impl Failure {
    /// Returns the provider's refusal of a request.
    pub(crate) fn refusal(&self) -> Option<&ProviderError> {
        match self {
            Self::Request(error) => error.provider(),
            _ => None,
        }
    }

    /// Whether the provider says that the credentials are bad.
    pub(crate) fn unauthorized(&self) -> bool {
        matches!(
            self,
            Self::Account(_) | Self::Gateway(GatewayError::CredentialsLost(_))
        ) || self.refusal().is_some_and(|refusal| refusal.unauthorized)
    }

    /// Returns a refusal that is about the key. A verification must show whether the provider refuses the key as a whole.
    pub(crate) fn denial(&self) -> Option<&ProviderError> {
        self.refusal().filter(|refusal| refusal.denies_access())
    }

    /// Whether the database was unavailable, which says nothing about the sync.
    pub(crate) fn database_is_away(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// Whether the provider says "not found".
    pub(crate) fn not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.not_found)
    }

    /// Whether the provider refused the request itself, so that a retry is of no use.
    pub(crate) fn refused(&self) -> bool {
        matches!(self, Self::Request(error) if error.verdict().outcome == Outcome::Refused)
    }

    /// Logs the failure.
    ///
    /// The log omits the provider's message, since it may contain personal data. The run's row has it.
    pub(crate) fn log(&self) {
        let RunError { code, message, hint } = self.to_run_error();
        let quotes_provider = self.refusal().is_some()
            || matches!(
                self,
                Self::NotPermitted(_) | Self::Account(_) | Self::Unreadable(_)
            );
        let error = (!quotes_provider).then_some(message);
        tracing::warn!(error.code = code, error, error.hint = hint, "the run failed");
    }

    /// Returns the error for the run's row.
    pub(crate) fn to_run_error(&self) -> RunError {
        let (code, hint) = self.code_and_hint();
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let text = source.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = source.source();
        }
        // It may quote a provider or a caller.
        let message = upstream::excerpt(&message, LONGEST_MESSAGE);
        RunError { code, message, hint }
    }

    fn code_and_hint(&self) -> (String, Option<String>) {
        let (code, hint) = match self {
            Self::Request(error) => return error.run_code_and_hint(),
            Self::NotPermitted(refusal) => {
                return (refusal.own_code(), Some(permission_hint(refusal).to_owned()));
            }
            Self::Account(_) | Self::Gateway(GatewayError::CredentialsLost(_)) => ("invalid_credentials", ""),
            Self::Unreadable(_) => (
                "unreadable_page",
                "If this continues, the provider has changed its responses: compare them with `records` in the provider file.",
            ),
            Self::PageRepeats => (
                "page_repeats",
                "Compare `paginate` in the provider file with the provider's documentation.",
            ),
            Self::EmptyPages { .. } => (
                "list_without_end",
                "Compare `paginate` in the provider file with the provider's documentation: what marks the end of the list?",
            ),
            Self::TooManyPages { .. } => (
                "list_without_end",
                "The pages that were read are stored, and if the position in the list is stored, too, the next run continues there. If the list is not that long, compare `paginate` in the provider file with the provider's documentation.",
            ),
            Self::DeleteGuard { .. } => (
                "delete_guard",
                "No row was marked as deleted. If the provider really deleted the rows, raise `deletes.guard` in a copy of the provider file, or trigger the sync with opts {\"reset\": true, \"emptyCache\": true} to load everything again.",
            ),
            Self::NotDeclared => (
                "sync_not_declared",
                "Put the sync back into the provider file, or delete the connection.",
            ),
            Self::Gateway(GatewayError::IntegrationSecretsLost(_)) => ("integration_secrets_lost", ""),
            Self::Gateway(GatewayError::Vault(_)) => (
                "credentials_unreadable",
                "The encryption key is not the one that encrypted them: put that key back, or connect again.",
            ),
            Self::Gateway(GatewayError::UnknownIntegration(_)) => (
                "provider_missing",
                "The provider file is missing: restore it in `integrations_dir`.",
            ),
            Self::Gateway(_) | Self::Store(_) | Self::Task(_) => (
                "internal",
                "The worker's log has the cause. The run is retried automatically.",
            ),
            Self::LeaseLost | Self::Stopping => ("interrupted", ""),
        };
        (code.to_owned(), (!hint.is_empty()).then(|| hint.to_owned()))
    }
}
