//! Why an action failed, as it is stored and returned to callers.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use upstream::QuotedResponse;

/// Why an action failed. Stored with the action, so its fields keep their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ActionFailure {
    /// The kind of failure.
    pub kind: ActionFailureKind,
    /// What happened and what to do.
    pub message: String,
    /// The provider's response, if there is one.
    pub upstream: Option<QuotedResponse>,
    /// Seconds to wait before another try, if waiting helps.
    pub retry_after: Option<u64>,
}

/// The kind of an action's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionFailureKind {
    /// The provider refused the request.
    Refused,
    /// The provider cannot be reached or is overloaded; nothing was done.
    Unavailable,
    /// A rate limit of the provider, or of its file, was reached; nothing was done.
    RateLimited,
    /// The request was sent, and it is unknown whether it was carried out.
    OutcomeUnknown,
    /// The request cannot be made as the provider's file and the connection are.
    Impossible,
    /// The action was carried out, and its response is too large to be stored.
    AnswerTooLarge,
}

/// The most bytes of an action's output, as JSON, that are stored.
pub(crate) const MOST_STORED: usize = 1 << 20;
/// What to do if it is unknown whether the action was carried out.
pub(crate) const LOOK_FIRST: &str = "It may or may not have been carried out. It is not retried automatically, since that could do it twice. \
                          Look at the provider before you send it again.";

impl ActionFailure {
    fn new(kind: ActionFailureKind, message: String) -> Self {
        Self {
            kind,
            message,
            upstream: None,
            retry_after: None,
        }
    }

    /// The process that carried out the action ended before it was done.
    pub(crate) fn outcome_unknown() -> Self {
        let message =
            format!("the process that carried out the action ended before it was done. {LOOK_FIRST}");
        Self::new(ActionFailureKind::OutcomeUnknown, message)
    }

    /// The action could not be carried out for a reason on our side.
    pub(crate) fn impossible(message: String) -> Self {
        Self::new(ActionFailureKind::Impossible, message)
    }

    /// The action was carried out, and its output of so many bytes is not stored.
    pub(crate) fn answer_too_large(bytes: usize) -> Self {
        let message = format!(
            "the action was carried out, and its answer of {bytes} bytes was not stored, since it is larger than {MOST_STORED} bytes. \
             Look at the provider for what it did, and do not send it again"
        );
        Self::new(ActionFailureKind::AnswerTooLarge, message)
    }

    /// Reads a stored failure; returns another failure if a different version wrote it.
    pub(crate) fn stored(error: Option<&Json>) -> Self {
        // Read from text, since serde_json changes some numbers when it reads from a value.
        let read = error.and_then(|error| serde_json::from_str(&error.to_string()).ok());
        read.unwrap_or_else(|| Self::impossible("the stored failure cannot be read".to_owned()))
    }
}
