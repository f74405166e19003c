//! `…/Sinks*`: the destinations of events.

use serde_json::{Value, json};

use crate::callbacks;
use crate::dates::iso8601;
use crate::http::events::required;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::{page, recipient};
use crate::random::draw;
use crate::shared::Shared;
use crate::webhooks::Sink;

/// Sinks of an account.
const MOST: usize = 100;

/// Handles a request below `/v1/Sinks`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    match (request.method.as_str(), segments) {
        ("GET", []) => list(shared, request, account),
        ("POST", []) => create(shared, request, account),
        ("GET", [sid]) => find(shared, request, account, sid)
            .map(|sink| ApiResponse::value(200, &resource(&request.origin(shared), &sink))),
        ("POST", [sid]) => {
            let description = required(request, "Description")?.to_owned();
            let now = shared.clock.seconds();
            let sink = change(shared, request, account, sid, |sink| {
                sink.description = description;
                sink.updated = now;
            })?;
            Ok(ApiResponse::value(200, &resource(&request.origin(shared), &sink)))
        }
        ("DELETE", [sid]) => delete(shared, request, account, sid),
        ("POST", [sid, "Test"]) => test(shared, request, account, sid),
        ("POST", [sid, "Validate"]) => {
            let id = required(request, "TestId")?;
            let sink = find(shared, request, account, sid)?;
            if sink.test_id.as_deref() != Some(id) {
                return Err(ApiError::bad(20001, format!("Invalid parameter TestId: {id}")));
            }
            Ok(ApiResponse::value(201, &json!({"result": "valid"})))
        }
        _ => Err(unknown(request)),
    }
}

fn list(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let origin = request.origin(shared);
    let (in_use, status) = (request.parameter("InUse"), request.parameter("Status"));
    let sinks = {
        let streams = shared.streams();
        let used = |sink: &Sink| streams.subscriptions.iter().any(|one| one.sink == sink.sid);
        streams
            .sinks
            .iter()
            .filter(|sink| sink.account == account)
            .filter(|sink| {
                let wanted = in_use.as_deref().and_then(|text| text.parse::<bool>().ok());
                wanted.is_none_or(|wanted| wanted == used(sink))
            })
            .filter(|_| status.as_deref().is_none_or(|status| status == "active"))
            .map(|sink| resource(&origin, sink))
            .collect()
    };
    page::nested(shared, request, "sinks", sinks)
}

fn create(shared: &Shared, request: &ApiRequest, account: &str) -> Result<ApiResponse, ApiError> {
    let description = required(request, "Description")?;
    let configuration = required(request, "SinkConfiguration")?;
    match required(request, "SinkType")? {
        "webhook" => {}
        kind @ ("kinesis" | "segment" | "email") => {
            return Err(ApiError::bad(
                20001,
                format!("The simulator has no sinks of type {kind}"),
            ));
        }
        other => {
            return Err(ApiError::bad(
                20001,
                format!("Invalid parameter SinkType: {other}"),
            ));
        }
    }
    let invalid = |words: &str| ApiError::bad(20001, format!("Invalid SinkConfiguration: {words}"));
    let configuration: Value =
        serde_json::from_str(configuration).map_err(|error| invalid(&error.to_string()))?;
    let destination = configuration
        .get("destination")
        .and_then(Value::as_str)
        .filter(|url| recipient::is_reachable(shared, url))
        .ok_or_else(|| invalid("destination must be the URL of a public host"))?;
    let method = match configuration.get("method").and_then(Value::as_str) {
        None => "POST".to_owned(),
        Some(method) if ["GET", "POST"].contains(&method.to_ascii_uppercase().as_str()) => method.to_owned(),
        Some(_) => return Err(invalid("method must be GET or POST")),
    };
    let batch_events = match configuration.get("batch_events") {
        // Twilio's documentation says `true`; its API answers `false`.
        None | Some(Value::Null) => false,
        Some(Value::Bool(batch)) => *batch,
        Some(_) => return Err(invalid("batch_events must be true or false")),
    };
    let now = shared.clock.seconds();
    let mut streams = shared.streams();
    if streams
        .sinks
        .iter()
        .filter(|sink| sink.account == account)
        .count()
        >= MOST
    {
        return Err(ApiError::bad(
            20001,
            "The account has the most sinks that it may have: 100",
        ));
    }
    let sink = Sink {
        sid: streams.new_sid("DG", shared.seed),
        account: account.to_owned(),
        description: description.to_owned(),
        destination: destination.to_owned(),
        method,
        batch_events,
        test_id: None,
        created: now,
        updated: now,
    };
    let created = resource(&request.origin(shared), &sink);
    streams.sinks.push(sink);
    Ok(ApiResponse::value(201, &created))
}

fn delete(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<ApiResponse, ApiError> {
    find(shared, request, account, sid)?;
    let mut streams = shared.streams();
    if streams.subscriptions.iter().any(|one| one.sink == sid) {
        return Err(in_use(sid));
    }
    streams.sinks.retain(|sink| sink.sid != sid);
    Ok(ApiResponse::json(204, Vec::new()))
}

/// Returns the error for a sink that a subscription uses.
pub(super) fn in_use(sid: &str) -> ApiError {
    ApiError::bad(20001, format!("Sink with SID {sid} is in use"))
}

fn test(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<ApiResponse, ApiError> {
    let bits = draw(shared.seed, shared.next_number(), 0x7E57);
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8000-{:012x}",
        bits >> 32,
        bits >> 16 & 0xFFFF,
        bits & 0xFFF,
        bits & 0xFFFF_FFFF_FFFF
    );
    let sink = change(shared, request, account, sid, |sink| {
        sink.test_id = Some(id.clone());
    })?;
    callbacks::send_sink_test(shared, &sink, &id);
    Ok(ApiResponse::value(201, &json!({"result": "submitted"})))
}

fn find(shared: &Shared, request: &ApiRequest, account: &str, sid: &str) -> Result<Sink, ApiError> {
    change(shared, request, account, sid, |_| {})
}

fn change(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
    change: impl FnOnce(&mut Sink),
) -> Result<Sink, ApiError> {
    let mut streams = shared.streams();
    let sink = streams
        .sinks
        .iter_mut()
        .find(|sink| sink.account == account && sink.sid == sid)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    change(sink);
    Ok(sink.clone())
}

fn resource(origin: &str, sink: &Sink) -> Value {
    let sid = &sink.sid;
    let url = format!("{origin}/v1/Sinks/{sid}");
    json!({
        "status": "active",
        "sink_configuration": {
            "destination": sink.destination,
            "method": sink.method,
            "batch_events": sink.batch_events,
        },
        "description": sink.description,
        "sid": sid,
        "date_created": iso8601(sink.created),
        "sink_type": "webhook",
        "date_updated": iso8601(sink.updated),
        "url": url,
        "links": {
            "sink_test": format!("{url}/Test"),
            "sink_validate": format!("{url}/Validate"),
        },
    })
}
