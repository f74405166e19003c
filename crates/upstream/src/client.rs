//! Making calls: attempts, verdicts and waits.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use registry::Verification;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::budget::BodyBudget;
use crate::context::Moment;
use crate::gate::{Crowded, Gates, Place};
use crate::provider_error::without_secrets;
use crate::reading::Bounds;
use crate::request::Prepared;
use crate::transport::Transport;
use crate::{
    Answer, Call, CallError, ProviderError, Quoted, Refusal, Target, UpstreamError, UpstreamOptions, json,
    retry,
};

/// Calls providers. Cheap to clone; clones share connections and limits.
#[derive(Debug, Clone)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: UpstreamOptions,
    clock: Clock,
    transport: Transport,
    gates: Gates,
    budget: BodyBudget,
}

/// How hard to try, and how much to read.
pub(crate) struct Effort<'a> {
    pub(crate) max_attempts: u32,
    /// Bytes of the body of a success.
    pub(crate) max_body: usize,
    /// Whether credentials are tried: then a refusal is the answer, and not repeated.
    pub(crate) tries_credentials: bool,
    /// Brings a server and headers of its own.
    pub(crate) verification: Option<&'a Verification>,
}

/// How a call ended that did not succeed.
pub(crate) struct Failure {
    pub(crate) error: CallError,
    /// The provider's answer, if there is one.
    answer: Option<Box<Answer>>,
    repeat: bool,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self {
            error,
            answer: None,
            repeat: false,
        }
    }
}

