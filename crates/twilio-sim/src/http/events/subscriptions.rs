//! `…/Subscriptions*`: which types of events go to which sink.

use serde_json::{Value, json};

use crate::callbacks;
use crate::dates::iso8601;
use crate::http::events::{required, sinks};
use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::shared::Shared;
use crate::webhooks::{EventType, Subscription};

/// Handles a request below `/v1/Subscriptions`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let now = shared.clock.seconds();
    match (request.method.as_str(), segments) {
        ("GET", []) => list(shared, request, account),
        ("POST", []) => create(shared, request, account),
        ("GET", [sid]) => {
            let one = change(shared, request, account, sid, |_| Ok(()))?;
            Ok(ApiResponse::value(200, &resource(&origin, &one)))
        }
        ("POST", [sid]) => {
            let one = change(shared, request, account, sid, |one| {
                if let Some(description) = request.filled("Description") {
                    description.clone_into(&mut one.description);
                    one.updated = now;
                }
                Ok(())
            })?;
            Ok(ApiResponse::value(200, &resource(&origin, &one)))
        }
        ("DELETE", [sid]) => {
            change(shared, request, account, sid, |_| Ok(()))?;
            shared.streams().subscriptions.retain(|one| one.sid != *sid);
            callbacks::watch_for_subscriptions(shared, account);
            Ok(ApiResponse::json(204, Vec::new()))
        }
        (_, [sid, "SubscribedEvents", rest @ ..]) => subscribed_events(shared, request, account, sid, rest),
        _ => Err(unknown(request)),
    }
}

fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let sink = request.parameter("SinkSid");
    let subscriptions = shared
        .streams()
        .subscriptions
        .iter()
        .filter(|one| one.account == account)
        .filter(|one| sink.as_deref().is_none_or(|sink| sink == one.sink))
        .map(|one| resource(&origin, one))
        .collect();
    page::nested(shared, request, "subscriptions", subscriptions)
}

fn create(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let description = required(request, "Description")?;
    let sink = required(request, "SinkSid")?;
    required(request, "Types")?;
    let types = request
        .values("Types")
        .enumerate()
        .map(|(index, text)| parse_type(index, text))
        .collect::<Result<Vec<_>, _>>()?;
    let now = shared.clock.seconds();
    let created = {
        let mut streams = shared.streams();
        if !streams
            .sinks
            .iter()
            .any(|one| one.account == account && one.sid == sink)
        {
            return Err(ApiError::bad(
                20001,
                format!("Sink with SID {sink} was not found"),
            ));
        }
        if streams.subscriptions.iter().any(|one| one.sink == sink) {
            return Err(sinks::in_use(sink));
        }
        let one = Subscription {
            sid: streams.new_sid("DF", shared.seed),
            account: account.to_owned(),
            description: description.to_owned(),
            sink: sink.to_owned(),
            types,
            created: now,
            updated: now,
        };
        let created = resource(&request.origin(shared), &one);
        streams.subscriptions.push(one);
        created
    };
    callbacks::watch_for_subscriptions(shared, account);
    Ok(ApiResponse::value(201, &created))
}

/// Reads an object such as `{"type": "com.twilio.…", "schema_version": 2}`; each is a value of its own.
fn parse_type(index: usize, text: &str) -> Result<(String, u32), ApiError> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| ApiError::bad(20001, format!("Invalid parameter Types: {error}")))?;
    let name = value.get("type").and_then(Value::as_str).ok_or_else(|| {
        ApiError::bad(
            20001,
            format!("Missing required input parameter event_types[{index}].type"),
        )
    })?;
    let version = value.get("schema_version").and_then(Value::as_u64);
    checked_type(name, version)
}

fn checked_type(name: &str, version: Option<u64>) -> Result<(String, u32), ApiError> {
    let event_type = EventType::named(name)
        .ok_or_else(|| ApiError::bad(20001, format!("Type {name} not found in the system")))?;
    let newest = EventType::newest_version(event_type.schema).unwrap_or(1);
    let version = match version {
        None => newest,
        Some(version) => u32::try_from(version)
            .ok()
            .filter(|version| (1..=newest).contains(version))
            .ok_or_else(|| ApiError::bad(20001, format!("Invalid schema version {version} of {name}")))?,
    };
    Ok((name.to_owned(), version))
}

fn subscribed_events(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let version = request.filled("SchemaVersion").map(|text| {
        text.parse::<u64>()
            .map_err(|_| ApiError::bad(20001, format!("Invalid parameter SchemaVersion: {text}")))
    });
    let version = version.transpose()?;
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let one = change(shared, request, account, sid, |_| Ok(()))?;
            let types = one
                .types
                .iter()
                .map(|entry| type_resource(&origin, &one, entry))
                .collect();
            page::nested(shared, request, "types", types)
        }
        ("POST", []) => {
            let entry = checked_type(required(request, "Type")?, version)?;
            let one = change(shared, request, account, sid, |one| {
                one.types.retain(|(name, _)| *name != entry.0);
                one.types.push(entry.clone());
                Ok(())
            })?;
            Ok(ApiResponse::value(201, &type_resource(&origin, &one, &entry)))
        }
        ("GET" | "POST", [name]) => {
            let update = request.method == "POST";
            let mut found = None;
            let one = change(shared, request, account, sid, |one| {
                let entry = one
                    .types
                    .iter_mut()
                    .find(|(known, _)| known == name)
                    .ok_or_else(|| ApiError::not_found(&request.path))?;
                if update {
                    *entry = checked_type(name, version)?;
                }
                found = Some(entry.clone());
                Ok(())
            })?;
            let entry = found.ok_or_else(|| ApiError::not_found(&request.path))?;
            Ok(ApiResponse::value(200, &type_resource(&origin, &one, &entry)))
        }
        ("DELETE", [name]) => {
            change(shared, request, account, sid, |one| {
                let before = one.types.len();
                one.types.retain(|(known, _)| known != name);
                if one.types.len() == before {
                    return Err(ApiError::not_found(&request.path));
                }
                Ok(())
            })?;
            Ok(ApiResponse::json(204, Vec::new()))
        }
        _ => Err(unknown(request)),
    }
}

fn change(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
    change: impl FnOnce(&mut Subscription) -> Result<(), ApiError>,
) -> Result<Subscription, ApiError> {
    let mut streams = shared.streams();
    let one = streams
        .subscriptions
        .iter_mut()
        .find(|one| one.account == account && one.sid == sid)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    change(one)?;
    Ok(one.clone())
}

fn resource(origin: &str, one: &Subscription) -> Value {
    let url = format!("{origin}/v1/Subscriptions/{}", one.sid);
    json!({
        "account_sid": one.account,
        "date_created": iso8601(one.created),
        "date_updated": iso8601(one.updated),
        "sid": one.sid,
        "sink_sid": one.sink,
        "description": one.description,
        "url": url,
        "links": {"subscribed_events": format!("{url}/SubscribedEvents")},
    })
}

fn type_resource(origin: &str, one: &Subscription, (name, version): &(String, u32)) -> Value {
    json!({
        "account_sid": one.account,
        "type": name,
        "schema_version": version,
        "subscription_sid": one.sid,
        "url": format!("{origin}/v1/Subscriptions/{}/SubscribedEvents/{name}", one.sid),
    })
}
