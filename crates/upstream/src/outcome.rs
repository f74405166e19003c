//! `verdict` says what a failed request means for its caller. `RetryPolicy` says whether another attempt of the same request follows. A new
//! status may need both.

use http::header::HeaderMap;
use registry::{RenderError, RetryRules};

use crate::retry_after::rate_limited;
use crate::{ProviderError, RequestError, UnexpectedBody, UploadError};

/// Statuses by which a provider, or a server in front of it, reports a failure of its own.
const SERVER_FAILURES: [u16; 4] = [500, 502, 503, 504];

/// What a failed request means for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The same request may succeed if it is sent again.
    Transient,
    /// A rate limit was reached, the provider's or Trunkline's own: the same request may succeed later.
    RateLimited,
    /// This process has no memory for the response now: the same request may succeed later.
    Overloaded,
    /// The provider refused the request with a 4xx status, but not because of the credentials or a rate limit. Most such requests are
    /// refused again; after 408, 409 or 425 the same request may succeed later.
    Refused,
    /// The same request will most likely fail again: the configuration (provider file, connection, integration or settings) does not
    /// allow the request, the credentials are not valid, the provider's response is not usable, or the client is gone.
    Permanent,
}

/// The error code of the API for a proxied request without a response, written in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "each is named as the API writes it")]
pub enum ErrorCode {
    AddressRefused,
    BaseUrlOverrideNotAllowed,
    ConnectionIncomplete,
    InvalidHeaders,
    InvalidJson,
    InvalidUriParams,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    RequestTimeout,
    Unavailable,
}

/// What an error means, and its public codes.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// What it means for the caller.
    pub outcome: Outcome,
    /// Whether it is certain that the provider carried nothing out, so that the request may be sent again without harm.
    pub nothing_done: bool,
    /// The code of the API.
    pub error_code: ErrorCode,
    run: RunCode,
}

/// The code of a failed run, and what to do about it.
#[derive(Debug, Clone, Copy)]
struct RunCode(&'static str, &'static str);

const UNREACHABLE: RunCode = RunCode(
    "unreachable",
    "The provider could not be reached. The run is retried automatically.",
);
const TIMED_OUT: RunCode = RunCode(
    "timed_out",
    "The provider is slow. The run is retried automatically.",
);
const LIMITS_USED_UP: RunCode = RunCode(
    "timed_out",
    "Other requests used up the provider's limits. The run is retried automatically.",
);
const CHECK_PROVIDER_FILE: RunCode = RunCode(
    "provider_file",
    "Check the provider's file with `trunkline providers check`.",
);
const ADDRESS_REFUSED: RunCode = RunCode(
    "address_refused",
    "Set TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES=true if this address is intended.",
);
const FOREIGN_LINK: RunCode = RunCode(
    "foreign_link",
    "The link was not followed. Declare the server in the provider's file if it is the provider's own.",
);
const NEXT_PAGE: RunCode = RunCode(
    "next_page_unreadable",
    "Compare `paginate` in the provider's file with the provider's documentation.",
);
const TOO_LARGE: RunCode = RunCode(
    "response_too_large",
    "The rest was not read. Let the provider's file ask for smaller pages (`limit` of `paginate`, or a parameter of `request`), or raise \
     TRUNKLINE_UPSTREAM__MAX_BODY_MB.",
);
const NOT_DECODABLE: RunCode = RunCode(
    "response_not_decodable",
    "The provider, or a server in front of it, sent a body that cannot be decoded as its Content-Encoding says. The run is retried \
     automatically.",
);
const MEMORY: RunCode = RunCode(
    "memory_budget",
    "Many large responses are read at once. The run is retried automatically; raise TRUNKLINE_UPSTREAM__MEMORY_MB if it happens often.",
);
const UNREADABLE: RunCode = RunCode(
    "unreadable_page",
    "A server between Trunkline and the provider may have sent this response, or the provider may have an outage. The run is retried automatically.",
);