impl Upstream {
    /// A client by `options`; `clock` is asked how far away a date in a header is.
    pub fn new(options: UpstreamOptions, clock: Clock) -> Result<Self, UpstreamError> {
        for (provider, url) in &options.base_urls {
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(UpstreamError::BaseUrl {
                    provider: provider.clone(),
                });
            }
        }
        let transport = Transport::new(options.allow_private_addresses, options.connect_timeout)?;
        let budget = BodyBudget::new(options.memory);
        Ok(Self(Arc::new(Inner {
            options,
            clock,
            transport,
            gates: Gates::default(),
            budget,
        })))
    }

    /// Makes a call: the 2xx answer, or the error of the last attempt.
    pub async fn call(&self, target: &Target, call: Call) -> Result<Answer, CallError> {
        self.run(target, &call, &self.usual(), Ok)
            .await
            .map_err(|failure| failure.error)
    }

    /// As [`Upstream::call`], for JSON that the caller reads: a success with HTML in it, from something that stands before the
    /// provider, counts as a failed attempt.
    pub async fn fetch(&self, target: &Target, call: Call) -> Result<Answer, CallError> {
        self.run(target, &call, &self.usual(), Answer::without_markup)
            .await
            .map_err(|failure| failure.error)
    }

    /// Makes the request of an action: the 2xx answer if it is understood, or why not, with the provider's own answer for the
    /// caller. `output_expected` tells that the provider's file reads something from the answer.
    pub async fn carry(&self, target: &Target, call: Call, output_expected: bool) -> Result<Answer, Refusal> {
        let read = |answer: Answer| answer.understood(output_expected);
        self.run(target, &call, &self.usual(), read)
            .await
            .map_err(|failure| Refusal {
                answer: failure.answer.map(|answer| Quoted::read(target, &answer)),
                error: failure.error,
            })
    }

    /// Now, for the holes of a call.
    pub(crate) fn moment(&self) -> Moment {
        Moment::new(self.0.clock.now())
    }

    pub(crate) fn options(&self) -> &UpstreamOptions {
        &self.0.options
    }

    fn usual(&self) -> Effort<'static> {
        Effort {
            max_attempts: self.options().max_attempts,
            max_body: self.options().max_body,
            tries_credentials: false,
            verification: None,
        }
    }

    /// The attempts of one call, until `accept` takes an answer of 2xx or there is no sense in another.
    pub(crate) async fn run<T>(
        &self,
        target: &Target,
        call: &Call,
        effort: &Effort<'_>,
        accept: impl Fn(Answer) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.options().deadline;
        let base = effort.verification.and_then(|own| own.base_url.as_ref());
        let headers = effort.verification.map_or(&[][..], |own| &own.headers);
        let mut prepared = self.prepare(target, call, base, headers)?;
        prepared.accept_codings();
        let mut place = self.enter(target, deadline, 0).await?;

        let mut was_unauthorized = false;
        let mut attempt = 1;
        loop {
            let outcome = self
                .attempt(target, call, &prepared, &place, effort, deadline, attempt)
                .await;
            let failure = match outcome {
                Ok(answer) if answer.succeeded() && !is_error(target, &answer) => match accept(answer) {
                    Ok(value) => return Ok(value),
                    Err(error) => Failure {
                        repeat: call.idempotent && error.is_transient(),
                        ..error.into()
                    },
                },
                Ok(answer) => {
                    // A correct key meets a 401 now and then, so only the second one counts.
                    let first_401 = answer.status == 401 && !std::mem::replace(&mut was_unauthorized, true);
                    let first_401 = first_401 && (call.idempotent || !answer.carried_out);
                    let is_refusal = matches!(answer.status, 401 | 403);
                    let failure = self.refused(target, call, answer);
                    let limited = failure.error.provider().is_some_and(|told| told.rate_limited);
                    let ends = effort.tries_credentials && is_refusal && !limited;
                    Failure {
                        repeat: (failure.repeat || first_401) && !ends,
                        ..failure
                    }
                }
                Err(error) => Failure {
                    repeat: repeats_error(&error, call.idempotent),
                    ..error.into()
                },
            };
            if !failure.repeat || attempt >= effort.max_attempts {
                return Err(failure);
            }
            let wait = self.wait(attempt, failure.error.retry_after(), deadline);
            let wait = wait.or_give_up(attempt, failure)?;
            place = self.pause(target, place, &wait, deadline, attempt).await?;
            attempt += 1;
        }
    }

    /// What becomes of an answer that is not 2xx.
    fn refused(&self, target: &Target, call: &Call, answer: Answer) -> Failure {
        let rules = &target.provider.retry;
        let error = ProviderError::read(target, &answer, self.now());
        if let Some(asked) = error.retry_after.filter(|_| error.rate_limited) {
            self.rest(target, asked.get());
        }
        Failure {
            error: error.into(),
            repeat: (call.idempotent || !answer.carried_out)
                && retry::repeats(rules, answer.status, &answer.headers, call.idempotent),
            answer: Some(Box::new(answer)),
        }
    }

    /// A place for the call, by the time of the call as a whole.
    pub(crate) async fn enter(
        &self,
        target: &Target,
        deadline: Instant,
        attempts: u32,
    ) -> Result<Place, CallError> {
        let entered = self.0.gates.enter(target, deadline).await;
        entered.map_err(|crowded| crowded.at_the_deadline(attempts))
    }

    #[expect(clippy::too_many_arguments, reason = "all of them describe one attempt")]
    async fn attempt(
        &self,
        target: &Target,
        call: &Call,
        prepared: &Prepared,
        place: &Place,
        effort: &Effort<'_>,
        deadline: Instant,
        attempt: u32,
    ) -> Result<Answer, CallError> {
        place
            .pace(deadline)
            .await
            .map_err(|crowded| crowded.at_the_deadline(attempt - 1))?;
        // After the pace: a request that waits for its turn holds no memory.
        let begin = self.0.budget.begin(target.urgency, target.connection);
        let permit = timeout_at(deadline, begin)
            .await
            .map_err(|_| CallError::NoMemory { sent: false })?;
        let started = Instant::now();
        let bounds = Bounds {
            body: effort.max_body,
            advice: if effort.tries_credentials {
                "let proxy.verification of the provider's file name an endpoint with a smaller one"
            } else {
                "ask for less of it, such as smaller pages, or raise upstream.max_body_mb"
            },
            until: deadline.min(started + self.options().request_timeout),
            deadline,
        };
        let trusted = self.options().base_urls.get(&target.provider.name);
        let transport = &self.0.transport;
        let result = transport.send(prepared, trusted, attempt, &bounds, permit).await;
        let result = result.map_err(|error| error.without_secrets(target));
        debug!(
            provider = %target.provider.name,
            http.method = %call.method,
            http.host = prepared.url.host_str(),
            http.path = without_secrets(target, &shape(prepared.url.path())),
            http.status = result.as_ref().ok().map(|answer| answer.status),
            attempt,
            duration_ms = started.elapsed().as_secs_f64() * 1000.0,
            "called a provider",
        );
        result
    }

    /// Waits for the next attempt. A wait that the provider asked for is one for all calls of the connection, so the place serves
    /// others meanwhile; else the call keeps it, so that pressure falls.
    pub(crate) async fn pause(
        &self,
        target: &Target,
        place: Place,
        wait: &Pause,
        deadline: Instant,
        attempts: u32,
    ) -> Result<Place, CallError> {
        if !wait.asked {
            sleep(wait.time).await;
            return Ok(place);
        }
        drop(place);
        sleep(wait.time).await;
        self.enter(target, deadline, attempts).await
    }

    pub(crate) fn wait(&self, attempt: u32, asked: Option<Duration>, deadline: Instant) -> Wait {
        let options = self.options();
        let left = deadline.saturating_duration_since(Instant::now());
        match asked.filter(|asked| !asked.is_zero()) {
            Some(asked) if asked > options.max_wait || asked >= left => Wait::TooLong,
            // Calls that were told the same moment do not all come back at it.
            Some(asked) => Wait::For(Pause {
                time: left.min(asked + retry::backoff(options.base_backoff, options.max_backoff, 1)),
                asked: true,
            }),
            None => {
                let time = retry::backoff(options.base_backoff, options.max_backoff, attempt);
                if time < left {
                    Wait::For(Pause { time, asked: false })
                } else {
                    Wait::NoTimeLeft
                }
            }
        }
    }

    /// The provider asked the connection to wait: all its calls know, as long as a call may wait. Who asks for more is asked again
    /// then, since a mistake in a header must not close a connection for days.
    pub(crate) fn rest(&self, target: &Target, asked: Duration) {
        self.0.gates.rest(target, asked.min(self.options().max_wait));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.0.gates
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }
}

