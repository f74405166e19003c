//! Event Streams v1: types, schemas, sinks, subscriptions and their types.

mod sinks;
mod subscriptions;

use serde_json::{Value, json};

use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::shared::Shared;
use crate::webhooks::{EVENT_TYPES, EventType};

/// Handles a request below `/v1`.
pub(crate) fn route(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    match (request.method.as_str(), segments) {
        ("GET", ["Types"]) => {
            let schema = request.parameter("SchemaId");
            let types = EVENT_TYPES
                .iter()
                .filter(|one| schema.as_deref().is_none_or(|schema| schema == one.schema))
                .map(|one| type_resource(&origin, one))
                .collect();
            page::nested(shared, request, "types", types)
        }
        ("GET", ["Types", name]) => EventType::named(name)
            .map(|one| ApiResponse::value(200, &type_resource(&origin, &one)))
            .ok_or_else(|| ApiError::not_found(&request.path)),
        ("GET", ["Schemas", id]) => schema(request, &origin, id),
        ("GET", ["Schemas", id, "Versions"]) => page::nested(
            shared,
            request,
            "schema_versions",
            versions(request, &origin, id)?,
        ),
        ("GET", ["Schemas", id, "Versions", version]) => versions(request, &origin, id)?
            .iter()
            .find(|one| {
                one.get("schema_version")
                    .and_then(Value::as_u64)
                    .is_some_and(|own| version.parse() == Ok(own))
            })
            .map(|one| ApiResponse::value(200, one))
            .ok_or_else(|| ApiError::not_found(&request.path)),
        (_, ["Sinks", rest @ ..]) => sinks::route(shared, request, account, rest),
        (_, ["Subscriptions", rest @ ..]) => subscriptions::route(shared, request, account, rest),
        _ => Err(unknown(request)),
    }
}

fn type_resource(origin: &str, one: &EventType) -> Value {
    let EventType {
        name,
        schema,
        description,
    } = one;
    json!({
        "date_created": "2020-08-13T13:28:20Z",
        "date_updated": "2020-08-13T13:28:20Z",
        "type": name,
        "schema_id": schema,
        "status": "available",
        "documentation_url": null,
        "description": description,
        "url": format!("{origin}/v1/Types/{name}"),
        "links": {"schema": format!("{origin}/v1/Schemas/{schema}/Versions")},
    })
}

fn schema(request: &ApiRequest, origin: &str, id: &str) -> Result<ApiResponse, ApiError> {
    let newest = EventType::newest_version(id).ok_or_else(|| ApiError::not_found(&request.path))?;
    let url = format!("{origin}/v1/Schemas/{id}");
    Ok(ApiResponse::value(
        200,
        &json!({
            "id": id,
            "url": url,
            "latest_version_date_created": "2020-07-30T20:00:00Z",
            "latest_version": newest,
            "links": {"versions": format!("{url}/Versions")},
        }),
    ))
}

fn versions(request: &ApiRequest, origin: &str, id: &str) -> Result<Vec<Value>, ApiError> {
    let newest = EventType::newest_version(id).ok_or_else(|| ApiError::not_found(&request.path))?;
    let version = |version: u32| {
        json!({
            "id": id,
            "schema_version": version,
            "date_created": "2020-07-30T20:00:00Z",
            "url": format!("{origin}/v1/Schemas/{id}/Versions/{version}"),
            "raw": format!("https://events-schemas.twilio.com/{id}/{version}"),
        })
    };
    Ok((1..=newest).map(version).collect())
}

fn required<'a>(request: &'a ApiRequest, name: &str) -> Result<&'a str, ApiError> {
    request.filled(name).ok_or_else(|| {
        ApiError::bad(
            20001,
            format!("Missing required parameter {name} in the post body"),
        )
    })
}
