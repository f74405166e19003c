//! `…/SharedKeys*`: keys that sign webhooks in place of the auth token.

use serde_json::{Value, json};

use crate::dates::iso8601;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::webhook_configuration::page::page;
use crate::http::webhook_configuration::{IN_USE, body, not_found, text, too_many};
use crate::shared::Shared;
use crate::sid::fixed;
use crate::webhooks::{MOST, SettingSignature, SharedKey};

const LONGEST_NAME: usize = 255;

/// Handles a request below `/v1/Webhooks/SharedKeys`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let keys = shared
                .sender
                .configuration()
                .shared_keys
                .iter()
                .map(resource)
                .collect();
            page(request, "sharedKeys", keys)
        }
        ("POST", []) => create(shared, request),
        ("GET", [id]) => {
            let configuration = shared.sender.configuration();
            let key = configuration.shared_key(id).ok_or_else(|| not_found(id))?;
            Ok(ApiResponse::value(200, &resource(key)))
        }
        ("PATCH", [id]) => {
            let fields = body(request)?;
            let name = text(&fields, "friendlyName", LONGEST_NAME)?;
            let mut configuration = shared.sender.configuration();
            let key = configuration
                .shared_keys
                .iter_mut()
                .find(|key| key.id == *id)
                .ok_or_else(|| not_found(id))?;
            if let Some(name) = name {
                name.clone_into(&mut key.friendly_name);
                key.updated = shared.clock.seconds();
            }
            Ok(ApiResponse::value(200, &resource(key)))
        }
        ("DELETE", [id]) => {
            let mut configuration = shared.sender.configuration();
            configuration.shared_key(id).ok_or_else(|| not_found(id))?;
            let used = configuration.settings.iter().any(|setting| {
                matches!(&setting.signature, SettingSignature::SharedKey { id: used, .. } if used == id)
            });
            if used {
                return Err(ApiError::problem(409, IN_USE, "a Setting uses the SharedKey"));
            }
            configuration.shared_keys.retain(|key| key.id != *id);
            Ok(ApiResponse::json(204, Vec::new()))
        }
        _ => Err(unknown(request)),
    }
}

fn create(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let fields = body(request)?;
    let name = text(&fields, "friendlyName", LONGEST_NAME)?.unwrap_or_default();
    let now = shared.clock.seconds();
    let mut configuration = shared.sender.configuration();
    if configuration.shared_keys.len() >= MOST {
        return Err(too_many("SharedKeys"));
    }
    let key = SharedKey {
        id: configuration.new_id("sharedkey", shared.seed),
        friendly_name: name.to_owned(),
        secret: fixed("simkey", shared.seed, 4_000_000 + shared.next_number()),
        created: now,
        updated: now,
    };
    let mut created = resource(&key);
    if let Value::Object(fields) = &mut created {
        fields.insert("secret".to_owned(), Value::from(key.secret.as_str()));
    }
    configuration.shared_keys.push(key);
    Ok(ApiResponse::value(201, &created))
}

/// Returns the key without its secret, which only the response to its creation has.
fn resource(key: &SharedKey) -> Value {
    json!({
        "id": key.id,
        "friendlyName": key.friendly_name,
        "createdAt": iso8601(key.created),
        "updatedAt": iso8601(key.updated),
    })
}
