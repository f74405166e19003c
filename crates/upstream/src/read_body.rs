//! Reads a response to its end, within its size limit, the memory budget and its time.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::budget::FIRST_BYTES;
use crate::coding::{self, BodyParts};
use crate::error::shown_host;
use crate::prepare::PreparedRequest;
use crate::transport::{PendingResponse, RawResponse, Transport};
use crate::{BodyMemory, RequestError, Response};

/// How long an error's body is read; then what has arrived of it counts.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

/// The bounds of one attempt.
pub(crate) struct ReadBounds {
    /// Bytes of the body of a success, after decoding.
    pub(crate) body: usize,
    /// What to do about a body that is larger.
    pub(crate) advice: &'static str,
    /// The end of the attempt. Time that it waits for the memory budget is added.
    pub(crate) until: Instant,
    /// The end of the whole request.
    pub(crate) deadline: Instant,
}

impl Transport {
    /// Sends a request and reads the response to its end. `operator_base_url` is an address that the operator set, which may be
    /// private and plain http.
    pub(crate) async fn send(
        &self,
        prepared: &PreparedRequest,
        operator_base_url: Option<&Url>,
        bounds: &ReadBounds,
        memory: BodyMemory,
    ) -> Result<Response, RequestError> {
        let timed_out = |_| RequestError::TimedOut(shown_host(&prepared.url));
        let pending = timeout_at(bounds.until, self.begin(prepared, None, operator_base_url))
            .await
            .map_err(timed_out)??;
        let PendingResponse {
            mut response,
            host,
            carried_out,
            stopped,
        } = pending;
        if let Some(error) = stopped {
            return Err(error);
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut reading = Reading {
            host: &host,
            bounds,
            memory,
        };
        let body = if status.is_success() {
            reading.whole_body(response, &headers).await?
        } else {
            reading.error_body(response, &headers).await
        };
        Ok(Response {
            status: status.as_u16(),
            headers: without_coding(headers),
            body,
            carried_out,
            memory: reading.memory,
        })
    }
}

/// Removes the headers that are wrong for a decoded body.
pub(crate) fn without_coding(mut headers: HeaderMap) -> HeaderMap {
    if headers.contains_key(header::CONTENT_ENCODING) {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    headers
}

struct Reading<'a> {
    host: &'a str,
    bounds: &'a ReadBounds,
    memory: BodyMemory,
}

impl Reading<'_> {
    /// Reads the whole body of a success.
    async fn whole_body(
        &mut self,
        response: RawResponse,
        headers: &HeaderMap,
    ) -> Result<Bytes, RequestError> {
        let limit = self.bounds.body;
        let too_large = || RequestError::TooLarge {
            host: self.host.to_owned(),
            limit,
            advice: self.bounds.advice,
        };
        let codings = coding::codings(headers).map_err(|coding| RequestError::UnknownCoding {
            host: self.host.to_owned(),
            coding,
        })?;
        let length = response.body().size_hint().exact().filter(|_| codings.is_empty());
        if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            return Err(too_large());
        }
        let mut parts = BodyParts::new(response.into_body(), codings);
        let (mut body, mut until) = (Vec::new(), self.bounds.until);
        loop {
            let next = timeout_at(until, parts.next(self.host)).await;
            let next = next.map_err(|_| RequestError::TimedOut(self.host.to_owned()))?;
            let Some(part) = next? else {
                break;
            };
            let needed = body.len().saturating_add(part.len());
            if needed > limit {
                return Err(too_large());
            }
            if needed > self.memory.bytes() {
                let began = Instant::now();
                self.grow(needed, limit).await?;
                until = until.max(began) + began.elapsed();
            }
            append(&mut body, &part, self.memory.bytes());
        }
        Ok(without_byte_order_mark(Bytes::from(body)))
    }

    /// Takes what the body needs from the memory budget, and some more so that it need not ask for every part.
    async fn grow(&mut self, needed: usize, limit: usize) -> Result<(), RequestError> {
        let wanted = self.memory.bytes().saturating_mul(2).min(limit).max(needed);
        timeout_at(self.bounds.deadline, self.memory.grow(wanted))
            .await
            .map_err(|_| RequestError::NoMemory { sent: true })
    }

    /// Reads what it can of an error's body. Whatever goes wrong with that, the status counts.
    async fn error_body(&mut self, response: RawResponse, headers: &HeaderMap) -> Bytes {
        let Ok(codings) = coding::codings(headers) else {
            return Bytes::new();
        };
        let mut parts = BodyParts::new(response.into_body(), codings);
        let until = self.bounds.until.min(Instant::now() + ERROR_BODY_TIME);
        let mut body = Vec::new();
        while let Ok(Ok(Some(part))) = timeout_at(until, parts.next(self.host)).await {
            // The rest is dropped and the connection closed.
            let room = FIRST_BYTES.saturating_sub(body.len());
            body.extend(part.iter().take(room));
            if part.len() >= room {
                break;
            }
        }
        without_byte_order_mark(Bytes::from(body))
    }
}

/// Appends a part. `capacity` is the total size that the memory budget has granted.
fn append(body: &mut Vec<u8>, part: &[u8], capacity: usize) {
    if body.len().saturating_add(part.len()) > body.capacity() {
        // The first part is mostly the whole body, or says little about its length.
        let room = if body.is_empty() { part.len() } else { capacity };
        body.reserve_exact(room.saturating_sub(body.len()).max(part.len()));
    }
    body.extend_from_slice(part);
}

/// The body without a byte order mark, which a reader of JSON may ignore (RFC 8259, 8.1).
fn without_byte_order_mark(body: Bytes) -> Bytes {
    if body.starts_with(b"\xef\xbb\xbf") {
        body.slice(3..)
    } else {
        body
    }
}
