//! The provider's answer on its way to the caller.

use std::io;

use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures::FutureExt;
use upstream::{ProxyResponse, RequestError};

use crate::middleware;

/// Tells that an answer is the provider's and not the gateway's own.
const UPSTREAM_STATUS: HeaderName = HeaderName::from_static("trunkline-upstream-status");

/// Bytes of a body that is not streamed if all of it is there already.
const SMALL: u64 = 64 << 10;

/// The answer with its body as it comes; who does not read on makes the provider wait.
pub(super) fn stream(relayed: ProxyResponse, request: HttpRequest) -> HttpResponse {
    let status = StatusCode::from_u16(relayed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in &relayed.headers {
        // Both sides speak of the same bytes in types of their own.
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.append_header((name, value));
        }
    }
    response.insert_header((UPSTREAM_STATUS, HeaderValue::from(relayed.status)));
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // The length that a 304 may tell is that of the body which it leaves out.
        return response.finish();
    }
    let mut body = relayed.body;
    let length = body.length();
    // A small body mostly comes with its head; then it needs no stream.
    let first = match length {
        Some(length) if length <= SMALL => body.part().now_or_never(),
        _ => None,
    };
    let whole = match &first {
        Some(Ok(Some(part))) if u64::try_from(part.len()).ok() == length => Some(part.clone()),
        _ => None,
    };
    if let Some(whole) = whole {
        // Takes the end of the stream too, where a stream has an end of its own.
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
                // Breaks the answer off, so that nobody takes what came for all.
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
