//! Why an action failed, as it is stored and told.

use std::collections::BTreeMap;
use std::time::Duration;

use registry::Provider;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use upstream::{CallError, Quoted, Refusal};

use crate::GatewayError;

/// Why an action failed. Stored with the action, so its fields keep their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ActionFailure {
    /// What kind of failure it is.
    pub kind: ActionFailureKind,
    /// For people: what happened and what to do.
    pub message: String,
    /// The provider's answer, if there is one.
    pub upstream: Option<UpstreamAnswer>,
    /// Seconds after which to try again, if waiting helps.
    pub retry_after: Option<u64>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionFailureKind {
    /// The provider answered no.
    Refused,
    /// The provider cannot be reached or has too much to do; nothing was done.
    Unavailable,
    /// The provider, or its limits as its file tells them, takes no more calls just now; nothing was done.
    RateLimited,
    /// The call went out and nobody knows what became of it.
    OutcomeUnknown,
    /// The call could not be made as the file and the connection are.
    Impossible,
    /// It was carried out, and its answer is larger than what is stored.
    AnswerTooLarge,
}

/// A provider's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Json,
}

impl From<Quoted> for UpstreamAnswer {
    fn from(quoted: Quoted) -> Self {
        Self {
            status: quoted.status,
            headers: quoted.headers.into_iter().collect(),
            body: quoted.body,
        }
    }
}

/// A failure while it happens: beside what is told, what may be done about it.
pub(crate) enum Failed {
    /// The provider, or the way to it.
    Call {
        failure: Box<ActionFailure>,
        /// It is known that nothing was done.
        nothing_done: bool,
        /// The same may succeed later; after this time at the soonest.
        passes_after: Option<Duration>,
    },
    /// Before the call: a use case of ours.
    Before(GatewayError),
}

impl From<GatewayError> for Failed {
    fn from(error: GatewayError) -> Self {
        Self::Before(error)
    }
}

impl From<Failed> for GatewayError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Call { failure, .. } => Self::Action(failure),
            Failed::Before(error) => error,
        }
    }
}

impl From<ActionFailure> for GatewayError {
    fn from(failure: ActionFailure) -> Self {
        Self::Action(Box::new(failure))
    }
}

/// Bytes of JSON of an answer that are stored at most.
pub(super) const MOST_STORED: usize = 1 << 20;
/// How long to wait before trying again when the provider says nothing of it.
const RETRY_AFTER: u64 = 30;
/// What to do when nobody knows whether it was done.
const LOOK_FIRST: &str = "It may or may not have been carried out, and is not repeated by itself since that could do it twice. \
                          Look at the provider before you send it again.";

impl ActionFailure {
    /// The process that held the action ended in the middle.
    pub(crate) fn outcome_unknown() -> Self {
        Self {
            kind: ActionFailureKind::OutcomeUnknown,
            message: format!("the process that carried the action out ended in the middle. {LOOK_FIRST}"),
            upstream: None,
            retry_after: None,
        }
    }

    /// Something of ours stood in the way of a stored action.
    pub(crate) fn impossible(message: String) -> Self {
        Self {
            kind: ActionFailureKind::Impossible,
            message,
            upstream: None,
            retry_after: None,
        }
    }

    /// The action was carried out, and its answer of so many bytes is not stored.
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

    /// What was stored; a failure of its own if another version wrote it.
    pub(crate) fn stored(error: Option<&Json>) -> Self {
        // By way of its text, for serde_json writes some numbers of a value anew that it is given as a value.
        let read = error.and_then(|error| serde_json::from_str(&error.to_string()).ok());
        read.unwrap_or_else(|| Self::impossible("the stored failure cannot be read".to_owned()))
    }
}

/// What a failed call means.
pub(super) fn of_call(provider: &Provider, repeatable: bool, refusal: Refusal) -> Failed {
    let name = &provider.display_name;
    let Refusal { error, answer } = refusal;
    let nothing_done = error.nothing_done();
    let passes = error.is_transient() && (nothing_done || repeatable);
    let asked = error.retry_after();
    let (kind, message) = match &error {
        limited if nothing_done && is_limit(limited) => (
            ActionFailureKind::RateLimited,
            format!("{name} takes no more calls just now: {error}. Nothing was done."),
        ),
        CallError::DeadlineExceeded { .. } | CallError::Unreachable { .. } if nothing_done => (
            ActionFailureKind::Unavailable,
            format!("{name} could not do it just now: {error}. Nothing was done."),
        ),
        _ => match error.provider() {
            Some(told) => {
                let code = told.code.as_ref().map(|code| format!(", code {code}"));
                let words = told.message.as_ref().map(|words| format!(": {words:?}"));
                let hint = told.hint.as_ref().map(|hint| format!(" {hint}"));
                let unsure = (!nothing_done && !repeatable).then(|| format!(" {LOOK_FIRST}"));
                (
                    ActionFailureKind::Refused,
                    format!(
                        "{name} refused (HTTP {}{}){}.{}{}",
                        told.status,
                        code.unwrap_or_default(),
                        words.unwrap_or_default(),
                        hint.unwrap_or_default(),
                        unsure.unwrap_or_default(),
                    ),
                )
            }
            None if nothing_done => (
                ActionFailureKind::Impossible,
                format!("the call to {name} could not be made: {error}"),
            ),
            None if repeatable && error.is_transient() => (
                ActionFailureKind::Unavailable,
                format!("{name} gave no proper answer: {error}. It may be tried again."),
            ),
            None if repeatable => (
                ActionFailureKind::Impossible,
                format!("{name} gave no answer that can be used: {error}"),
            ),
            None => (
                ActionFailureKind::OutcomeUnknown,
                format!("{error}, after the call to {name} had gone out. {LOOK_FIRST}"),
            ),
        },
    };
    let passing = matches!(
        kind,
        ActionFailureKind::Unavailable | ActionFailureKind::RateLimited
    );
    let retry_after = passing.then(|| asked.map_or(RETRY_AFTER, |asked| asked.as_secs().max(1)));
    Failed::Call {
        failure: Box::new(ActionFailure {
            kind,
            message,
            upstream: answer.map(UpstreamAnswer::from),
            retry_after,
        }),
        nothing_done,
        passes_after: passes.then(|| asked.unwrap_or_default()),
    }
}

/// Whether a limit stood in the way: the provider's answer, or our own count of its calls.
fn is_limit(error: &CallError) -> bool {
    match error {
        CallError::Crowded { .. } => true,
        CallError::DeadlineExceeded { last, .. } => is_limit(last),
        _ => error.provider().is_some_and(|told| told.rate_limited),
    }
}
