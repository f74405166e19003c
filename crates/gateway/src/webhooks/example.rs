//! Sends an example event to an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ConnectionId, DeliveryAttempt, Endpoint, Event, EventConnection, EventId, EventType, RowId};
use serde_json::{Map, Value as Json, json};
use store::deliveries::DueDelivery;

use super::endpoints::find;
use super::sender::Sender;
use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::events::object;
use crate::gateway::Gateway;

/// Sends an example event of a type to an endpoint at once, and returns how that went. Nothing of it is stored, and it is not repeated.
pub async fn send_example(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    id: &str,
    event_type: EventType,
) -> Result<DeliveryAttempt> {
    let endpoint = find(gateway, caller.environment, id).await?;
    let name = super::environment_name(gateway, caller.environment).await?;
    if endpoint.settings.url.is_none() {
        return Err(GatewayError::invalid_body(
            "url",
            "is not set, so nothing can be sent",
        ));
    }
    let event = example(gateway, &endpoint, &name, event_type)?;
    let sender = Sender::open(Arc::clone(gateway), endpoint).await?;
    let delivery = DueDelivery {
        number: RowId::from_raw(0),
        event,
        attempts: 0,
        tries: 0,
    };
    Ok(sender.attempt(&delivery).await.end.attempt)
}

fn example(
    gateway: &Gateway,
    endpoint: &Endpoint,
    environment: &str,
    event_type: EventType,
) -> Result<Event> {
    let now = gateway.clock.now();
    let wrong = |_| GatewayError::NotFound("an example has an invalid name".to_owned());
    let provider = gateway
        .registry
        .iter()
        .find(|provider| !provider.syncs.is_empty());
    let (integration, sync, model) = match provider.and_then(|found| Some((found, found.syncs.first()?))) {
        Some((provider, (sync, declared))) => (
            provider.name.as_str(),
            sync.as_str(),
            declared.model.name.as_str(),
        ),
        None => ("example", "example-records", "ExampleRecord"),
    };
    let connection = EventConnection {
        id: ConnectionId::from_raw(0),
        integration: integration.parse().map_err(wrong)?,
        name: "example".parse().map_err(wrong)?,
        url_override: None,
    };
    let (data, about) = match event_type {
        EventType::EndpointDisabled => {
            let data = object(json!({
                "endpoint_id": endpoint.id.to_string(),
                "reason": "every attempt failed for 5 days",
            }));
            (data, None)
        }
        _ => (
            data(&connection, event_type, (sync, model), &now.to_string()),
            Some(connection),
        ),
    };
    Ok(Event {
        number: RowId::from_raw(0),
        id: EventId::new(now),
        environment: endpoint.environment,
        environment_name: environment.parse().map_err(wrong)?,
        position: 0,
        event_type,
        connection: about,
        data: Some(data),
        created_at: now,
    })
}

fn data(
    connection: &EventConnection,
    event_type: EventType,
    (sync, model): (&str, &str),
    now: &str,
) -> Map<String, Json> {
    let mut data = object(json!({
        "connection_id": connection.name.as_str(),
        "provider_config_key": connection.integration.as_str(),
        "provider": connection.integration.as_str(),
        "tags": BTreeMap::from([("example", "true")]),
        "end_user": null,
    }));
    let error =
        json!({ "type": "auth", "code": "401", "message": "the provider refuses the key", "since": now });
    let more = match event_type {
        EventType::ConnectionCreated => json!({ "operation": "creation" }),
        EventType::ConnectionUpdated => json!({ "operation": "override" }),
        EventType::ConnectionDeleted => json!({ "operation": "deletion" }),
        EventType::ConnectionError | EventType::ConnectionRecovered => {
            json!({ "operation": "refresh", "error": error })
        }
        EventType::SyncSucceeded | EventType::SyncFailed => {
            let mut more = object(json!({
                "sync": sync,
                "variant": "base",
                "run_id": "run_00000000000000000000000000000000",
                "kind": "incremental",
                "started_at": now,
                "finished_at": now,
                "models": [{
                    "model": model, "added": 2, "updated": 1, "deleted": 0, "unchanged": 40,
                    "first_change": 101, "last_change": 103,
                }],
            }));
            if event_type == EventType::SyncFailed {
                let error = json!({ "code": "provider_unavailable", "message": "an example", "hint": null });
                more.insert("error".to_owned(), error);
            }
            Json::Object(more)
        }
        EventType::ActionSucceeded | EventType::ActionFailed => {
            let id = "00000000-0000-4000-8000-000000000000";
            let mut more = object(json!({
                "action": "send-message", "id": id, "status_url": format!("/action/{id}"),
            }));
            if event_type == EventType::ActionFailed {
                let error = json!({ "code": "refused", "message": "an example" });
                more.insert("error".to_owned(), error);
            }
            Json::Object(more)
        }
        EventType::ProviderEvent => json!({
            "type": "message.delivered", "payload": { "status": "delivered" }, "headers": {},
        }),
        EventType::EndpointDisabled => Json::Object(Map::new()),
    };
    data.extend(object(more));
    data
}