impl RequestError {
    /// Returns what the error means.
    pub fn verdict(&self) -> Verdict {
        use ErrorCode as Code;
        use Outcome::{Overloaded, Permanent, RateLimited, Transient};
        /// The values of `nothing_done`.
        const NOTHING_DONE: bool = true;
        const MAY_BE_DONE: bool = false;
        let (outcome, nothing_done, error_code, run) = match self {
            Self::AddressRefused(_) => (Permanent, NOTHING_DONE, Code::AddressRefused, ADDRESS_REFUSED),
            Self::PlainHttp(_) => (Permanent, NOTHING_DONE, Code::AddressRefused, CHECK_PROVIDER_FILE),
            Self::OverrideNotAllowed { .. } => (
                Permanent,
                NOTHING_DONE,
                Code::BaseUrlOverrideNotAllowed,
                CHECK_PROVIDER_FILE,
            ),
            Self::BadHeader(_) => (Permanent, NOTHING_DONE, Code::InvalidHeaders, CHECK_PROVIDER_FILE),
            Self::BadCursor => (
                Permanent,
                NOTHING_DONE,
                Code::ProviderUnreachable,
                CHECK_PROVIDER_FILE,
            ),
            Self::Template(RenderError::Unfit { .. } | RenderError::NoAddress(_))
            | Self::BadUrl(_)
            | Self::UnknownServer(_) => (
                Permanent,
                NOTHING_DONE,
                Code::InvalidUriParams,
                CHECK_PROVIDER_FILE,
            ),
            Self::Template(RenderError::Missing { .. } | RenderError::TooLong { .. })
            | Self::TextTooLong { .. }
            | Self::Integration { .. } => (
                Permanent,
                NOTHING_DONE,
                Code::ConnectionIncomplete,
                CHECK_PROVIDER_FILE,
            ),

            Self::RateLimited { .. } => (RateLimited, NOTHING_DONE, Code::RateLimited, LIMITS_USED_UP),
            Self::NoMemory { sent } => (Overloaded, !sent, Code::Unavailable, MEMORY),
            Self::Unreachable(..) => (Transient, NOTHING_DONE, Code::ProviderUnreachable, UNREACHABLE),
            Self::Broken(..) => (Transient, MAY_BE_DONE, Code::ProviderUnreachable, UNREACHABLE),
            Self::TimedOut(_) => (Transient, MAY_BE_DONE, Code::ProviderTimeout, TIMED_OUT),
            Self::Undecodable(..) => (Transient, MAY_BE_DONE, Code::ProviderUnreachable, NOT_DECODABLE),
            Self::NotJson {
                found: UnexpectedBody::Markup | UnexpectedBody::CutOff,
                ..
            } => (Transient, MAY_BE_DONE, Code::ProviderUnreachable, UNREADABLE),
            Self::DeadlineExceeded { last, .. } => {
                let (code, run) = match **last {
                    Self::RateLimited { .. } => (Code::RateLimited, LIMITS_USED_UP),
                    _ => (Code::ProviderTimeout, TIMED_OUT),
                };
                let last = last.verdict();
                let limited = last.outcome == RateLimited;
                let outcome = if limited { RateLimited } else { Transient };
                (outcome, last.nothing_done, code, run)
            }

            Self::Provider(error) => {
                let (outcome, nothing_done) = (error.outcome(), error.nothing_done());
                (
                    outcome,
                    nothing_done,
                    Code::ProviderUnreachable,
                    CHECK_PROVIDER_FILE,
                )
            }
            Self::NotJson { .. } => (Permanent, MAY_BE_DONE, Code::ProviderUnreachable, UNREADABLE),
            Self::TooLarge { .. } => (Permanent, MAY_BE_DONE, Code::ProviderUnreachable, TOO_LARGE),
            Self::UnknownCoding { .. } => (Permanent, MAY_BE_DONE, Code::ProviderUnreachable, NOT_DECODABLE),
            // The provider may have carried out the request before it sent the first redirect.
            Self::Moved { .. } | Self::TooManyRedirects(_) | Self::NotRead(_) => (
                Permanent,
                MAY_BE_DONE,
                Code::ProviderUnreachable,
                CHECK_PROVIDER_FILE,
            ),
            Self::ForeignLink(_) => (Permanent, NOTHING_DONE, Code::ProviderUnreachable, FOREIGN_LINK),
            Self::BadNext { .. } => (Permanent, NOTHING_DONE, Code::ProviderUnreachable, NEXT_PAGE),
            Self::Upload(UploadError::Broken) => {
                (Permanent, MAY_BE_DONE, Code::InvalidJson, CHECK_PROVIDER_FILE)
            }
            Self::Upload(UploadError::Slow { .. }) => {
                (Permanent, MAY_BE_DONE, Code::RequestTimeout, CHECK_PROVIDER_FILE)
            }
        };
        Verdict {
            outcome,
            nothing_done,
            error_code,
            run,
        }
    }

