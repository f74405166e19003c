//! What stands around every route: the request's span and log line, CORS, headers, and the one place that logs a cause.

use std::sync::Arc;
use std::time::Instant;

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use gateway::Subject;
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use crate::connect_sessions::ConnectPage;
use crate::document::Document;
use crate::error::ApiError;
use crate::pattern;

/// The header by which a request is found in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The same beside a provider's own.
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("trunkline-request-id");

/// One span a request for what is logged on its way, and one line at its end with status and time taken; nothing that a caller wrote.
pub(crate) struct RequestSpan;

struct Started(Instant);

/// The name that the document gives to the request's operation, for the log.
struct Operation(Option<Arc<str>>);

impl Operation {
    fn of(request: &ServiceRequest) -> Self {
        let document = request.app_data::<web::Data<Document>>();
        let pattern = pattern::of(request.request());
        let name = document.zip(pattern).and_then(|(document, pattern)| {
            let methods = &document.methods;
            methods.operation(request.method(), request.path(), &pattern)
        });
        Self(name)
    }
}

/// The request's id, which its span and its answer bear.
fn id(extensions: &Extensions) -> String {
    extensions
        .get::<RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let operation = Operation::of(request);
        let span = tracing::info_span!(
            "request",
            request.id = id(&request.extensions()),
            http.method = %request.method(),
            operation = operation.0.as_deref(),
        );
        let mut extensions = request.extensions_mut();
        extensions.insert(operation);
        extensions.insert(Started(Instant::now()));
        drop(extensions);
        span
    }

    fn on_request_end<B: MessageBody>(_: Span, _: &Result<ServiceResponse<B>, Error>) {
        // `write_line` does it, outside of the span.
    }
}

/// Writes the request's line. Inside of the request's span the log would read and write the span again for it.
pub(crate) fn write_line<B>(response: &ServiceResponse<B>) {
    let request = response.request();
    let extensions = request.extensions();
    let operation = extensions
        .get::<Operation>()
        .and_then(|operation| operation.0.as_deref());
    let subject = extensions.get::<Subject>();
    let started = extensions.get::<Started>().map(|started| started.0.elapsed());
    let micros = started.map(|elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
    tracing::info!(
        request.id = id(&extensions),
        http.method = %request.method(),
        operation,
        integration = subject.and_then(Subject::integration),
        connection = subject.and_then(Subject::connection),
        http.status = response.status().as_u16(),
        duration_us = micros,
        "answered",
    );
}

/// Writes why a response broke off after its head was sent, with the fields by which the request's own line is found.
pub(crate) fn write_broken(request: &HttpRequest, error: &(dyn std::error::Error + 'static)) {
    let extensions = request.extensions();
    let subject = extensions.get::<Subject>();
    tracing::warn!(
        request.id = id(&extensions),
        http.method = %request.method(),
        integration = subject.and_then(Subject::integration),
        connection = subject.and_then(Subject::connection),
        error = %Chain(error),
        "a response broke off",
    );
}

/// Gives every answer its id and its headers, every error its body, and every cause its line in the log.
pub(crate) async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = id(&request.extensions());
    let (answered, subject) = Subject::of(next.call(request)).await;
    let mut response = answered?.map_into_boxed_body();
    let status = response.status();
    let failed = response.response().error().and_then(|error| {
        // What actix and its middleware refuse is text of their own.
        let theirs = ApiError::Refused {
            status,
            message: error.to_string(),
        };
        let (error, is_theirs) = match error.as_error::<ApiError>() {
            Some(error) => (error, false),
            None => (&theirs, true),
        };
        if let Some(cause) = error.cause() {
            let (integration, connection) = (subject.integration(), subject.connection());
            let cause = Chain(cause);
            if error.is_outage() {
                tracing::debug!(integration, connection, error = %cause, "a request failed");
            } else {
                tracing::error!(integration, connection, error = %cause, "a request failed");
            }
        }
        (is_theirs || error.cause().is_some()).then(|| error.response(Some(&id)))
    });
    response.request().extensions_mut().insert(subject);
    if let Some(body) = failed {
        response = response.into_response(body);
    }
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // A provider's own id, which its support asks for, is not written over.
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

/// An error and all that lies below it, in one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut below = self.0.source();
        while let Some(error) = below {
            write!(f, ": {error}")?;
            below = error.source();
        }
        Ok(())
    }
}

/// Where Nango's connect page tells of its use.
const TELEMETRY: &str = "/connect/telemetry";

/// Lets the connect page send its beacons. A browser sends them with credentials, for which it wants its own origin in the answer
/// and not `*`. Without a configured connect page any page may be it; there is nothing to be had.
pub(crate) async fn beacons(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let page = request.app_data::<web::Data<ConnectPage>>();
    let page = page.and_then(|page| page.origin());
    let origin = origin.filter(|origin| {
        request.path() == TELEMETRY && page.is_none_or(|page| origin.as_bytes() == page.as_bytes())
    });
    let Some(origin) = origin else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let asks_first = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks_first {
        let answer = HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
            .finish();
        request.into_response(answer)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    Ok(response)
}

/// Any page may call the API, since only a key opens it; the lists are those of Nango's public API.
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
