//! Reads a response to its end, within a bound, the memory budget and the time for it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::budget::{BodyPermit, FIRST_BYTES};
use crate::coding::{self, PartError, Parts};
use crate::error::shown_host;
use crate::request::Prepared;
use crate::transport::{Begun, Response, Transport};
use crate::{Answer, CallError};

/// An error's body is read up to so many bytes; the rest is dropped and the connection closed.
pub(crate) const ERROR_BODY: usize = FIRST_BYTES;

/// An error's body is read for so long; then what has come of it counts.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

/// How one attempt is bounded.
pub(crate) struct Bounds {
    /// Bytes of the body of a success, after decoding.
    pub(crate) body: usize,
    /// What to do about a body that is larger.
    pub(crate) advice: &'static str,
    /// The end of the attempt. Time in which it waits for the memory budget is added.
    pub(crate) until: Instant,
    /// The end of the whole call.
    pub(crate) deadline: Instant,
}

impl Transport {
    /// One attempt, the body of its response included. `trusted` is an address by the operator's own word, which may be private
    /// and plain http.
    pub(crate) async fn send(
        &self,
        prepared: &Prepared,
        trusted: Option<&Url>,
        attempt: u32,
        bounds: &Bounds,
        permit: BodyPermit,
    ) -> Result<Answer, CallError> {
        let timed_out = |_| CallError::TimedOut {
            host: shown_host(&prepared.url),
        };
        let begun = timeout_at(bounds.until, self.begin(prepared, None, trusted))
            .await
            .map_err(timed_out)??;
        let Begun {
            mut response,
            host,
            carried_out,
            stopped,
        } = begun;
        if let Some(error) = stopped {
            return Err(error);
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut reading = Reading {
            host: &host,
            bounds,
            permit,
        };
        let body = if status.is_success() {
            reading.whole(response, &headers).await?
        } else {
            reading.of_an_error(response, &headers).await
        };
        Ok(Answer {
            status: status.as_u16(),
            headers: without_coding(headers),
            body,
            attempts: attempt,
            carried_out,
            permit: reading.permit,
        })
    }
}

/// Headers that still hold for a decoded body.
pub(crate) fn without_coding(mut headers: HeaderMap) -> HeaderMap {
    if headers.contains_key(header::CONTENT_ENCODING) {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    headers
}

struct Reading<'a> {
    host: &'a str,
    bounds: &'a Bounds,
    permit: BodyPermit,
}

impl Reading<'_> {
    /// The body of a success: all of it, or an error.
    async fn whole(&mut self, response: Response, headers: &HeaderMap) -> Result<Bytes, CallError> {
        let limit = self.bounds.body;
        let too_large = || CallError::TooLarge {
            host: self.host.to_owned(),
            limit,
            advice: self.bounds.advice,
        };
        let codings = coding::codings(headers).map_err(|unknown| CallError::UnknownCoding {
            host: self.host.to_owned(),
            coding: unknown.0,
        })?;
        let told = response.body().size_hint().exact().filter(|_| codings.is_empty());
        if told.is_some_and(|told| usize::try_from(told).map_or(true, |told| told > limit)) {
            return Err(too_large());
        }
        let mut parts = Parts::new(response.into_body(), codings);
        let (mut body, mut until) = (Vec::new(), self.bounds.until);
        loop {
            let next = timeout_at(until, parts.next()).await;
            let next = next.map_err(|_| CallError::TimedOut {
                host: self.host.to_owned(),
            })?;
            let Some(part) = next.map_err(|error| error.into_call_error(self.host))? else {
                break;
            };
            let needed = body.len().saturating_add(part.len());
            if needed > limit {
                return Err(too_large());
            }
            if needed > self.permit.bytes() {
                let began = Instant::now();
                self.grow(needed, limit).await?;
                until = until.max(began) + began.elapsed();
            }
            append(&mut body, &part, self.permit.bytes());
        }
        Ok(without_mark(Bytes::from(body)))
    }

    /// Takes what the body needs from the memory budget, and some more so that it need not ask for each part.
    async fn grow(&mut self, needed: usize, limit: usize) -> Result<(), CallError> {
        let wanted = self.permit.bytes().saturating_mul(2).min(limit).max(needed);
        timeout_at(self.bounds.deadline, self.permit.grow(wanted))
            .await
            .map_err(|_| CallError::NoMemory { sent: true })
    }

    /// What can be had of an error's body within its bounds. Whatever goes wrong with it, the status counts.
    async fn of_an_error(&mut self, response: Response, headers: &HeaderMap) -> Bytes {
        let Ok(codings) = coding::codings(headers) else {
            return Bytes::new();
        };
        let mut parts = Parts::new(response.into_body(), codings);
        let until = self.bounds.until.min(Instant::now() + ERROR_BODY_TIME);
        let mut body = Vec::new();
        while let Ok(Ok(Some(part))) = timeout_at(until, parts.next()).await {
            let room = ERROR_BODY.saturating_sub(body.len());
            body.extend(part.iter().take(room));
            if part.len() >= room {
                break;
            }
        }
        without_mark(Bytes::from(body))
    }
}

/// Appends a part, with room for `capacity` bytes in all: those that the memory budget gave.
fn append(body: &mut Vec<u8>, part: &[u8], capacity: usize) {
    if body.len().saturating_add(part.len()) > body.capacity() {
        // The first part is mostly the whole body, or says little about it.
        let room = if body.is_empty() { part.len() } else { capacity };
        body.reserve_exact(room.saturating_sub(body.len()).max(part.len()));
    }
    body.extend_from_slice(part);
}

/// The body without a byte order mark, which a reader of JSON may ignore (RFC 8259, 8.1).
fn without_mark(body: Bytes) -> Bytes {
    if body.starts_with(b"\xef\xbb\xbf") {
        body.slice(3..)
    } else {
        body
    }
}

impl PartError {
    pub(crate) fn into_call_error(self, host: &str) -> CallError {
        match self {
            Self::Transport(error) => CallError::Broken {
                host: host.to_owned(),
                source: error.into(),
            },
            Self::Coding(source) => CallError::Undecodable {
                host: host.to_owned(),
                source,
            },
        }
    }
}
