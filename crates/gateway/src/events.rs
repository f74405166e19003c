//! Events for apps. The use cases and the worker write them in the transactions of the changes that they report; see [`store::events`].

use std::collections::BTreeMap;

use domain::{
    ActionId, ActionName, Connection, EnvironmentId, EventConnection, EventType, IncomingEvent, Model,
    Problem, Run, RunError, Sync, SyncName, Timestamp, Variant,
};
use serde_json::{Map, Value as Json, json};
use store::events::NewEvent;
use store::records::RowChanges;
use store::{DbConn, StoreError, connections};

/// How a connection event of Nango names what happened.
pub(crate) mod operation {
    /// A new connection.
    pub(crate) const CREATION: &str = "creation";
    /// New credentials of a connection.
    pub(crate) const OVERRIDE: &str = "override";
    /// A check of stored credentials.
    pub(crate) const REFRESH: &str = "refresh";
}

/// Writes that a connection was created, or got new credentials. New credentials end a problem with the old ones.
pub(crate) fn connected(
    c: &mut DbConn,
    connection: &Connection,
    old: Option<&Connection>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(old) = old else {
        let data = object(json!({ "operation": operation::CREATION }));
        return of_connection(c, EventType::ConnectionCreated, connection, data, now);
    };
    let data = object(json!({ "operation": operation::OVERRIDE }));
    of_connection(c, EventType::ConnectionUpdated, connection, data, now)?;
    match &old.problem {
        Some(problem) => recovered(c, connection, problem, now),
        None => Ok(()),
    }
}

/// Writes that a connection was deleted. Its events are erased before.
pub(crate) fn deleted(c: &mut DbConn, connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let data = object(json!({ "operation": "deletion" }));
    of_connection(c, EventType::ConnectionDeleted, connection, data, now)
}

/// Writes that the provider refuses the connection's credentials.
pub(crate) fn refused(
    c: &mut DbConn,
    connection: &Connection,
    problem: &Problem,
    now: Timestamp,
) -> Result<(), StoreError> {
    let data = object(json!({ "operation": operation::REFRESH, "error": problem_json(problem) }));
    of_connection(c, EventType::ConnectionError, connection, data, now)
}

/// Writes that the problem with the connection's credentials is over.
pub(crate) fn recovered(
    c: &mut DbConn,
    connection: &Connection,
    problem: &Problem,
    now: Timestamp,
) -> Result<(), StoreError> {
    let data = object(json!({ "operation": operation::REFRESH, "error": problem_json(problem) }));
    of_connection(c, EventType::ConnectionRecovered, connection, data, now)
}

fn problem_json(problem: &Problem) -> Json {
    json!({
        "type": problem.kind,
        "code": problem.code,
        "message": problem.message,
        "since": problem.at.to_string(),
    })
}

/// Writes how a run ended. The run is as it is stored now.
///
/// A run that changed nothing is an event only if an endpoint wants it, which the caller knows.
pub fn run_ended(
    c: &mut DbConn,
    sync: &Sync,
    run: &Run,
    model: Option<&Model>,
    error: Option<&RunError>,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Read again, because its tags and its URL may have changed during the run.
    let Some(connection) = connections::get_any_environment(c, sync.connection)? else {
        return Ok(());
    };
    let mut data = object(json!({
        "sync": sync.name.as_str(),
        "variant": sync.variant.as_str(),
        "run_id": run.id.to_string(),
        "kind": run.kind,
        "started_at": run.started_at.map(|at| at.to_string()),
        "finished_at": now.to_string(),
        "models": [{
            "model": model.map(|model| model.name.as_str()),
            "added": run.added,
            "updated": run.updated,
            "deleted": run.deleted,
            "unchanged": run.unchanged,
            "first_change": run.first_change,
            "last_change": run.last_change,
        }],
    }));
    let event_type = match error {
        None => EventType::SyncSucceeded,
        Some(error) => {
            let error = json!({ "code": error.code, "message": error.message, "hint": error.hint });
            data.insert("error".to_owned(), error);
            EventType::SyncFailed
        }
    };
    of_connection(c, event_type, &connection, data, now)
}

