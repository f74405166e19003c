//! `…/Settings*`: how webhooks are authenticated, signed and sent.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::dates::iso8601;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::webhook_configuration::page::page;
use crate::http::webhook_configuration::{
    IN_USE, INVALID, body, effective_from, invalid, not_found, required, text, too_many,
};
use crate::shared::Shared;
use crate::webhooks::{Algorithm, Configuration, MOST, Policy, RetryOn, Setting, SettingSignature};

const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 1024;
const LONGEST_VALUE: usize = 255;

/// Handles a request below `/v1/Webhooks/Settings`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    match (request.method.as_str(), segments) {
        ("GET", []) => list(shared, request),
        ("POST", []) => create(shared, request),
        ("GET", [id]) => {
            let configuration = shared.sender.configuration();
            let setting = configuration.setting(id).ok_or_else(|| not_found(id))?;
            Ok(ApiResponse::value(200, &resource(setting)))
        }
        ("PATCH", [id]) => {
            let fields = body(request)?;
            let name = text(&fields, "friendlyName", LONGEST_NAME)?;
            let description = text(&fields, "description", LONGEST_DESCRIPTION)?;
            if let Some(other) = fields
                .keys()
                .find(|name| !["friendlyName", "description"].contains(&name.as_str()))
            {
                return Err(invalid(&format!("{other} of a Setting cannot be changed")));
            }
            let mut configuration = shared.sender.configuration();
            let setting = configuration
                .settings
                .iter_mut()
                .find(|setting| setting.id == *id)
                .ok_or_else(|| not_found(id))?;
            if let Some(name) = name {
                name.clone_into(&mut setting.friendly_name);
            }
            if let Some(description) = description {
                setting.description = Some(description.to_owned());
            }
            setting.updated = shared.clock.seconds();
            Ok(ApiResponse::value(200, &resource(setting)))
        }
        ("DELETE", [id]) => {
            let mut configuration = shared.sender.configuration();
            configuration.setting(id).ok_or_else(|| not_found(id))?;
            let used = configuration
                .live_rules()
                .any(|(_, rule)| rule.settings.iter().any(|(used, _)| used == id));
            if used {
                return Err(ApiError::problem(409, IN_USE, "a Rule uses the Setting"));
            }
            configuration.settings.retain(|setting| setting.id != *id);
            Ok(ApiResponse::json(204, Vec::new()))
        }
        _ => Err(unknown(request)),
    }
}

fn list(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let key = request.parameter("sharedKeyId");
    let customer = request.parameter("type").is_none_or(|kind| kind == "CUSTOMER");
    let settings = shared
        .sender
        .configuration()
        .settings
        .iter()
        .filter(|_| customer)
        .filter(|setting| {
            key.as_ref().is_none_or(
                |key| matches!(&setting.signature, SettingSignature::SharedKey { id, .. } if id == key),
            )
        })
        .map(resource)
        .collect();
    page(request, "settings", settings)
}

fn create(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let fields = body(request)?;
    let name = text(&fields, "friendlyName", LONGEST_NAME)?.unwrap_or_default();
    let description = text(&fields, "description", LONGEST_DESCRIPTION)?;
    let (basic, auth) = auth(&fields)?;
    let (policy, connection) = connection(&fields)?;
    let now = shared.clock.seconds();
    let usable = effective_from(shared);
    let mut configuration = shared.sender.configuration();
    if configuration.settings.len() >= MOST {
        return Err(too_many("Settings"));
    }
    let (signature, signature_part) = signature(&configuration, &fields)?;
    let setting = Setting {
        id: configuration.new_id("setting", shared.seed),
        friendly_name: name.to_owned(),
        description: description.map(str::to_owned),
        basic,
        signature,
        policy,
        parts: vec![
            ("auth", auth),
            ("signature", signature_part),
            ("connection", connection),
            (
                "edgeZones",
                fields.get("edgeZones").cloned().unwrap_or(Value::Null),
            ),
        ],
        created: now,
        updated: now,
        usable,
    };
    let created = resource(&setting);
    configuration.settings.push(setting);
    Ok(ApiResponse::value(201, &created))
}

fn object<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(inner)) => Ok(Some(inner)),
        Some(_) => Err(invalid(&format!("{name} must be an object"))),
    }
}

/// Returns the credentials for Basic, and the part of the resource without the password.
fn auth(fields: &Map<String, Value>) -> Result<(Option<(String, String)>, Value), ApiError> {
    let auth = object(fields, "auth")?.ok_or_else(|| invalid("auth is required"))?;
    let source = required(auth, "source", LONGEST_VALUE)?;
    match source.to_ascii_uppercase().as_str() {
        "NONE" => return Ok((None, json!({"source": source}))),
        "INLINE" => {}
        "REFERENCE" => {
            let id = required(auth, "authProfileId", LONGEST_VALUE)?;
            return Err(ApiError::problem(
                422,
                INVALID,
                format!("the AuthProfile {id} does not exist: the simulator has none"),
            ));
        }
        _ => return Err(invalid("auth.source must be INLINE, REFERENCE or NONE")),
    }
    let value = object(auth, "value")?.ok_or_else(|| invalid("auth.value is required"))?;
    let scheme = required(value, "scheme", LONGEST_VALUE)?;
    match scheme.to_ascii_uppercase().as_str() {
        "NONE" => Ok((None, json!({"source": source, "value": {"scheme": scheme}}))),
        "BASIC" => {
            let user = required(value, "username", LONGEST_VALUE)?;
            let password = required(value, "password", LONGEST_VALUE)?;
            let part = json!({"source": source, "value": {"scheme": scheme, "username": user}});
            Ok((Some((user.to_owned(), password.to_owned())), part))
        }
        _ => Err(ApiError::problem(
            422,
            INVALID,
            format!("the simulator does not authenticate by {scheme}"),
        )),
    }
}

