//! The error responses that many operations share, so that each handler declares only its own.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::operations;

/// What every operation with a JSON body may respond with.
const BODY: [(&str, &str); 2] = [
    ("413", "The body is larger than 64 KB: `body_too_large`"),
    ("415", "The body is not JSON: `invalid_content_type`"),
];
/// What every operation that needs an API key may respond with.
const KEY: [(&str, &str); 2] = [
    (
        "401",
        "No key, one that cannot be read (`missing_auth_header`, `malformed_auth_header`), or one that is not known (`unknown_account`).",
    ),
    ("403", "The key lacks the scope: `forbidden`."),
];
/// What every operation that needs the token of a connect session may respond with.
const SESSION: [(&str, &str); 1] = [(
    "401",
    "No token (`missing_auth_header`), one that cannot be read (`malformed_auth_header`, `invalid_connect_session_token_format`), \
     one that is not known or whose session has ended (`unknown_connect_session_token`), or a public key in its place \
     (`deprecated_authentication`).",
)];
/// What every operation that needs a key or a token may respond with.
const SERVER: [(&str, &str); 2] = [
    (
        "500",
        "An error of Trunkline, with the request's id in `payload`: `server_error`.",
    ),
    (
        "503",
        "The database (`unavailable`) or the provider (`provider_unavailable`) cannot be reached: see the header `Retry-After`.",
    ),
];

/// Adds the shared responses, and the body of every error.
pub(super) fn add_shared(document: &mut OpenApi) {
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        if takes_json(operation) {
            add(operation, &BODY);
        }
        let security = serde_json::to_string(&operation.security).unwrap_or_default();
        if security.contains("\"api_key\"") {
            add(operation, &KEY);
            add(operation, &SERVER);
        } else if security.contains("\"connect_session") {
            add(operation, &SESSION);
            add(operation, &SERVER);
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response
                && status.starts_with(['4', '5'])
            {
                let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
                response
                    .content
                    .insert("application/json".to_owned(), body.into());
            }
        }
    }
}

fn takes_json(operation: &Operation) -> bool {
    let body = operation.request_body.as_ref();
    body.is_some_and(|body| matches!(body, RefOr::T(body) if body.content.contains_key("application/json")))
}

/// Adds responses that the operation does not declare itself.
fn add(operation: &mut Operation, responses: &[(&str, &str)]) {
    for (status, description) in responses {
        let response =
            || -> RefOr<Response> { ResponseBuilder::new().description(*description).build().into() };
        operation
            .responses
            .responses
            .entry((*status).to_owned())
            .or_insert_with(response);
    }
}
