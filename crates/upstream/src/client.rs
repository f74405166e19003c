//! Making calls: attempts, verdicts and waits.

use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use registry::Verification;
use reqwest::header::{self, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::context::Moment;
use crate::gate::{Gate, Gates};
use crate::provider_error::without_secrets;
use crate::request::Prepared;
use crate::transport::Transport;
use crate::{
    Answer, Call, CallError, ProviderError, Quoted, Refusal, Target, UpstreamError, UpstreamOptions, retry,
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
}

/// How a relayed call is repeated.
#[derive(Debug, Clone, Default)]
pub struct RelayRules {
    /// Repetitions at most; 0 for one attempt.
    pub retries: u32,
    /// Statuses to repeat beside the usual ones, whatever the method: the caller knows that this is harmless.
    pub retry_on: Vec<u16>,
}

/// How hard to try.
pub(crate) struct Effort<'a> {
    pub(crate) max_attempts: u32,
    pub(crate) retry_on: &'a [u16],
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
        let transport = Transport::new(
            options.allow_private_addresses,
            options.connect_timeout,
            options.max_body,
        )?;
        Ok(Self(Arc::new(Inner {
            options,
            clock,
            transport,
            gates: Gates::default(),
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

    /// As [`Upstream::call`], with the body read as JSON; a success with HTML or the beginning of
    /// JSON in it counts as a failed attempt.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        target: &Target,
        mut call: Call,
    ) -> Result<(T, Answer), CallError> {
        call.headers
            .entry(header::ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        let read = |answer: Answer| answer.json().map(|value| (value, answer));
        self.run(target, &call, &self.usual(), read)
            .await
            .map_err(|failure| failure.error)
    }

    /// Makes the call of an action: the 2xx answer, or why not, with the provider's own answer for whoever asked.
    pub async fn carry(&self, target: &Target, call: Call) -> Result<Answer, Refusal> {
        // Whether a call that is not to be repeated succeeded is told by its status alone.
        let read = |answer: Answer| {
            if call.idempotent {
                answer.without_markup()
            } else {
                Ok(answer)
            }
        };
        self.run(target, &call, &self.usual(), read)
            .await
            .map_err(|failure| Refusal {
                answer: failure.answer.map(|answer| Quoted::read(target, &answer)),
                error: failure.error,
            })
    }

    /// As [`Upstream::call`], but the last answer is handed on as it is, whatever its status.
    pub async fn relay(&self, target: &Target, call: Call, rules: &RelayRules) -> Result<Answer, CallError> {
        let effort = Effort {
            max_attempts: rules.retries.saturating_add(1),
            retry_on: &rules.retry_on,
            verification: None,
        };
        match self.run(target, &call, &effort, Ok).await {
            Ok(answer) => Ok(answer),
            Err(Failure {
                answer: Some(answer), ..
            }) => Ok(*answer),
            Err(Failure { error, .. }) => Err(error),
        }
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
            retry_on: &[],
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
        let prepared = self.prepare(target, call, effort.verification)?;
        let gate = self.0.gates.of(target.connection, target.provider.limits);
        let crowded = |_| CallError::DeadlineExceeded {
            attempts: 0,
            last: Box::new(CallError::Crowded),
        };
        let _place = timeout_at(deadline, gate.places.acquire())
            .await
            .map_err(crowded)?;

        let mut was_unauthorized = false;
        let mut attempt = 1;
        loop {
            let failure = match self
                .attempt(target, call, &prepared, &gate, deadline, attempt)
                .await
            {
                Ok(answer) if answer.succeeded() => match accept(answer) {
                    Ok(value) => return Ok(value),
                    Err(error) => Failure {
                        repeat: call.idempotent && error.is_transient(),
                        ..error.into()
                    },
                },
                Ok(answer) => {
                    // A correct key meets a 401 now and then, so only the second one counts.
                    let first_401 = answer.status == 401 && !std::mem::replace(&mut was_unauthorized, true);
                    let failure = self.refused(target, call, effort, answer);
                    Failure {
                        repeat: failure.repeat || first_401,
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
            self.pause(attempt, failure, deadline).await?;
            attempt += 1;
        }
    }

    /// What becomes of an answer that is not 2xx.
    fn refused(&self, target: &Target, call: &Call, effort: &Effort<'_>, answer: Answer) -> Failure {
        let rules = &target.provider.retry;
        Failure {
            error: ProviderError::read(target, &answer, self.0.clock.now()).into(),
            repeat: effort.retry_on.contains(&answer.status)
                || retry::repeats(rules, answer.status, &answer.headers, call.idempotent),
            answer: Some(Box::new(answer)),
        }
    }

    async fn attempt(
        &self,
        target: &Target,
        call: &Call,
        prepared: &Prepared,
        gate: &Gate,
        deadline: Instant,
        attempt: u32,
    ) -> Result<Answer, CallError> {
        let timed_out = |_| CallError::TimedOut {
            host: prepared.url.host_str().unwrap_or_default().to_owned(),
        };
        timeout_at(deadline, gate.pace()).await.map_err(timed_out)?;
        let started = Instant::now();
        let until = deadline.min(started + self.options().request_timeout);
        let trusted = self.options().base_urls.get(&target.provider.name);
        let sending = self.0.transport.send(prepared.clone(), trusted, attempt);
        let result = timeout_at(until, sending).await.map_err(timed_out).flatten();
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

    /// Waits for the next attempt, or gives up if there is no time for one.
    async fn pause(&self, attempt: u32, failure: Failure, deadline: Instant) -> Result<(), Failure> {
        match self.wait(attempt, failure.error.retry_after(), deadline) {
            Wait::For(time) => sleep(time).await,
            Wait::TooLong => return Err(failure),
            Wait::NoTimeLeft => {
                let last = Box::new(failure.error);
                let error = CallError::DeadlineExceeded {
                    attempts: attempt,
                    last,
                };
                return Err(Failure { error, ..failure });
            }
        }
        Ok(())
    }

    fn wait(&self, attempt: u32, asked: Option<Duration>, deadline: Instant) -> Wait {
        let options = self.options();
        let left = deadline.saturating_duration_since(Instant::now());
        match asked.filter(|asked| !asked.is_zero()) {
            Some(asked) if asked > options.max_wait || asked >= left => Wait::TooLong,
            // Calls that were told the same moment do not all come back at it.
            Some(asked) => {
                Wait::For(left.min(asked + retry::backoff(options.base_backoff, options.max_backoff, 1)))
            }
            None => {
                let time = retry::backoff(options.base_backoff, options.max_backoff, attempt);
                if time < left {
                    Wait::For(time)
                } else {
                    Wait::NoTimeLeft
                }
            }
        }
    }
}

enum Wait {
    For(Duration),
    /// The provider asks for more than is allowed within a call.
    TooLong,
    NoTimeLeft,
}

/// A call that never reached the provider may be repeated whatever it is; one that broke under way only if that does no harm.
fn repeats_error(error: &CallError, idempotent: bool) -> bool {
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Broken { .. } | CallError::TimedOut { .. } => idempotent,
        _ => false,
    }
}

/// A path for the log: what looks like an id, a number of somebody or a value is left out.
fn shape(path: &str) -> String {
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
    use domain::ConnectionId;
    use wiremock::{MockServer, ResponseTemplate};

    use super::*;
    use crate::tests::{answers, calls, options, provider, target, upstream};

    #[test]
    fn a_logged_path_shows_no_id_and_no_phone_number() {
        let path = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
        assert_eq!(shape(path), "/2010-04-01/Accounts/*/Messages.json");
        assert_eq!(shape("/v2/PhoneNumbers/+15551234567"), "/v2/PhoneNumbers/*");
        assert_eq!(shape("/v2/PhoneNumbers/15551234567"), "/v2/PhoneNumbers/*");
        assert_eq!(shape("/users/a%40b.example"), "/users/*");
    }

    #[tokio::test]
    async fn a_call_without_a_free_place_gives_up_at_its_deadline_and_other_connections_do_not_care() {
        let server = MockServer::start().await;
        answers(&server, "GET", "/x", 9, ResponseTemplate::new(200)).await;
        let upstream = upstream(UpstreamOptions {
            deadline: Duration::from_millis(200),
            ..options()
        });
        let mut target = target(provider(&server.uri()));
        let gate = upstream.0.gates.of(target.connection, target.provider.limits);
        let _all = gate
            .places
            .acquire_many(target.provider.limits.concurrency)
            .await
            .unwrap();

        match upstream.call(&target, Call::get("/x")).await.unwrap_err() {
            CallError::DeadlineExceeded { attempts: 0, last } => assert!(matches!(*last, CallError::Crowded)),
            other => panic!("{other:?}"),
        }
        target.connection = Some(ConnectionId::from_raw(2));
        upstream.call(&target, Call::get("/x")).await.unwrap();
    }

    #[tokio::test]
    async fn a_place_is_kept_while_a_429_is_waited_out() {
        let server = MockServer::start().await;
        answers(
            &server,
            "GET",
            "/x",
            9,
            ResponseTemplate::new(429).insert_header("retry-after", "10"),
        )
        .await;
        let mut provider = provider(&server.uri());
        provider.limits.concurrency = 1;
        let (upstream, target) = (upstream(options()), target(provider));
        let gate = upstream.0.gates.of(target.connection, target.provider.limits);

        let first = upstream.call(&target, Call::get("/x"));
        assert!(
            tokio::time::timeout(Duration::from_millis(200), first)
                .await
                .is_err()
        );
        assert_eq!(
            gate.places.available_permits(),
            1,
            "a call that is dropped frees its place"
        );
        let first = upstream.call(&target, Call::get("/x"));
        let second = upstream.call(&target, Call::get("/x"));
        let both = async { tokio::join!(first, second) };
        assert!(
            tokio::time::timeout(Duration::from_millis(200), both)
                .await
                .is_err()
        );
        assert_eq!(calls(&server).await, 2, "the second of the two has not been sent");
    }
}
