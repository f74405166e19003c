//! Why a run did not come to its end, and what is told of it.

use domain::RunError;
use gateway::{GatewayError, permission_hint};
use store::StoreError;
use upstream::{Outcome, ProviderError, RequestError};

use crate::page::PageError;

/// Characters of a message that a run keeps.
const LONGEST_MESSAGE: usize = 2_000;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Another worker has the sync now; nothing of this run may be written any more.
    #[error("another worker has taken the sync over")]
    LeaseLost,
    /// The process is about to end; the run goes on in the next one.
    #[error("the worker is stopping")]
    Stopping,
    /// The provider, or the way to it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The credentials are good, and the provider refuses what the sync requests.
    #[error("the key may not read this: {0}")]
    NotPermitted(ProviderError),
    /// The credentials are good and the account is not.
    #[error("{0}")]
    Account(String),
    /// A page that cannot be read.
    #[error("the provider's answer is not the list that was expected: {0}")]
    Unreadable(PageError),
    /// A page leads back to one before it, or shows the same records.
    #[error("the list turns in a circle: a page leads back to an earlier one, or shows the same records")]
    PageRepeats,
    /// A list goes on with empty pages.
    #[error(
        "the list goes on and on without records: {bound} empty pages in a row, the most that one run reads"
    )]
    EmptyPages {
        /// The bound.
        bound: u64,
    },
    /// A list is longer than one run reads.
    #[error("the list does not end: {bound} pages, the most that one run reads of it")]
    TooManyPages {
        /// The bound.
        bound: u64,
    },
    /// Too many rows would be marked deleted.
    #[error(
        "{missing} of {live} rows are gone from the provider, more than the share of {guard} that one run may mark deleted"
    )]
    DeleteGuard {
        /// Rows that would be marked.
        missing: u64,
        /// Live rows of the connection.
        live: u64,
        /// The share allowed.
        guard: f64,
    },
    /// The file no longer declares the sync.
    #[error("the provider's file declares no such sync any more")]
    NotDeclared,
    /// A use case, or the vault.
    #[error(transparent)]
    Gateway(GatewayError),
    /// The database.
    #[error(transparent)]
    Store(StoreError),
    /// A task of the run was lost.
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
    /// Whether the provider says that the credentials are not good.
    pub(crate) fn unauthorized(&self) -> bool {
        match self {
            Self::Account(_) | Self::Gateway(GatewayError::CredentialsLost(_)) => true,
            Self::Request(error) => error.provider().is_some_and(|refusal| refusal.unauthorized),
            _ => false,
        }
    }

    /// The provider's refusal because of who asks, of which nobody knows yet whether it refuses the key as a whole.
    pub(crate) fn denial(&self) -> Option<&ProviderError> {
        match self {
            Self::Request(error) => error.provider().filter(|refusal| refusal.denies_access()),
            _ => None,
        }
    }

    /// Whether the database could not be used, which says nothing of the sync.
    pub(crate) fn database_is_away(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// Whether the provider has no such thing.
    pub(crate) fn not_found(&self) -> bool {
        matches!(self, Self::Request(error) if error.provider().is_some_and(|refusal| refusal.not_found))
    }

    /// Whether the provider refused the request for what it asks, so that asking again is of no use.
    pub(crate) fn refused(&self) -> bool {
        matches!(self, Self::Request(error) if error.verdict().outcome == Outcome::Refused)
    }

    /// Writes the run's failure to the log.
    ///
    /// What a provider answered stays out of it, since it may hold personal data; the run's row has it.
    pub(crate) fn log(&self) {
        let RunError { code, message, hint } = self.tell();
        let quotes_provider = match self {
            Self::Request(error) => error.provider().is_some(),
            Self::NotPermitted(_) | Self::Account(_) | Self::Unreadable(_) => true,
            _ => false,
        };
        let error = (!quotes_provider).then_some(message);
        tracing::warn!(error.code = code, error, error.hint = hint, "the run failed");
    }

    /// What the run's row tells.
    pub(crate) fn tell(&self) -> RunError {
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
        // It may quote what a provider or a caller wrote.
        let message = upstream::excerpt(&message, LONGEST_MESSAGE);
        RunError { code, message, hint }
    }

    fn code_and_hint(&self) -> (String, Option<String>) {
        let told = |code: &str, hint: &str| (code.to_owned(), Some(hint.to_owned()));
        match self {
            Self::Request(error) => error.run_code_and_hint(),
            Self::NotPermitted(refusal) => (refusal.own_code(), Some(permission_hint(refusal).to_owned())),
            Self::Account(_) | Self::Gateway(GatewayError::CredentialsLost(_)) => {
                ("invalid_credentials".to_owned(), None)
            }
            Self::Unreadable(_) => told(
                "unreadable_page",
                "If it stays so, the provider has changed its answers: compare them with `records` in the provider's file.",
            ),
            Self::PageRepeats => told(
                "page_repeats",
                "Compare `paginate` in the provider's file with the provider's documentation.",
            ),
            Self::EmptyPages { .. } => told(
                "list_without_end",
                "Compare `paginate` in the provider's file with the provider's documentation: what tells the end of the list?",
            ),
            Self::TooManyPages { .. } => told(
                "list_without_end",
                "What was read is stored, and where places in the list are stored the next run goes on there. If the list is not that long, compare `paginate` in the provider's file with the provider's documentation.",
            ),
            Self::DeleteGuard { .. } => told(
                "delete_guard",
                "Nothing was marked deleted. If they really are gone, raise `deletes.guard` in a copy of the provider's file, or trigger the sync with opts {\"reset\": true, \"emptyCache\": true} to load it anew.",
            ),
            Self::NotDeclared => told(
                "sync_not_declared",
                "Delete the connection, or put the sync back into the provider's file.",
            ),
            Self::Gateway(GatewayError::IntegrationSecretsLost(_)) => {
                ("integration_secrets_lost".to_owned(), None)
            }
            Self::Gateway(GatewayError::Vault(_)) => told(
                "credentials_unreadable",
                "The encryption key is not the one that sealed them: put that key back, or connect again.",
            ),
            Self::Gateway(GatewayError::UnknownIntegration(_)) => told(
                "provider_missing",
                "The provider's file is gone: put it back into the folder of integrations.",
            ),
            Self::Gateway(_) | Self::Store(_) | Self::Task(_) => told(
                "internal",
                "The log of the worker says more. The run is tried again by itself.",
            ),
            Self::LeaseLost | Self::Stopping => ("interrupted".to_owned(), None),
        }
    }
}
