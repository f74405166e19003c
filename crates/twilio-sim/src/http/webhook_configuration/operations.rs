//! `…/Operations*`: the propagation of changed Rules.

use serde_json::{Value, json};

use crate::dates::iso8601;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::webhook_configuration::not_found;
use crate::http::webhook_configuration::page::page;
use crate::shared::Shared;
use crate::webhooks::Operation;

/// Handles a request below `/v1/Webhooks/Operations`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let now = shared.clock.seconds();
    let configuration = shared.sender.configuration();
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let (status, changed) = (request.parameter("status"), request.parameter("resourceId"));
            let operations = configuration
                .operations
                .iter()
                .rev()
                .filter(|one| status.as_ref().is_none_or(|status| status == one.status(now)))
                .filter(|one| changed.as_ref().is_none_or(|id| *id == one.resource))
                .map(|one| resource(shared, request, one))
                .collect();
            page(request, "operations", operations)
        }
        ("GET", [id]) => configuration
            .operations
            .iter()
            .find(|one| one.id == *id)
            .map(|one| ApiResponse::value(200, &resource(shared, request, one)))
            .ok_or_else(|| not_found(id)),
        _ => Err(unknown(request)),
    }
}

/// Returns the operation as JSON of the API.
pub(super) fn resource(shared: &Shared, request: &ApiRequest, operation: &Operation) -> Value {
    let status = operation.status(shared.clock.seconds());
    let (id, origin) = (&operation.id, request.origin(shared));
    let mut resource = json!({
        "id": id,
        "statusUrl": format!("{origin}/v1/Webhooks/Operations/{id}"),
        "status": status,
        "resourceId": operation.resource,
        "createdAt": iso8601(operation.created),
        "retentionPeriod": "P7D",
    });
    if status == "COMPLETED"
        && let Value::Object(fields) = &mut resource
    {
        fields.insert(
            "completedAt".to_owned(),
            Value::from(iso8601(operation.completes)),
        );
    }
    resource
}