impl Crowded {
    fn at_the_deadline(self, attempts: u32) -> CallError {
        CallError::DeadlineExceeded {
            attempts,
            last: Box::new(self.into()),
        }
    }
}

impl From<Crowded> for CallError {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded {
            retry_after: crowded.retry_after,
        }
    }
}

/// The wait between two attempts.
pub(crate) struct Pause {
    time: Duration,
    /// Whether the provider asked for it.
    asked: bool,
}

/// What is to be done before the next attempt.
pub(crate) enum Wait {
    For(Pause),
    /// The provider asks for more than is allowed within a call.
    TooLong,
    NoTimeLeft,
}

impl Wait {
    fn or_give_up(self, attempts: u32, failure: Failure) -> Result<Pause, Failure> {
        match self {
            Self::For(pause) => Ok(pause),
            Self::TooLong => Err(failure),
            Self::NoTimeLeft => {
                let last = Box::new(failure.error);
                let error = CallError::DeadlineExceeded { attempts, last };
                Err(Failure { error, ..failure })
            }
        }
    }
}

/// Whether a success holds an error, by the rule of the provider's file.
fn is_error(target: &Target, answer: &Answer) -> bool {
    let rule = target.provider.errors.in_body.as_ref();
    rule.is_some_and(|rule| {
        let found = json::find(&answer.body, &rule.path).ok().flatten();
        found.is_some_and(|value| rule.says_error(value.get()))
    })
}

impl CallError {
    /// The error without the connection's secrets, should an address that it shows hold one.
    fn without_secrets(self, target: &Target) -> Self {
        match self {
            Self::Moved {
                status,
                method,
                location,
            } => Self::Moved {
                location: target.without_secrets(&location),
                status,
                method,
            },
            other => other,
        }
    }
}

/// A call that never reached the provider may be repeated whatever it is; one that broke under way only if that does no harm.
pub(crate) fn repeats_error(error: &CallError, idempotent: bool) -> bool {
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Broken { .. } | CallError::TimedOut { .. } | CallError::Undecodable { .. } => idempotent,
        _ => false,
    }
}

/// A path for the log: what looks like an id, a number of somebody or a value is left out.
pub(crate) fn shape(path: &str) -> String {
    let private = |segment: &str| {
        let digits = segment.chars().filter(char::is_ascii_digit).count();
        segment.len() > 24 || digits > 8 || segment.contains(['%', '+', '@'])
    };
    path.split('/')
        .map(|segment| if private(segment) { "*" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_path_shows_no_id_and_no_phone_number() {
        let path = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
        assert_eq!(shape(path), "/2010-04-01/Accounts/*/Messages.json");
        assert_eq!(shape("/v2/PhoneNumbers/+15551234567"), "/v2/PhoneNumbers/*");
        assert_eq!(shape("/v2/PhoneNumbers/15551234567"), "/v2/PhoneNumbers/*");
        assert_eq!(shape("/users/a%40b.example"), "/users/*");
    }
}