    /// Returns the code of a run that fails with this error, and what to do about it.
    pub fn run_code_and_hint(&self) -> (String, Option<String>) {
        match self.provider() {
            Some(error) if error.unauthorized => ("invalid_credentials".to_owned(), error.hint.clone()),
            Some(error) if error.rate_limited => ("rate_limited".to_owned(), error.hint.clone()),
            Some(error) => (error.own_code(), error.hint.clone()),
            None => {
                let RunCode(code, hint) = self.verdict().run;
                (code.to_owned(), Some(hint.to_owned()))
            }
        }
    }

    /// Whether the same request may well succeed later without any change.
    pub fn is_transient(&self) -> bool {
        let outcome = self.verdict().outcome;
        matches!(
            outcome,
            Outcome::Transient | Outcome::RateLimited | Outcome::Overloaded
        )
    }
}

impl ProviderError {
    /// Returns the provider's own code, or one made of the status.
    pub fn own_code(&self) -> String {
        match &self.code {
            Some(code) => code.clone(),
            None if self.status < 300 => "error_in_response".to_owned(),
            None => format!("http_{}", self.status),
        }
    }

    fn outcome(&self) -> Outcome {
        match self.status {
            _ if self.rate_limited => Outcome::RateLimited,
            500.. => Outcome::Transient,
            400..500 if !self.unauthorized => Outcome::Refused,
            // Refused credentials, a redirect that leads nowhere, or a success with an error in its body.
            _ => Outcome::Permanent,
        }
    }

    fn nothing_done(&self) -> bool {
        // A redirect that could not be followed says nothing about what was done.
        !self.carried_out && !matches!(self.status, 300..400 | 408 | 500..)
    }
}

/// Whether an attempt is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    No,
    /// Yes, but only once per request.
    Once,
    Yes,
}

/// When an attempt of a request is followed by another.
pub(crate) struct RetryPolicy<'a> {
    /// The retry rules of the provider's file.
    pub(crate) rules: &'a RetryRules,
    /// Whether sending the request twice is the same as sending it once.
    pub(crate) idempotent: bool,
    /// Statuses that the caller wants to retry whatever the method, since it knows that this does no harm.
    pub(crate) retry_on: &'a [u16],
    /// Whether the request checks credentials. If so, a 401 or 403 is a valid result and is not retried, unless the 403 is a rate limit.
    pub(crate) checks_credentials: bool,
}

