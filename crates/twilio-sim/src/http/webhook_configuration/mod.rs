//! The webhooks configuration API: `/v1/Webhooks/{SharedKeys,Settings,Rules,Operations,Tests}`, in JSON.

mod operations;
mod page;
mod rules;
mod settings;
mod shared_keys;
mod test_delivery;

use serde_json::{Map, Value};

use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::random::{below, draw};
use crate::shared::Shared;
use crate::webhooks::KeptResponse;

/// The code of errors for which Twilio documents none.
const INVALID: u32 = 59001;
const IN_USE: u32 = 59100;
const EXISTS: u32 = 59103;
const LIMIT: u32 = 59200;

/// Handles a request below `/v1/Webhooks`.
pub(crate) fn route(
    shared: &Shared,
    request: &ApiRequest,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let needs_key = matches!(
        (request.method.as_str(), segments),
        ("POST", ["SharedKeys" | "Settings" | "Rules"]) | ("PATCH" | "DELETE", ["Rules", _])
    );
    if !needs_key {
        return dispatch(shared, request, segments);
    }
    let key = request
        .idempotency_key
        .clone()
        .ok_or_else(|| invalid("the header Idempotency-Key is required"))?;
    if !is_uuid_v7(&key) {
        return Err(invalid("Idempotency-Key must be a UUIDv7"));
    }
    let fingerprint = format!(
        "{} {} {}",
        request.method,
        request.path,
        String::from_utf8_lossy(&request.json_body)
    );
    if let Some(kept) = shared.sender.configuration().kept(&key) {
        if kept.request != fingerprint {
            return Err(ApiError::problem(
                422,
                INVALID,
                "Idempotency-Key was used for another request",
            ));
        }
        return Ok(ApiResponse {
            headers: kept.headers.clone(),
            ..ApiResponse::json(kept.status, kept.body.clone())
        });
    }
    let response = dispatch(shared, request, segments)?;
    let kept = KeptResponse {
        request: fingerprint,
        status: response.status,
        body: response.body.clone(),
        headers: response.headers.clone(),
    };
    shared.sender.configuration().keep(key, kept);
    Ok(response)
}

fn dispatch(shared: &Shared, request: &ApiRequest, segments: &[&str]) -> Result<ApiResponse, ApiError> {
    match segments {
        ["SharedKeys", rest @ ..] => shared_keys::route(shared, request, rest),
        ["Settings", rest @ ..] => settings::route(shared, request, rest),
        ["Rules", rest @ ..] => rules::route(shared, request, rest),
        ["Operations", rest @ ..] => operations::route(shared, request, rest),
        // The documentation says `Test`, the official libraries call `Tests`.
        ["Test" | "Tests"] if request.method == "POST" => test_delivery::send(shared, request),
        _ => Err(unknown(request)),
    }
}

/// Returns the body as an object.
fn body(request: &ApiRequest) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(&request.json_body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("the body must be a JSON object")),
        Err(error) => Err(invalid(&format!("the body must be JSON: {error}"))),
    }
}

/// Returns a text field of at most `most` characters.
fn text<'a>(fields: &'a Map<String, Value>, name: &str, most: usize) -> Result<Option<&'a str>, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text)),
        Some(_) => Err(invalid(&format!(
            "{name} must be a text of at most {most} characters"
        ))),
    }
}

fn required<'a>(fields: &'a Map<String, Value>, name: &str, most: usize) -> Result<&'a str, ApiError> {
    text(fields, name, most)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| invalid(&format!("{name} is required")))
}

fn invalid(detail: &str) -> ApiError {
    ApiError::problem(400, INVALID, detail)
}

fn not_found(id: &str) -> ApiError {
    ApiError::problem(404, 20404, format!("{id} was not found"))
}

fn too_many(kind: &str) -> ApiError {
    ApiError::problem(
        409,
        LIMIT,
        format!("the account has the most {kind} that it may have"),
    )
}

/// Returns when a change that is made now takes effect: 30 to 60 seconds later.
fn effective_from(shared: &Shared) -> i64 {
    let delay = 30 + below(draw(shared.seed, shared.next_number(), 0xDE1A), 31);
    shared.clock.seconds() + i64::try_from(delay).unwrap_or(60)
}

fn is_uuid_v7(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match (at, byte) {
            (at, byte) if hyphens.contains(&at) => byte == b'-',
            (14, byte) => byte == b'7',
            (19, byte) => b"89abAB".contains(&byte),
            (_, byte) => byte.is_ascii_hexdigit(),
        })
}
