//! The middleware around every route: the span and the log line of a request, CORS, headers, and the one place that logs the causes of
//! errors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use gateway::{LogContext, error_chain};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use crate::error::ApiError;
use crate::path;

/// The header with the id by which a request is found in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The same, where a provider's response has that header already.
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("trunkline-request-id");

/// One span for each request, with nothing in it that the caller wrote.
pub(crate) struct RequestSpan;

/// The id that the OpenAPI document gives to the operation of a request, for the log.
pub(crate) struct OperationId(pub(crate) Arc<str>);

/// Returns the request's id, which its span and its response have.
fn id(extensions: &Extensions) -> String {
    extensions
        .get::<RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        tracing::info_span!(
            "request",
            request.id = id(&request.extensions()),
            http.method = %request.method(),
            operation = tracing::field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, _: &Result<ServiceResponse<B>, Error>) {
        // `around` logs the end of the request, outside of the span.
    }
}

/// The outermost middleware: normalizes the path, and logs the request when the response is ready.
pub(crate) async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    path::normalize(&mut request);
    let response = next.call(request).await?;
    log_request(&response, started.elapsed());
    Ok(response)
}

/// Writes the log line of a request. Inside of the request's span, the log would read and write the span again for it.
fn log_request<B>(response: &ServiceResponse<B>, took: Duration) {
    let request = response.request();
    let extensions = request.extensions();
    let operation = extensions.get::<OperationId>().map(|operation| &*operation.0);
    let context = extensions.get::<LogContext>();
    tracing::info!(
        request.id = id(&extensions),
        http.method = %request.method(),
        operation,
        integration = context.and_then(LogContext::integration),
        connection = context.and_then(LogContext::connection),
        http.status = response.status().as_u16(),
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "answered",
    );
}

/// Logs why a response broke off after its head was sent, with the fields by which the request's own log line is found.
pub(crate) fn log_broken_response(request: &HttpRequest, error: &(dyn std::error::Error + 'static)) {
    let extensions = request.extensions();
    let context = extensions.get::<LogContext>();
    tracing::warn!(
        request.id = id(&extensions),
        http.method = %request.method(),
        integration = context.and_then(LogContext::integration),
        connection = context.and_then(LogContext::connection),
        error = %error_chain(error),
        "a response broke off",
    );
}

/// Gives every response its id and its headers and every error its body, and logs the cause of each internal error.
pub(crate) async fn complete(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = id(&request.extensions());
    let (answered, context) = LogContext::collect(next.call(request)).await;
    let mut response = answered?.map_into_boxed_body();
    let status = response.status();
    let failed = response.response().error().and_then(|error| {
        // Errors of actix and its middleware have texts of their own.
        let theirs = ApiError::Refused {
            status,
            message: error.to_string(),
        };
        let (error, is_theirs) = match error.as_error::<ApiError>() {
            Some(error) => (error, false),
            None => (&theirs, true),
        };
        if let Some(cause) = error.cause() {
            let (integration, connection) = (context.integration(), context.connection());
            let cause = error_chain(cause);
            if error.is_outage() {
                tracing::debug!(integration, connection, error = %cause, "a request failed");
            } else {
                tracing::error!(integration, connection, error = %cause, "a request failed");
            }
        }
        (is_theirs || error.cause().is_some()).then(|| error.response(Some(&id)))
    });
    response.request().extensions_mut().insert(context);
    if let Some(body) = failed {
        response = response.into_response(body);
    }
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // A provider's own id, which its support asks for, is not overwritten.
    let own = if headers.contains_key(REQUEST_ID) {
        OWN_REQUEST_ID
    } else {
        REQUEST_ID
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(own, id);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Allows every page to call the API, since a key is needed in any case. The lists of headers are those of Nango's public API.
pub(crate) fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allow_any_method()
        .allowed_headers([
            "Authorization",
            "Content-Type",
            "Accept",
            "Origin",
            "X-Requested-With",
            "Nango-Activity-Log-Id",
            "Nango-Is-Dry-Run",
            "Nango-Is-Sync",
            "Provider-Config-Key",
            "Connection-Id",
            "Sentry-Trace",
            "Baggage",
        ])
        .expose_headers([
            "Authorization",
            "Etag",
            "Content-Type",
            "Content-Length",
            "X-Nango-Signature",
            "X-Request-Id",
            "Retry-After",
            "Trunkline-Upstream-Status",
        ])
        .max_age(600)
}
