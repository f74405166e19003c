//! The bodies of webhooks.

use domain::{Event, EventType, WebhookFormat};
use registry::Registry;
use serde_json::{Map, Value as Json, json};

use crate::events::object;

/// Returns the body of an event in an endpoint's format; `None` if that format has none for this type.
pub fn body_of(format: WebhookFormat, event: &Event, registry: &Registry) -> Option<Json> {
    match format {
        WebhookFormat::Standard => Some(standard_body(event)),
        WebhookFormat::Nango => nango_body(event, registry),
    }
}

/// Returns `{type, timestamp, data}`, as Standard Webhooks 1.0.0 recommends. The data names the environment first.
pub fn standard_body(event: &Event) -> Json {
    let mut data = Map::new();
    data.insert("environment".to_owned(), event.environment_name.as_str().into());
    data.extend(event.data.clone().unwrap_or_default());
    json!({
        "type": event.event_type.as_str(),
        "timestamp": event.created_at.to_string(),
        "data": data,
    })
}

/// Returns the body of Nango's webhook, with sorted keys.
///
/// The shapes: NangoHQ/nango, packages/types/lib/webhooks/api.ts.
fn nango_body(event: &Event, registry: &Registry) -> Option<Json> {
    let data = event.data.as_ref()?;
    let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
    let mut body = match event.event_type {
        EventType::ConnectionCreated | EventType::ConnectionUpdated | EventType::ConnectionError => {
            auth_body(event, data, registry)
        }
        EventType::SyncSucceeded | EventType::SyncFailed => sync_body(event, data),
        EventType::ActionSucceeded | EventType::ActionFailed => json!({
            "from": "nango",
            "type": "async_action",
            "connectionId": text("connection_id"),
            "providerConfigKey": text("provider_config_key"),
            "payload": { "id": text("id"), "statusUrl": text("status_url") },
        }),
        EventType::ProviderEvent => {
            let payload = data.get("payload").cloned().unwrap_or_default();
            if event.connection.is_none() {
                // Without a connection Nango forwards the bare payload.
                return Some(payload);
            }
            json!({
                "from": text("provider"),
                "type": "forward",
                "connectionId": text("connection_id"),
                "providerConfigKey": text("provider_config_key"),
                "payload": payload,
            })
        }
        EventType::ConnectionDeleted | EventType::ConnectionRecovered | EventType::EndpointDisabled => {
            return None;
        }
    };
    body.sort_all_objects();
    Some(body)
}

fn auth_body(event: &Event, data: &Map<String, Json>, registry: &Registry) -> Json {
    let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
    let provider = registry.get(text("provider"));
    let mut body = object(json!({
        "from": "nango",
        "type": "auth",
        "connectionId": text("connection_id"),
        "providerConfigKey": text("provider_config_key"),
        "authMode": provider.map(|provider| provider.auth.as_str()),
        "provider": text("provider"),
        "environment": event.environment_name.as_str(),
        "operation": text("operation"),
        "success": event.event_type != EventType::ConnectionError,
        "tags": data.get("tags"),
    }));
    if let Some(user) = data.get("end_user").filter(|user| !user.is_null()) {
        let user = json!({
            "endUserId": user.get("id"),
            "endUserEmail": user.get("email"),
            "organizationId": user.pointer("/organization/id"),
            "tags": user.get("tags"),
        });
        body.insert("endUser".to_owned(), user);
    }
    if event.event_type == EventType::ConnectionError {
        let error = json!({
            "type": data.get("error").and_then(|error| error.get("type")),
            "description": data.get("error").and_then(|error| error.get("message")),
        });
        body.insert("error".to_owned(), error);
    }
    Json::Object(body)
}

fn sync_body(event: &Event, data: &Map<String, Json>) -> Json {
    let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
    let model = data.get("models").and_then(|models| models.get(0));
    let of_model = |name: &str| model.and_then(|model| model.get(name)).cloned();
    let mut body = object(json!({
        "from": "nango",
        "type": "sync",
        "connectionId": text("connection_id"),
        "providerConfigKey": text("provider_config_key"),
        "syncName": text("sync"),
        "syncVariant": text("variant"),
        "model": of_model("model"),
        "syncType": match text("kind") {
            "incremental" => "INCREMENTAL",
            "webhook" => "WEBHOOK",
            // Nango sends a full run as an initial one.
            _ => "INITIAL",
        },
        "success": event.event_type == EventType::SyncSucceeded,
    }));
    let at = |name: &str| data.get(name).cloned().unwrap_or_default();
    let more = if event.event_type == EventType::SyncSucceeded {
        json!({
            "modifiedAfter": at("started_at"),
            "queryTimeStamp": at("started_at"),
            "responseResults": {
                "added": of_model("added"),
                "updated": of_model("updated"),
                "deleted": of_model("deleted"),
            },
        })
    } else {
        let error = data.get("error");
        json!({
            "error": {
                "type": error.and_then(|error| error.get("code")),
                "description": error.and_then(|error| error.get("message")),
            },
            "startedAt": at("started_at"),
            "failedAt": at("finished_at"),
        })
    };
    body.extend(object(more));
    Json::Object(body)
}
