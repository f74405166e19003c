//! Turns a failed request of an action or a subscription into the failure that is stored and returned.

use std::time::Duration;

use registry::Provider;
use upstream::{FailedRequest, Outcome};

use super::{ActionFailure, ActionFailureKind, GatewayError, LOOK_FIRST};

/// Why an attempt failed, and whether another may succeed.
pub(crate) enum AttemptError {
    /// The request to the provider failed.
    Request {
        failure: Box<ActionFailure>,
        /// It is known that nothing was done.
        nothing_done: bool,
        /// The minimum wait before a retry may succeed; `None` if it cannot.
        retry_after: Option<Duration>,
    },
    /// Another error: before the request was sent, or after a response that cannot be used.
    Other(GatewayError),
}

impl From<GatewayError> for AttemptError {
    fn from(error: GatewayError) -> Self {
        Self::Other(error)
    }
}

impl From<AttemptError> for GatewayError {
    fn from(failed: AttemptError) -> Self {
        match failed {
            AttemptError::Request { failure, .. } => Self::Action(failure),
            AttemptError::Other(error) => error,
        }
    }
}

/// Seconds to wait before another try if the provider does not say.
const RETRY_AFTER: u64 = 30;

/// Converts a failed request into the failure that its caller gets. `repeatable` says whether sending it twice has the same effect as once.
pub(crate) fn request_failed(provider: &Provider, repeatable: bool, failed: FailedRequest) -> AttemptError {
    let name = &provider.display_name;
    let FailedRequest { error, response } = failed;
    let verdict = error.verdict();
    let (transient, nothing_done) = (error.is_transient(), verdict.nothing_done);
    let (kind, message) = match (verdict.outcome, error.provider()) {
        (Outcome::RateLimited, _) if nothing_done => (
            ActionFailureKind::RateLimited,
            format!("{name} accepts no more requests now: {error}. Nothing was done."),
        ),
        (Outcome::Transient, _) if nothing_done => (
            ActionFailureKind::Unavailable,
            format!("{name} cannot do it now: {error}. Nothing was done."),
        ),
        (_, Some(refusal)) => {
            let hint = refusal.hint.as_ref().map(|hint| format!(" {hint}"));
            let unsure = (!nothing_done && !repeatable).then(|| format!(" {LOOK_FIRST}"));
            (
                ActionFailureKind::Refused,
                format!(
                    "{name} refused with {}.{}{}",
                    refusal.summary(),
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
