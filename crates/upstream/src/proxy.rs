//! Proxied requests: bodies are streamed both ways, and the response is the provider's, whatever its status.

mod body;
mod endpoint;
mod headers;
mod permit;

use std::fmt;
use std::time::Duration;

use http::Method;
use http::header::HeaderMap;
use hyper::body::Body;
use serde_json::Value;
use tokio::time::Instant;

pub use body::ProxyResponseBody;
use permit::PermitGuard;

use crate::client::log_attempt;
use crate::coding::{self, BodyParts};
use crate::driver::{Attempt, Bounds};
use crate::error::shown_host;
use crate::limiter::Permit;
use crate::outcome::{Retry, RetryPolicy};
use crate::prepare::PreparedRequest;
use crate::read_body::without_coding;
use crate::redirect::only_reads;
use crate::retry_after::{rate_limited, requested};
use crate::transport::PendingResponse;
use crate::upload::Progress;
use crate::{ProxyRequestBody, RequestError, Target, Upstream};

/// The longest wait for a permit.
const PERMIT_WAIT: Duration = Duration::from_secs(10);

/// A request of a client, to be sent on to the provider.
#[derive(Default)]
pub struct ProxyRequest {
    /// The method, which may be any.
    pub method: Method,
    /// A path below the base URL, or an address that begins with the base URL. Its encoding is kept.
    pub endpoint: String,
    /// The query string, as written.
    pub query: Option<String>,
    /// Replaces the provider's base URL; must be of an origin that the provider's file or the configuration names.
    pub base_url: Option<String>,
    /// Headers for the provider, which win over those of its file. Hop-by-hop headers are omitted, and those that the HTTP client sets;
    /// `Accept-Encoding` is sent unless `decompress` is set.
    pub headers: HeaderMap,
    /// The headers of the client's own body, which are sent if neither the provider's file nor `headers` has one of that name.
    pub content_headers: HeaderMap,
    /// The body. The body fields of the provider's file are not added to a streamed one.
    pub body: ProxyRequestBody,
    /// The most retries; 0 for one attempt. A streamed body is sent once.
    pub retries: u32,
    /// Further statuses to retry, whatever the method: the client knows that this does no harm.
    pub retry_on: Vec<u16>,
    /// The time until the response begins, retries included; never more than the settings allow. A streamed body has no such limit by
    /// default.
    pub deadline: Option<Duration>,
    /// The longest wait for a permit, at most ten seconds, which is the default.
    pub permit_wait: Option<Duration>,
    /// Whether to decompress the response.
    pub decompress: bool,
    /// Whether to send `headers` to another origin after a redirect. An authorization is never sent there.
    pub carry_headers: bool,
}

impl ProxyRequest {
    /// Makes a request without a body and without options.
    pub fn new(method: Method, endpoint: impl Into<String>) -> Self {
        Self {
            method,
            endpoint: endpoint.into(),
            ..Self::default()
        }
    }

    /// Whether sending it twice is the same as sending it once (RFC 9110, 9.2.2).
    fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || only_reads(&self.method)
    }
}

/// Shows the path and the options alone: a query, a header or a body may contain secrets or personal data.
impl fmt::Debug for ProxyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.split('?').next().unwrap_or_default();
        f.debug_struct("ProxyRequest")
            .field("method", &self.method)
            .field("endpoint", &endpoint)
            .field("body", &self.body)
            .field("retries", &self.retries)
            .field("retry_on", &self.retry_on)
            .finish_non_exhaustive()
    }
}

/// The provider's response, whose body is not read yet. It keeps its permit until the body has ended or is dropped.
pub struct ProxyResponse {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, without hop-by-hop headers and those that a browser would apply to the gateway, such as cookies.
    pub headers: HeaderMap,
    /// The body.
    pub body: ProxyResponseBody,
    /// Whether the status says that the credentials are not valid.
    pub unauthorized: bool,
}

