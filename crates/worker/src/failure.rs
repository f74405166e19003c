//! Why a run did not come to its end, and what is told of it.

use domain::RunError;
use gateway::{GatewayError, permission_hint};
use store::StoreError;
use upstream::{CallError, ProviderError};

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
    Call(#[from] CallError),
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
            Self::Call(error) => error.provider().is_some_and(|answer| answer.unauthorized),
            _ => false,
        }
    }

    /// The provider's refusal because of who asks, of which nobody knows yet whether it refuses the key as a whole.
    pub(crate) fn denial(&self) -> Option<&ProviderError> {
        match self {
            Self::Call(error) => error.provider().filter(|answer| answer.denies_access()),
            _ => None,
        }
    }

    /// Whether the database could not be used, which says nothing of the sync.
    pub(crate) fn database_is_away(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// Whether the provider has no such thing.
    pub(crate) fn not_found(&self) -> bool {
        matches!(self, Self::Call(error) if error.provider().is_some_and(|answer| answer.not_found))
    }

    /// Whether the provider refused the request for what it asks, so that asking again is of no use.
    pub(crate) fn refused(&self) -> bool {
        matches!(self, Self::Call(CallError::Provider(answer))
            if (400..500).contains(&answer.status) && !answer.rate_limited && !answer.unauthorized)
    }

    /// Writes the run's failure to the log.
    ///
    /// What a provider answered stays out of it, since it may hold personal data; the run's row has it.
    pub(crate) fn log(&self) {
        let RunError { code, message, hint } = self.tell();
        let quotes_provider = match self {
            Self::Call(error) => error.provider().is_some(),
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
            Self::Call(error) => call_code_and_hint(error),
            Self::NotPermitted(answer) => (own_code(answer), Some(permission_hint(answer).to_owned())),
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

/// The provider's code, or one by the status.
fn own_code(answer: &ProviderError) -> String {
    match &answer.code {
        Some(code) => code.clone(),
        None if answer.status < 300 => "error_in_response".to_owned(),
        None => format!("http_{}", answer.status),
    }
}

fn call_code_and_hint(error: &CallError) -> (String, Option<String>) {
    if let Some(answer) = error.provider() {
        let code = if answer.unauthorized {
            "invalid_credentials".to_owned()
        } else if answer.rate_limited {
            "rate_limited".to_owned()
        } else {
            own_code(answer)
        };
        return (code, answer.hint.clone());
    }
    let told = |code: &str, hint: &str| (code.to_owned(), Some(hint.to_owned()));
    match error {
        CallError::AddressRefused { .. } => told(
            "address_refused",
            "Set TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES=true if this address is meant.",
        ),
        CallError::ForeignLink { .. } => told(
            "foreign_link",
            "The link was not followed. Declare the server in the provider's file if it is the provider's own.",
        ),
        CallError::BadNext { .. } => told(
            "next_page_unreadable",
            "Compare `paginate` in the provider's file with the provider's documentation.",
        ),
        CallError::TooLarge { .. } => told(
            "response_too_large",
            "The rest was not read. Let the provider's file ask for smaller pages (`limit` of `paginate`, or a parameter of `request`), or raise TRUNKLINE_UPSTREAM__MAX_BODY_MB.",
        ),
        CallError::UnknownCoding { .. } | CallError::Undecodable { .. } => told(
            "response_not_decodable",
            "The provider, or something between here and it, sent a body that is not what its Content-Encoding says. The run is tried again by itself.",
        ),
        CallError::NoMemory { .. } => told(
            "memory_budget",
            "Many large responses are read at once. The run is tried again by itself; raise TRUNKLINE_UPSTREAM__MEMORY_MB if it happens often.",
        ),
        CallError::NotJson { .. } => told(
            "unreadable_page",
            "Something between here and the provider answered in its place, or the provider is disturbed. The run is tried again by itself.",
        ),
        CallError::TimedOut { .. } | CallError::DeadlineExceeded { .. } | CallError::Crowded { .. } => told(
            "timed_out",
            "The provider is slow. The run is tried again by itself.",
        ),
        other if other.is_transient() => told(
            "unreachable",
            "The provider could not be reached. The run is tried again by itself.",
        ),
        _ => (
            "provider_file".to_owned(),
            Some("Check the provider's file with `trunkline providers check`.".to_owned()),
        ),
    }
}
