//! The provider's response on its way to the caller.

use std::io;

use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures::FutureExt;
use upstream::{ProxyResponse, RequestError};

use crate::middleware;

/// The header that marks a response as the provider's and not the gateway's own.
const UPSTREAM_STATUS: HeaderName = HeaderName::from_static("trunkline-upstream-status");

/// The most bytes of a body that is not streamed if all of it has arrived.
const SMALL: u64 = 64 << 10;

/// Returns the response and streams its body; a caller that stops reading makes the provider wait.
pub(super) fn stream(relayed: ProxyResponse, request: HttpRequest) -> HttpResponse {
    let status = StatusCode::from_u16(relayed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in &relayed.headers {
        // The HTTP crates of the two sides have types of their own.
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.append_header((name, value));
        }
    }
    response.insert_header((UPSTREAM_STATUS, HeaderValue::from(relayed.status)));
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // A 304 may have the length of the body that it leaves out.
        return response.finish();
    }
    let mut body = relayed.body;
    let length = body.length();
    // A small body usually arrives with its head; then it needs no stream.
    let first = match length {
        Some(length) if length <= SMALL => body.part().now_or_never(),
        _ => None,
    };
    let whole = match &first {
        Some(Ok(Some(part))) if u64::try_from(part.len()).ok() == length => Some(part.clone()),
        _ => None,
    };
    if let Some(whole) = whole {
        // Reads the end of the stream too, if the stream has one of its own.
        drop(body.part().now_or_never());
        return response.body(whole);
    }
    let broken = move |error: RequestError| {
        middleware::log_broken_response(&request, &error);
        io::Error::other(error)
    };
    let parts = async_stream::stream! {
        match first {
            Some(Ok(Some(part))) => yield Ok(part),
            Some(Ok(None)) => return,
            Some(Err(error)) => {
                yield Err(broken(error));
                return;
            }
            None => {}
        }
        loop {
            match body.part().await {
                Ok(Some(part)) => yield Ok(part),
                Ok(None) => break,
                // Breaks the response off, so that the caller does not take a part for the whole.
                Err(error) => {
                    yield Err(broken(error));
                    break;
                }
            }
        }
    };
    let body = match length {
        Some(length) => BoxBody::new(SizedStream::new(length, parts)),
        None => BoxBody::new(BodyStream::new(parts)),
    };
    response.body(body)
}