/// Shows no header: it may contain secrets or personal data.
impl fmt::Debug for ProxyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyResponse")
            .field("status", &self.status)
            .field("body", &self.body)
            .field("unauthorized", &self.unauthorized)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Sends a client's request on and returns the provider's response, whatever its status.
    ///
    /// It is retried only if the provider cannot have carried it out, or if carrying it out twice does no harm.
    pub async fn proxy(
        &self,
        target: &Target,
        mut request: ProxyRequest,
    ) -> Result<ProxyResponse, RequestError> {
        let (now, longest) = (Instant::now(), self.0.options.deadline);
        let deadline = now + request.deadline.unwrap_or(longest).min(longest);
        let permit_by = now + request.permit_wait.unwrap_or(PERMIT_WAIT).min(PERMIT_WAIT);
        let prepared = self.prepare_proxy(target, &mut request)?;
        let mut body = std::mem::take(&mut request.body);
        let streamed = matches!(body, ProxyRequestBody::Stream { .. });
        let bounds = Bounds {
            deadline,
            permit_by: permit_by.min(deadline),
            max_attempts: if streamed {
                1
            } else {
                request.retries.saturating_add(1)
            },
        };
        // A streamed body may take any time, unless the client sets a deadline.
        let send_deadline = (!streamed || request.deadline.is_some()).then_some(deadline);
        let rule = RetryPolicy {
            rules: &target.provider.retry,
            idempotent: request.is_idempotent(),
            retry_on: &request.retry_on,
            checks_credentials: false,
        };
        let (prepared, rule) = (&prepared, &rule);
        let attempt = |number| {
            let body = std::mem::take(&mut body);
            async move {
                let result = self
                    .send_attempt(target, prepared, body, send_deadline, number)
                    .await;
                let (retry, retry_after) = match &result {
                    Ok(pending) => self.after_response(target, rule, pending),
                    Err(error) => (rule.after_error(error), None),
                };
                Attempt {
                    result,
                    retry,
                    retry_after,
                }
            }
        };
        let finished = self.0.driver.run(target, &bounds, attempt).await?;
        Ok(self.response(target, &request, finished.result?, finished.permit))
    }

    /// Returns whether to retry after a response, and how long the provider asked to wait. Only headers are read, since the body is streamed
    /// to the client. If a rate limit names a wait, all requests of the connection wait.
    fn after_response(
        &self,
        target: &Target,
        rule: &RetryPolicy<'_>,
        pending: &PendingResponse,
    ) -> (Retry, Option<Duration>) {
        let (status, headers) = (pending.response.status(), pending.response.headers());
        let code = status.as_u16();
        if status.is_success() {
            let listed = rule.retry_on.contains(&code);
            return (if listed { Retry::Yes } else { Retry::No }, None);
        }
        let wait = requested(rule.rules, code, headers, &Value::Null, self.0.clock.now());
        if let Some(wait) = wait.filter(|_| rate_limited(rule.rules, code, headers)) {
            self.0.driver.pause_connection(target, wait);
        }
        (rule.after_response(code, headers, pending.carried_out), wait)
    }

    /// Makes one attempt, and returns when the response's body begins.
    async fn send_attempt(
        &self,
        target: &Target,
        prepared: &PreparedRequest,
        body: ProxyRequestBody,
        deadline: Option<Instant>,
        attempt: u32,
    ) -> Result<PendingResponse, RequestError> {
        let started = Instant::now();
        let progress = Progress::begin();
        let stream = body.into_parts(&progress);
        let operator_base_url = self.0.options.base_urls.get(&target.provider.name);
        let sending = self.0.transport.begin(prepared, stream, operator_base_url);
        let result = progress
            .watch(sending, self.0.options.request_timeout, deadline)
            .await
            .unwrap_or_else(|| Err(RequestError::TimedOut(shown_host(&prepared.url))))
            .map_err(|error| progress.error().map_or(error, RequestError::Upload));
        let status = result
            .as_ref()
            .ok()
            .map(|pending| pending.response.status().as_u16());
        log_attempt(target, prepared, attempt, status, started.elapsed());
        result
    }

    fn response(
        &self,
        target: &Target,
        request: &ProxyRequest,
        pending: PendingResponse,
        permit: Permit,
    ) -> ProxyResponse {
        let PendingResponse {
            mut response, host, ..
        } = pending;
        let status = response.status().as_u16();
        let mut headers = std::mem::take(response.headers_mut());
        // An unknown coding stays, and so does the header that names it.
        let codings = request
            .decompress
            .then(|| coding::codings(&headers).ok())
            .flatten();
        let codings = codings.unwrap_or_default();
        if !codings.is_empty() {
            headers = without_coding(headers);
        }
        let length = match (&request.method, status) {
            (&Method::HEAD, _) | (_, 304) => headers::content_length(&headers),
            _ => response.body().size_hint().exact().filter(|_| codings.is_empty()),
        };
        let rules = &target.provider;
        let limited = rate_limited(&rules.retry, status, &headers);
        let idle = self.0.options.request_timeout;
        ProxyResponse {
            status,
            headers: headers::for_the_client(headers),
            body: ProxyResponseBody {
                length,
                parts: BodyParts::new(response.into_body(), codings),
                host,
                idle,
                permit: PermitGuard::new(length, permit, idle),
            },
            unauthorized: !limited && rules.errors.unauthorized.contains(&status),
        }
    }
}
