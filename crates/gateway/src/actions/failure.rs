//! Why an action failed, as it is stored and shown.

use std::time::Duration;

use registry::Provider;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use upstream::{FailedRequest, Outcome, QuotedResponse};

use crate::GatewayError;

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

/// Why an attempt of an action failed, and whether another may succeed.
pub(crate) enum AttemptError {
    /// The request to the provider failed.
    Request {
        failure: Box<ActionFailure>,
        /// It is known that nothing was done.
        nothing_done: bool,
        /// How long to wait at least before the same may succeed; `None` if it will not.
        retry_after: Option<Duration>,
    },
    /// It failed before the request.
    Before(GatewayError),
}

impl From<GatewayError> for AttemptError {
    fn from(error: GatewayError) -> Self {
        Self::Before(error)
    }
}

impl From<AttemptError> for GatewayError {
    fn from(failed: AttemptError) -> Self {
        match failed {
            AttemptError::Request { failure, .. } => Self::Action(failure),
            AttemptError::Before(error) => error,
        }
    }
}

impl From<ActionFailure> for GatewayError {
    fn from(failure: ActionFailure) -> Self {
        Self::Action(Box::new(failure))
    }
}

/// The most bytes of an action's output, as JSON, that are stored.
pub(super) const MOST_STORED: usize = 1 << 20;
/// Seconds to wait before another try if the provider does not say.
const RETRY_AFTER: u64 = 30;
/// What to do if it is unknown whether the action was carried out.
const LOOK_FIRST: &str = "It may or may not have been carried out. It is not retried automatically, since that could do it twice. \
                          Look at the provider before you send it again.";

impl ActionFailure {
    /// The process that carried out the action ended before it was done.
    pub(crate) fn outcome_unknown() -> Self {
        Self {
            kind: ActionFailureKind::OutcomeUnknown,
            message: format!("the process that carried the action out ended in the middle. {LOOK_FIRST}"),
            upstream: None,
            retry_after: None,
        }
    }

    /// The action could not be carried out for a reason on our side.
    pub(crate) fn impossible(message: String) -> Self {
        Self {
            kind: ActionFailureKind::Impossible,
            message,
            upstream: None,
            retry_after: None,
        }
    }

    /// The action was carried out, and its output of so many bytes is not stored.
    pub(super) fn answer_too_large(bytes: usize) -> Self {
        Self {
            kind: ActionFailureKind::AnswerTooLarge,
            message: format!(
                "the action was carried out, and its answer of {bytes} bytes was not stored, since it is larger than {MOST_STORED} bytes. \
                 Look at the provider for what it did, and do not send it again"
            ),
            upstream: None,
            retry_after: None,
        }
    }

    /// Reads a stored failure; returns another failure if a different version wrote it.
    pub(crate) fn stored(error: Option<&Json>) -> Self {
        // Read from text, since serde_json changes some numbers when it reads from a value.
        let read = error.and_then(|error| serde_json::from_str(&error.to_string()).ok());
        read.unwrap_or_else(|| Self::impossible("the stored failure cannot be read".to_owned()))
    }
}

/// Makes the failure of an action whose request failed.
pub(super) fn request_failed(provider: &Provider, repeatable: bool, failed: FailedRequest) -> AttemptError {
    let name = &provider.display_name;
    let FailedRequest { error, response } = failed;
    let verdict = error.verdict();
    let (transient, nothing_done) = (error.is_transient(), verdict.nothing_done);
    let (kind, message) = match (verdict.outcome, error.provider()) {
        (Outcome::RateLimited, _) if nothing_done => (
            ActionFailureKind::RateLimited,
            format!("{name} takes no more requests now: {error}. Nothing was done."),
        ),
        (Outcome::Transient, _) if nothing_done => (
            ActionFailureKind::Unavailable,
            format!("{name} cannot do it now: {error}. Nothing was done."),
        ),
        (_, Some(refusal)) => {
            let code = refusal.code.as_ref().map(|code| format!(", code {code}"));
            let words = refusal.message.as_ref().map(|words| format!(": {words:?}"));
            let hint = refusal.hint.as_ref().map(|hint| format!(" {hint}"));
            let unsure = (!nothing_done && !repeatable).then(|| format!(" {LOOK_FIRST}"));
            (
                ActionFailureKind::Refused,
                format!(
                    "{name} refused (HTTP {}{}){}.{}{}",
                    refusal.status,
                    code.unwrap_or_default(),
                    words.unwrap_or_default(),
                    hint.unwrap_or_default(),
                    unsure.unwrap_or_default(),
                ),
            )
        }
        (_, None) if nothing_done => (
            ActionFailureKind::Impossible,
            format!("the request to {name} could not be made: {error}"),
        ),
        (_, None) if repeatable && transient => (
            ActionFailureKind::Unavailable,
            format!("{name} sent no usable response: {error}. It may be tried again."),
        ),
        (_, None) if repeatable => (
            ActionFailureKind::Impossible,
            format!("{name} sent no usable response: {error}"),
        ),
        (_, None) => (
            ActionFailureKind::OutcomeUnknown,
            format!("{error}, after the request to {name} was sent. {LOOK_FIRST}"),
        ),
    };
    let wait = error.retry_after();
    let may_pass = matches!(
        kind,
        ActionFailureKind::Unavailable | ActionFailureKind::RateLimited
    );
    AttemptError::Request {
        failure: Box::new(ActionFailure {
            kind,
            message,
            upstream: response,
            retry_after: may_pass.then(|| wait.map_or(RETRY_AFTER, |wait| wait.as_secs().max(1))),
        }),
        nothing_done,
        retry_after: (transient && (nothing_done || repeatable)).then(|| wait.unwrap_or_default()),
    }
}
