//! Calls that are handed on: bodies stream both ways as they are, and the answer is the provider's whatever its status.

mod body;
mod endpoint;
mod head;
mod hold;

use std::time::Duration;

use http::Method;
use http::header::HeaderMap;
use hyper::body::Body;
use serde_json::Value;
use tokio::time::Instant;
use tracing::debug;

pub(crate) use body::UploadParts;
pub use body::{RelayBody, RelayedBody, Upload, UploadError};

use crate::client::{Wait, repeats_error, shape};
use crate::coding::{self, Parts};
use crate::error::shown_host;
use crate::gate::Place;
use crate::provider_error::without_secrets;
use crate::reading::without_coding;
use crate::request::Prepared;
use crate::transport::Begun;
use crate::{CallError, Target, Upstream, retry};
use body::Progress;

/// A call to hand on.
#[derive(Debug)]
pub struct Relay {
    /// The method, whatever it is.
    pub method: Method,
    /// What to call: a path below the base URL, or an address that begins with it. Its encoding stays as it is.
    pub endpoint: String,
    /// What follows the question mark, as it is.
    pub query: Option<String>,
    /// Replaces the provider's base URL; must be of an origin that the provider's file or the configuration names.
    pub base_url: Option<String>,
    /// Headers for the provider. They win over those of its file; those that belong to one hop, and `user-agent`, are left out.
    pub headers: HeaderMap,
    /// What the caller's request says of its own body, for where neither the provider's file nor `headers` says it.
    pub content_headers: HeaderMap,
    /// The body. What the provider's file adds to bodies is added to one that is whole; a streamed one stays as it is.
    pub body: RelayBody,
    /// Repetitions at most; 0 for one attempt. A streamed body is sent once.
    pub retries: u32,
    /// Statuses to repeat beside the usual ones, whatever the method: the caller knows that this is harmless.
    pub retry_on: Vec<u16>,
    /// For the whole call until its answer begins; never more than the configuration allows.
    pub deadline: Option<Duration>,
    /// For a place under the limits; never more than the configuration allows.
    pub wait: Option<Duration>,
    /// Whether a compressed answer is to be decompressed.
    pub decompress: bool,
    /// Whether `headers` go along when the provider redirects to another origin. An authorisation never does.
    pub carry_headers: bool,
}

impl Relay {
    /// A call without a body and with nothing asked for.
    pub fn new(method: Method, endpoint: impl Into<String>) -> Self {
        Self {
            method,
            endpoint: endpoint.into(),
            query: None,
            base_url: None,
            headers: HeaderMap::new(),
            content_headers: HeaderMap::new(),
            body: RelayBody::default(),
            retries: 0,
            retry_on: Vec::new(),
            deadline: None,
            wait: None,
            decompress: false,
            carry_headers: false,
        }
    }

    /// Whether doing it twice is the same as doing it once: by RFC 9110 (9.2.2), and for two methods that only read, by RFC 4918
    /// (9.1) and RFC 3253 (3.6).
    fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || matches!(self.method.as_str(), "PROPFIND" | "REPORT")
    }
}

/// The provider's answer, of which the body is still to come. The call's place under the limits is held until that has ended or
/// is dropped.
#[derive(Debug)]
pub struct Relayed {
    /// The HTTP status.
    pub status: u16,
    /// Its headers without those of one hop and those that a browser would take for the gateway's own.
    pub headers: HeaderMap,
    /// The body.
    pub body: RelayedBody,
    /// How many attempts it took.
    pub attempts: u32,
    /// Whether the status says that the credentials are not good.
    pub unauthorized: bool,
}

