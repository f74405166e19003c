//! The client for providers: sends requests and reads their responses to the end.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, json_text};
use registry::Verification;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::budget::BodyBudget;
use crate::context::RequestValues;
use crate::driver::{Attempt, Bounds, Driver};
use crate::limiter::Limiters;
use crate::outcome::{Retry, RetryPolicy};
use crate::prepare::{PreparedRequest, prepare};
use crate::read_body::ReadBounds;
use crate::redact::MAX_LINE;
use crate::transport::Transport;
use crate::{
    FailedRequest, ProviderError, QuotedResponse, Request, RequestError, Response, Target, UpstreamError,
    UpstreamOptions, json,
};

/// Sends requests to providers. Cheap to clone; clones share connections and limits.
#[derive(Debug, Clone)]
pub struct Upstream(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: UpstreamOptions,
    pub(crate) clock: Clock,
    pub(crate) transport: Transport,
    pub(crate) driver: Driver,
    budget: BodyBudget,
}

/// Options for a request whose whole response is read.
pub(crate) struct SendOptions<'a> {
    pub(crate) max_attempts: u32,
    /// Bytes of the body of a success.
    pub(crate) max_body: usize,
    /// Whether the request checks credentials. If so, a 401 or 403 is a valid result and is not retried, unless the 403 is a rate limit.
    pub(crate) checks_credentials: bool,
    /// The provider file's verification section: its base URL and headers are used.
    pub(crate) verification_server: Option<&'a Verification>,
    /// Whether a failure is to quote the provider's response.
    pub(crate) quotes_response: bool,
}

/// The maximum size of a response to a request that checks credentials, in bytes.
const CHECK_MAX_BODY: usize = 1 << 20;

impl Upstream {
    /// Makes a client. `clock` turns dates in headers into waits.
    pub fn new(options: UpstreamOptions, clock: Clock) -> Result<Self, UpstreamError> {
        for (provider, url) in &options.base_urls {
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(UpstreamError::BaseUrl(provider.clone()));
            }
        }
        Ok(Self(Arc::new(Inner {
            clock,
            transport: Transport::new(options.allow_private_addresses, options.connect_timeout)?,
            driver: Driver {
                limiters: Limiters::default(),
                backoff: options.backoff,
                max_wait: options.max_wait,
            },
            budget: BodyBudget::new(options.memory),
            options,
        })))
    }

    /// Sends a request that expects JSON. Returns the 2xx response, which the caller parses, or the error of the last attempt. A success
    /// with HTML in it, from a server in front of the provider, is a failed attempt.
    pub async fn fetch(&self, target: &Target, request: Request) -> Result<Response, RequestError> {
        let options = self.usual_options(false);
        let sent = self
            .send(target, &request, &options, Response::refuse_markup)
            .await;
        sent.map_err(|failed| failed.error)
    }

    /// Sends the request of an action, and returns the 2xx response if it is understood, or why not, with the provider's own response.
    /// `output_expected` tells that the provider's file reads something from the response.
    pub async fn send_action(
        &self,
        target: &Target,
        request: Request,
        output_expected: bool,
    ) -> Result<Response, FailedRequest> {
        let accept = |response: Response| response.refuse_unreadable(output_expected);
        self.send(target, &request, &self.usual_options(true), accept)
            .await
    }

    /// Returns the time and the random text of a request that is made now.
    pub(crate) fn request_values(&self) -> RequestValues {
        RequestValues::new(self.0.clock.now())
    }

    fn usual_options(&self, quotes_response: bool) -> SendOptions<'static> {
        SendOptions {
            max_attempts: self.0.options.max_attempts,
            max_body: self.0.options.max_body,
            checks_credentials: false,
            verification_server: None,
            quotes_response,
        }
    }

    /// Returns the options for a request that checks credentials.
    pub(crate) fn check_options<'a>(
        &self,
        max_attempts: u32,
        verification: Option<&'a Verification>,
    ) -> SendOptions<'a> {
        SendOptions {
            max_attempts: max_attempts.min(self.0.options.max_attempts),
            max_body: CHECK_MAX_BODY.min(self.0.options.max_body),
            checks_credentials: true,
            verification_server: verification,
            quotes_response: false,
        }
    }

    /// Sends a request until `accept` takes a 2xx response, or another attempt makes no sense.
    pub(crate) async fn send<T>(
        &self,
        target: &Target,
        request: &Request,
        options: &SendOptions<'_>,
        accept: impl Fn(Response) -> Result<T, RequestError>,
    ) -> Result<T, FailedRequest> {
        let deadline = Instant::now() + self.0.options.deadline;
        let base = options.verification_server.and_then(|own| own.base_url.as_ref());
        let headers = options.verification_server.map_or(&[][..], |own| &own.headers);
        let values = self.request_values();
        let mut prepared = prepare(&self.0.options, target, request, &values, base, headers)?;
        prepared.accept_codings();
        let rule = RetryPolicy {
            rules: &target.provider.retry,
            idempotent: request.idempotent,
            retry_on: &[],
            checks_credentials: options.checks_credentials,
        };
        let bounds = Bounds {
            deadline,
            permit_by: deadline,
            max_attempts: options.max_attempts,
        };
        let (prepared, rule, accept) = (&prepared, &rule, &accept);
        let attempt = |number| async move {
            let exchanged = self.exchange(target, prepared, options, deadline, number).await;
            let accepted = match exchanged {
                Ok(response) if response.succeeded() && !is_error(target, &response) => accept(response),
                Ok(response) => return self.failed_attempt(target, options, rule, &response),
                Err(error) => Err(error),
            };
            let failed_with = accepted.as_ref().err();
            Attempt {
                retry: failed_with.map_or(Retry::No, |error| rule.after_error(error)),
                retry_after: failed_with.and_then(RequestError::retry_after),
                result: accepted.map_err(FailedRequest::from),
            }
        };
        let finished = self.0.driver.run(target, &bounds, attempt).await?;
        finished.result.map_err(|failed: FailedRequest| {
            if !finished.out_of_time {
                return failed;
            }
            let error = RequestError::DeadlineExceeded {
                attempts: finished.attempts,
                last: Box::new(failed.error),
            };
            FailedRequest { error, ..failed }
        })
    }

    /// Returns the attempt for an unsuccessful response: its error, and whether to retry.
    fn failed_attempt<T>(
        &self,
        target: &Target,
        options: &SendOptions<'_>,
        rule: &RetryPolicy<'_>,
        response: &Response,
    ) -> Attempt<Result<T, FailedRequest>> {
        let error = ProviderError::read(target, response, self.0.clock.now());
        let wait = error.retry_after;
        if let Some(wait) = wait.filter(|_| error.rate_limited) {
            self.0.driver.pause_connection(target, wait);
        }
        let quoted = options
            .quotes_response
            .then(|| QuotedResponse::read(target, response));
        Attempt {
            retry: rule.after_response(response.status, &response.headers, response.carried_out),
            retry_after: wait,
            result: Err(FailedRequest {
                error: error.into(),
                response: quoted,
            }),
        }
    }

    /// One attempt: sends the request and reads the response to its end.
    async fn exchange(
        &self,
        target: &Target,
        prepared: &PreparedRequest,
        options: &SendOptions<'_>,
        deadline: Instant,
        attempt: u32,
    ) -> Result<Response, RequestError> {
        // Memory is reserved only now, after the wait for the permit and the rate.
        let begin = self.0.budget.begin(target.priority, target.connection);
        let memory = timeout_at(deadline, begin)
            .await
            .map_err(|_| RequestError::NoMemory { sent: false })?;
        let started = Instant::now();
        let bounds = ReadBounds {
            body: options.max_body,
            advice: if options.checks_credentials {
                "choose an endpoint with a smaller response in `proxy.verification` of the provider file"
            } else {
                "ask for less of it, such as smaller pages, or raise upstream.max_body_mb"
            },
            until: deadline.min(started + self.0.options.request_timeout),
            deadline,
        };
        let operator_base_url = self.0.options.base_urls.get(&target.provider.name);
        let mut result = self
            .0
            .transport
            .send(prepared, operator_base_url, &bounds, memory)
            .await;
        if let Err(RequestError::Moved { location, .. }) = &mut result {
            *location = target.without_secrets(location);
        }
        let status = result.as_ref().ok().map(|response| response.status);
        log_attempt(target, prepared, attempt, status, started.elapsed());
        result
    }
}