/// Returns the signature, and its part of the resource. The name of the type is read in any case, with or without an underscore.
fn signature(
    configuration: &Configuration,
    fields: &Map<String, Value>,
) -> Result<(SettingSignature, Value), ApiError> {
    let Some(signature) = object(fields, "signature")? else {
        return Ok((SettingSignature::AuthToken, Value::Null));
    };
    let kind = required(signature, "type", LONGEST_VALUE)?;
    match kind.to_ascii_lowercase().replace('_', "").as_str() {
        "none" => return Ok((SettingSignature::Unsigned, json!({"type": kind}))),
        "sharedkey" => {}
        _ => return Err(invalid("signature.type must be SHARED_KEY or NONE")),
    }
    let id = required(signature, "sharedKeyId", LONGEST_VALUE)?;
    let algorithm = required(signature, "algorithm", LONGEST_VALUE)?;
    let algorithm = Algorithm::of_name(algorithm)
        .ok_or_else(|| invalid("signature.algorithm must be HMAC_SHA256 or HMAC_SHA1"))?;
    if configuration.shared_key(id).is_none() {
        return Err(ApiError::problem(
            422,
            INVALID,
            format!("the SharedKey {id} does not exist"),
        ));
    }
    let part = json!({"type": kind, "sharedKeyId": id, "algorithm": algorithm.name()});
    let id = id.to_owned();
    Ok((SettingSignature::SharedKey { id, algorithm }, part))
}

/// Returns timeouts and retries, and their part of the resource.
fn connection(fields: &Map<String, Value>) -> Result<(Policy, Value), ApiError> {
    let Some(connection) = object(fields, "connection")? else {
        return Ok((Policy::default(), Value::Null));
    };
    let millis = |name: &str, most: u64| -> Result<Option<Duration>, ApiError> {
        match connection.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|millis| (100..=most).contains(millis))
                .map(|millis| Some(Duration::from_millis(millis)))
                .ok_or_else(|| invalid(&format!("connection.{name} must be between 100 and {most}"))),
        }
    };
    let needed = |name: &str| -> Result<Duration, ApiError> {
        millis(name, 15_000)?.ok_or_else(|| invalid(&format!("connection.{name} is required")))
    };
    let (connect, read) = (needed("connectTimeoutMs")?, needed("readTimeoutMs")?);
    let (retries, on) = match object(connection, "retryPolicy")? {
        None => (0, RetryOn::default()),
        Some(policy) => retry_policy(policy)?,
    };
    let policy = Policy {
        connect,
        read,
        total: millis("totalTimeoutMs", 60_000)?.unwrap_or(Duration::from_mins(1)),
        retries,
        on,
    };
    Ok((policy, Value::Object(connection.clone())))
}

fn retry_policy(policy: &Map<String, Value>) -> Result<(u32, RetryOn), ApiError> {
    let count = policy
        .get("retryCount")
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count <= 5)
        .ok_or_else(|| invalid("connection.retryPolicy.retryCount must be between 0 and 5"))?;
    let mut on = RetryOn::default();
    let conditions = policy.get("retryOn").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        match condition.as_str() {
            Some("HTTP_4XX") => on.client_errors = true,
            Some("HTTP_5XX") => on.server_errors = true,
            Some("CONNECTION_TIMEOUT") => on.connect = true,
            Some("READ_TIMEOUT") => on.read = true,
            Some("ALL") => on = RetryOn::ALL,
            _ => {
                let words = "connection.retryPolicy.retryOn may have HTTP_4XX, HTTP_5XX, CONNECTION_TIMEOUT, \
                             READ_TIMEOUT and ALL";
                return Err(invalid(words));
            }
        }
    }
    Ok((count, on))
}

fn resource(setting: &Setting) -> Value {
    let mut resource = json!({
        "id": setting.id,
        "type": "CUSTOMER",
        "friendlyName": setting.friendly_name,
        "description": setting.description,
    });
    if let Value::Object(fields) = &mut resource {
        for (name, part) in &setting.parts {
            fields.insert((*name).to_owned(), part.clone());
        }
        fields.insert("createdAt".to_owned(), Value::from(iso8601(setting.created)));
        fields.insert("updatedAt".to_owned(), Value::from(iso8601(setting.updated)));
    }
    resource
}