/// Writes that events of the provider have changed rows of a sync, between two times.
pub fn rows_changed(
    c: &mut DbConn,
    connection: &Connection,
    (sync, model): (&SyncName, &Model),
    rows: &RowChanges,
    (started, finished): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let (first, last) = rows.numbers.unzip();
    let data = json!({
        "sync": sync.as_str(),
        "variant": Variant::base().as_str(),
        "run_id": null,
        "kind": "webhook",
        "started_at": started.to_string(),
        "finished_at": finished.to_string(),
        "models": [{
            "model": model.name.as_str(),
            "added": rows.added,
            "updated": rows.updated,
            "deleted": rows.deleted,
            "unchanged": 0,
            "first_change": first,
            "last_change": last,
        }],
    });
    of_connection(c, EventType::SyncSucceeded, connection, object(data), finished)
}

/// An event of a provider, as the app gets it.
#[derive(Debug, Clone)]
pub struct ProviderEvent {
    /// What kind of event the provider says it is.
    pub kind: Option<String>,
    /// The body: JSON, or text.
    pub payload: Json,
    /// The headers that the provider's file reads.
    pub headers: BTreeMap<String, String>,
}

/// Writes that a provider sent an event: for a connection, or for none if none fits.
pub fn provider_event(
    c: &mut DbConn,
    event: &IncomingEvent,
    connection: Option<&Connection>,
    sent: &ProviderEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let data = object(json!({
        "id": event.id.to_string(),
        "type": sent.kind,
        "payload": sent.payload,
        "headers": sent.headers,
        "received_at": event.received_at.to_string(),
    }));
    if let Some(connection) = connection {
        return of_connection(c, EventType::ProviderEvent, connection, data, now);
    }
    let mut all = Map::new();
    all.insert(
        "provider_config_key".to_owned(),
        event.integration.as_str().into(),
    );
    all.insert("provider".to_owned(), event.provider.as_str().into());
    all.extend(data);
    insert(c, event.environment, EventType::ProviderEvent, None, all, now)
}

/// Writes how an asynchronous action ended.
pub(crate) fn action_ended(
    c: &mut DbConn,
    connection: &Connection,
    (name, id): (&ActionName, ActionId),
    error: Option<&Json>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut data = object(json!({
        "action": name.as_str(),
        "id": id.to_string(),
        "status_url": format!("/action/{id}"),
    }));
    let event_type = match error {
        None => EventType::ActionSucceeded,
        Some(error) => {
            // Without the provider's response, which may be large: the result has it.
            let error = json!({ "code": error.get("kind"), "message": error.get("message") });
            data.insert("error".to_owned(), error);
            EventType::ActionFailed
        }
    };
    of_connection(c, event_type, connection, data, now)
}

/// Writes that an endpoint was disabled, for the other endpoints and readers of the feed.
pub fn endpoint_disabled(
    c: &mut DbConn,
    endpoint: &domain::Endpoint,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut data = Map::new();
    data.insert("endpoint_id".to_owned(), endpoint.id.to_string().into());
    data.insert("reason".to_owned(), reason.into());
    insert(
        c,
        endpoint.environment,
        EventType::EndpointDisabled,
        None,
        data,
        now,
    )
}

fn of_connection(
    c: &mut DbConn,
    event_type: EventType,
    connection: &Connection,
    more: Map<String, Json>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let data = json!({
        "connection_id": connection.name.as_str(),
        "provider_config_key": connection.integration.as_str(),
        "provider": connection.provider.as_str(),
        "tags": connection.tags,
        "end_user": connection.end_user,
    });
    let mut data = object(data);
    data.extend(more);
    let about = EventConnection {
        id: connection.id,
        integration: connection.integration.clone(),
        name: connection.name.clone(),
        url_override: connection.webhook_url_override.clone(),
    };
    insert(c, connection.environment, event_type, Some(about), data, now)
}

fn insert(
    c: &mut DbConn,
    environment: EnvironmentId,
    event_type: EventType,
    connection: Option<EventConnection>,
    data: Map<String, Json>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let new = NewEvent {
        environment,
        event_type,
        connection,
        data,
    };
    store::events::insert(c, &new, now)
}

/// The fields of a JSON object.
pub(crate) fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