/// Logs an attempt, without values that may be secret or personal.
pub(crate) fn log_attempt(
    target: &Target,
    prepared: &PreparedRequest,
    attempt: u32,
    status: Option<u16>,
    took: Duration,
) {
    debug!(
        provider = %target.provider.name,
        http.method = %prepared.method,
        http.host = prepared.url.host_str(),
        http.path = target.redacted_line(&mask_private_segments(prepared.url.path()), MAX_LINE),
        http.status = status,
        attempt,
        duration_ms = took.as_secs_f64() * 1000.0,
        "sent a request to a provider",
    );
}

/// A body with invalid UTF-8 must be copied to search it. Larger ones are not searched for an error.
const MAX_REPAIRED: usize = 1 << 20;

/// Whether a success holds an error in its body, by the rule of the provider's file. A body of more than 1 MiB that is not valid UTF-8
/// counts as one without an error.
fn is_error(target: &Target, response: &Response) -> bool {
    let rule = target.provider.errors.in_body.as_ref();
    rule.is_some_and(|rule| {
        let body = &response.body;
        let text = match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) if body.len() > MAX_REPAIRED => return false,
            Err(_) => json_text(body),
        };
        let found = json::find(&text, &rule.path).ok().flatten();
        found.is_some_and(|value| rule.says_error(value))
    })
}

/// Returns a path for the log: `*` stands for segments that look like an id, a phone number or a value.
fn mask_private_segments(path: &str) -> String {
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
    fn a_logged_path_has_no_id_and_no_phone_number() {
        let path = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
        assert_eq!(
            mask_private_segments(path),
            "/2010-04-01/Accounts/*/Messages.json"
        );
        assert_eq!(
            mask_private_segments("/v2/PhoneNumbers/+15551234567"),
            "/v2/PhoneNumbers/*"
        );
        assert_eq!(
            mask_private_segments("/v2/PhoneNumbers/15551234567"),
            "/v2/PhoneNumbers/*"
        );
        assert_eq!(mask_private_segments("/users/a%40b.example"), "/users/*");
    }
}
