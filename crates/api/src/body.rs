//! JSON bodies, read strictly: of a bounded size, of the right content type, and without unknown fields.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::LocalBoxFuture;
use gateway::FieldError;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::query::{NoParameters, Query};

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 64 << 10;
/// How long a body may take to arrive that is read as a whole before anything is done (at most 256 KB).
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a request and its query, which has no parameters unless `Q` declares them.
pub(crate) struct Body<T, Q = NoParameters>(pub(crate) T, pub(crate) Q);

impl<T, Q> FromRequest for Body<T, Q>
where
    T: DeserializeOwned + 'static,
    Q: DeserializeOwned + IntoParams + 'static,
{
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let query = Query::<Q>::from_request(request, payload).into_inner();
        let checked = content_type(request);
        let bytes = RawBody::from_request(request, payload);
        Box::pin(async move {
            let Query(query) = query?;
            checked?;
            let bytes = bytes.await?.0;
            // Serde reads a struct from a list as well.
            if bytes.trim_ascii_start().starts_with(b"[") {
                let no_path: [&str; 0] = [];
                let error = FieldError::new("invalid", no_path, "the body must be an object");
                return Err(ApiError::InvalidBody(vec![error]));
            }
            Ok(Self(parse(&bytes)?, query))
        })
    }
}

/// The bytes of a body, for handlers that decide themselves whether it must be JSON.
pub(crate) struct RawBody(pub(crate) web::Bytes);

impl FromRequest for RawBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let bytes = in_time(bytes).await?;
            bytes
                .map(Self)
                .map_err(|error| match error.as_error::<PayloadError>() {
                    Some(PayloadError::Overflow) => ApiError::TooLarge(MAX_BODY),
                    _ => ApiError::BrokenBody,
                })
        })
    }
}

/// Waits for a body, which may take [`BODY_TIMEOUT`].
pub(crate) async fn in_time<F: Future>(reading: F) -> Result<F::Output, ApiError> {
    let read = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    read.map_err(|_| ApiError::LateBody(BODY_TIMEOUT.as_secs()))
}

/// Checks that the content type, if there is one, is JSON.
pub(crate) fn content_type(request: &HttpRequest) -> Result<(), ApiError> {
    let media_type = request.content_type().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/");
    let is_json = subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"));
    if is_json || !request.headers().contains_key(CONTENT_TYPE) {
        Ok(())
    } else {
        Err(ApiError::InvalidContentType)
    }
}

/// Reads a body into its type.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .map_err(|error| ApiError::InvalidJson(place(&error)))?;
    // From the text and not from the value above: serde_json rewrites some numbers when it converts a value.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| ApiError::InvalidBody(vec![FieldError::from_serde(&[], error)]))
}

/// Tells where the text stops being JSON, but not what is there, which may be a secret.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "something is wrong",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}