impl RetryPolicy<'_> {
    /// The rule for a response that is not a success. `carried_out` says that the request was carried out whatever the status: then it is
    /// retried only if it is idempotent.
    ///
    /// A rate limit (429, or 403 with a used-up quota or `Retry-After`) is retried whatever the method, and a 401 once unless the request
    /// checks credentials. Other statuses are retried only if the request is idempotent. Statuses of the provider's file replace the usual
    /// ones, 429 among them.
    pub(crate) fn after_response(&self, status: u16, headers: &HeaderMap, carried_out: bool) -> Retry {
        if self.retry_on.contains(&status) {
            return Retry::Yes;
        }
        let limited = rate_limited(self.rules, status, headers);
        let is_result = self.checks_credentials && matches!(status, 401 | 403) && !limited;
        if is_result || carried_out && !self.idempotent {
            return Retry::No;
        }
        let listed = if self.rules.statuses.is_empty() {
            status == 429 || SERVER_FAILURES.contains(&status)
        } else {
            self.rules.statuses.iter().any(|range| range.contains(&status))
        };
        if limited && (listed || status == 403) || listed && self.idempotent {
            Retry::Yes
        } else if status == 401 {
            // Providers refuse valid keys now and then.
            Retry::Once
        } else {
            Retry::No
        }
    }

    /// The rule for a request without a response, or with one that cannot be used.
    pub(crate) fn after_error(&self, error: &RequestError) -> Retry {
        let verdict = error.verdict();
        if verdict.outcome == Outcome::Transient && (verdict.nothing_done || self.idempotent) {
            Retry::Yes
        } else {
            Retry::No
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::tests::headers;

    fn rules(statuses: Vec<std::ops::RangeInclusive<u16>>) -> RetryRules {
        RetryRules {
            remaining: Some("x-left".to_owned()),
            statuses,
            ..RetryRules::default()
        }
    }

    fn rule(rules: &RetryRules, idempotent: bool) -> RetryPolicy<'_> {
        RetryPolicy {
            rules,
            idempotent,
            retry_on: &[],
            checks_credentials: false,
        }
    }

    fn retries(rules: &RetryRules, status: u16, headers: &HeaderMap, idempotent: bool) -> bool {
        rule(rules, idempotent).after_response(status, headers, false) == Retry::Yes
    }

    #[rstest]
    #[case(429, true, true)]
    #[case(500, true, false)]
    #[case(502, true, false)]
    #[case(503, true, false)]
    #[case(504, true, false)]
    #[case(501, false, false)]
    #[case(400, false, false)]
    #[case(404, false, false)]
    fn of_the_usual_statuses_only_429_is_retried_for_writes(
        #[case] status: u16,
        #[case] reading: bool,
        #[case] writing: bool,
    ) {
        let retries = |idempotent| retries(&rules(Vec::new()), status, &HeaderMap::new(), idempotent);
        assert_eq!((retries(true), retries(false)), (reading, writing));
    }

    #[test]
    fn retry_statuses_of_the_file_replace_the_defaults() {
        let rules = rules(vec![409..=409, 520..=529]);
        let retries = |status, idempotent| retries(&rules, status, &HeaderMap::new(), idempotent);
        assert!(retries(409, true) && retries(525, true));
        assert!(!retries(409, false) && !retries(503, true) && !retries(429, true));
    }

    #[test]
    fn a_403_with_a_used_up_quota_is_a_rate_limit() {
        let rules = rules(Vec::new());
        assert!(retries(&rules, 403, &headers(&[("x-left", "0")]), false));
        assert!(!retries(&rules, 403, &headers(&[("x-left", "7")]), true));
        let later = headers(&[("x-left", "7"), ("retry-after", "60")]);
        assert!(retries(&rules, 403, &later, false));
    }

    #[test]
    fn a_401_is_retried_once_whatever_the_request() {
        let rules = rules(Vec::new());
        for idempotent in [true, false] {
            let retry = rule(&rules, idempotent).after_response(401, &HeaderMap::new(), false);
            assert_eq!(retry, Retry::Once, "{idempotent}");
        }
    }

    #[test]
    fn the_hint_for_a_lack_of_permits_names_other_requests() {
        let limited = || RequestError::RateLimited {
            retry_after: Duration::from_secs(1),
        };
        let exceeded = RequestError::DeadlineExceeded {
            attempts: 1,
            last: Box::new(limited()),
        };
        for error in [limited(), exceeded] {
            let (code, hint) = error.run_code_and_hint();
            assert_eq!(code, "timed_out");
            assert!(hint.unwrap().contains("Other requests"), "{error}");
        }
    }

    #[test]
    fn a_write_that_a_redirect_shows_as_done_is_not_retried() {
        let rules = rules(Vec::new());
        let after =
            |status, idempotent| rule(&rules, idempotent).after_response(status, &HeaderMap::new(), true);
        for status in [401, 429, 503] {
            assert_eq!(after(status, false), Retry::No, "{status}");
        }
        assert_eq!(after(429, true), Retry::Yes);
        assert_eq!(after(401, true), Retry::Once);
    }
}