impl Upstream {
    /// Hands a call on; the answer is the provider's, whatever its status.
    ///
    /// Repeated, if at all, only after what cannot have been carried out, or what may be carried out twice.
    pub async fn relay(&self, target: &Target, mut relay: Relay) -> Result<Relayed, CallError> {
        let (now, options) = (Instant::now(), self.options());
        let deadline = now + relay.deadline.unwrap_or(options.deadline).min(options.deadline);
        let patience = now + relay.wait.unwrap_or(options.relay_wait).min(options.relay_wait);
        let prepared = self.prepare_relay(target, &mut relay)?;
        let mut body = std::mem::take(&mut relay.body);
        let streamed = matches!(body, RelayBody::Stream(_));
        // A streamed body takes as long as it takes, unless the caller says otherwise.
        let until = (!streamed || relay.deadline.is_some()).then_some(deadline);
        let attempts = if streamed {
            1
        } else {
            relay.retries.saturating_add(1)
        };

        let mut patience = patience.min(deadline);
        let mut place = self.gates().enter(target, patience).await?;
        let mut was_unauthorized = false;
        let mut attempt = 1;
        loop {
            place.pace(patience).await?;
            let result = self
                .relay_once(target, &relay, &prepared, &mut body, until, attempt)
                .await;
            let asked = self.asked(target, &result);
            let repeat = match &result {
                Ok(begun) => {
                    let status = begun.response.status().as_u16();
                    let first_401 = status == 401 && !std::mem::replace(&mut was_unauthorized, true);
                    let rules = &target.provider.retry;
                    let usual = first_401
                        || !begun.response.status().is_success()
                            && retry::repeats(rules, status, begun.response.headers(), relay.is_idempotent());
                    relay.retry_on.contains(&status) || usual && (relay.is_idempotent() || !begun.carried_out)
                }
                Err(error) => repeats_error(error, relay.is_idempotent()),
            };
            let pause = match self.wait(attempt, asked, deadline) {
                Wait::For(pause) if repeat && attempt < attempts => pause,
                _ => return result.map(|begun| self.relayed(target, &relay, begun, place, attempt)),
            };
            // What was answered is of no use any more.
            drop(result);
            patience = deadline;
            place = self.pause(target, place, &pause, deadline, attempt).await?;
            attempt += 1;
        }
    }

    /// How long the provider asked to wait in headers, since the body is the caller's; if there were too many calls, all others of the connection learn it too.
    fn asked(&self, target: &Target, result: &Result<Begun, CallError>) -> Option<Duration> {
        let response = &result.as_ref().ok()?.response;
        if response.status().is_success() {
            return None;
        }
        let rules = &target.provider.retry;
        let status = response.status().as_u16();
        let asked = retry::asked(rules, status, response.headers(), &Value::Null, self.now())?.get();
        if retry::rate_limited(rules, status, response.headers()) {
            self.rest(target, asked);
        }
        Some(asked)
    }

    async fn relay_once(
        &self,
        target: &Target,
        relay: &Relay,
        prepared: &Prepared,
        body: &mut RelayBody,
        until: Option<Instant>,
        attempt: u32,
    ) -> Result<Begun, CallError> {
        let started = Instant::now();
        let progress = Progress::begin();
        let stream = match body {
            RelayBody::Whole(_) => None,
            RelayBody::Stream(_) => std::mem::take(body).into_parts(&progress),
        };
        let trusted = self.options().base_urls.get(&target.provider.name);
        let sending = self.transport().begin(prepared, stream, trusted);
        let result = progress
            .watch(sending, self.options().request_timeout, until)
            .await
            .unwrap_or_else(|| {
                Err(CallError::TimedOut {
                    host: shown_host(&prepared.url),
                })
            })
            .map_err(|error| progress.error().map_or(error, CallError::Upload));
        debug!(
            provider = %target.provider.name,
            http.method = %relay.method,
            http.host = prepared.url.host_str(),
            http.path = without_secrets(target, &shape(prepared.url.path())),
            http.status = result.as_ref().ok().map(|begun| begun.response.status().as_u16()),
            attempt,
            duration_ms = started.elapsed().as_secs_f64() * 1000.0,
            "relayed a call to a provider",
        );
        result
    }

    fn relayed(&self, target: &Target, relay: &Relay, begun: Begun, place: Place, attempts: u32) -> Relayed {
        let Begun {
            mut response, host, ..
        } = begun;
        let status = response.status().as_u16();
        let mut headers = std::mem::take(response.headers_mut());
        // A coding that we do not know stays, and so does the header that names it.
        let codings = relay.decompress.then(|| coding::codings(&headers).ok()).flatten();
        let codings = codings.unwrap_or_default();
        if !codings.is_empty() {
            headers = without_coding(headers);
        }
        let length = match (&relay.method, status) {
            // What there would be.
            (&Method::HEAD, _) | (_, 304) => head::content_length(&headers),
            _ => response.body().size_hint().exact().filter(|_| codings.is_empty()),
        };
        let rules = &target.provider;
        let limited = retry::rate_limited(&rules.retry, status, &headers);
        let parts = Parts::new(response.into_body(), codings);
        Relayed {
            status,
            headers: head::for_the_caller(headers),
            body: RelayedBody::new(parts, host, length, self.options().request_timeout, place),
            attempts,
            unauthorized: !limited && rules.errors.unauthorized.contains(&status),
        }
    }
}
