//! `…/Rules*`: which Setting applies to which URLs. A change is accepted at once, and takes effect later.

use serde_json::{Map, Value, json};

use crate::dates::iso8601;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::route::unknown;
use crate::http::webhook_configuration::page::page;
use crate::http::webhook_configuration::{
    EXISTS, INVALID, body, effective_from, invalid, not_found, operations, required, text, too_many,
};
use crate::shared::Shared;
use crate::webhooks::{Configuration, MOST, Match, Operation, Rule, RuleVersion};

const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 1024;
const LONGEST_URL: usize = 2048;

/// Handles a request below `/v1/Webhooks/Rules`.
pub(super) fn route(
    shared: &Shared,
    request: &ApiRequest,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    match (request.method.as_str(), segments) {
        ("GET", []) => {
            let setting = request.parameter("settingId");
            let rules = shared
                .sender
                .configuration()
                .live_rules()
                .filter(|(_, version)| {
                    setting
                        .as_ref()
                        .is_none_or(|setting| version.settings.iter().any(|(id, _)| id == setting))
                })
                .map(|(rule, version)| resource(rule, version))
                .collect();
            page(request, "rules", rules)
        }
        ("POST", []) => create(shared, request),
        ("GET", [id]) => {
            let configuration = shared.sender.configuration();
            let (rule, version) = find(&configuration, id)?;
            Ok(ApiResponse::value(200, &resource(rule, version)))
        }
        ("PATCH", [id]) => patch(shared, request, id),
        ("DELETE", [id]) => {
            let (now, from) = (shared.clock.seconds(), effective_from(shared));
            let mut configuration = shared.sender.configuration();
            find(&configuration, id)?;
            change(&mut configuration, id, None, now, from);
            Ok(accepted(shared, request, &mut configuration, id, from))
        }
        _ => Err(unknown(request)),
    }
}

fn create(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let fields = body(request)?;
    let (now, from) = (shared.clock.seconds(), effective_from(shared));
    let mut configuration = shared.sender.configuration();
    if configuration.live_rules().count() >= MOST {
        return Err(too_many("Rules"));
    }
    let version = RuleVersion {
        friendly_name: text(&fields, "friendlyName", LONGEST_NAME)?
            .unwrap_or_default()
            .to_owned(),
        description: text(&fields, "description", LONGEST_DESCRIPTION)?.map(str::to_owned),
        matching: matching(&fields)?.ok_or_else(|| invalid("matchType is required"))?,
        settings: settings(&fields)?.ok_or_else(|| invalid("settings is required"))?,
    };
    check(&configuration, &version, None)?;
    let id = configuration.new_id("rule", shared.seed);
    configuration
        .rules
        .push(Rule::new(id.clone(), version, now, from));
    Ok(accepted(shared, request, &mut configuration, &id, from))
}

fn patch(shared: &Shared, request: &ApiRequest, id: &str) -> Result<ApiResponse, ApiError> {
    let fields = body(request)?;
    let (now, from) = (shared.clock.seconds(), effective_from(shared));
    let mut configuration = shared.sender.configuration();
    let mut version = find(&configuration, id)?.1.clone();
    if let Some(name) = text(&fields, "friendlyName", LONGEST_NAME)? {
        name.clone_into(&mut version.friendly_name);
    }
    if let Some(description) = text(&fields, "description", LONGEST_DESCRIPTION)? {
        version.description = Some(description.to_owned());
    }
    version.matching = matching(&fields)?.unwrap_or(version.matching);
    version.settings = settings(&fields)?.unwrap_or(version.settings);
    check(&configuration, &version, Some(id))?;
    change(&mut configuration, id, Some(version), now, from);
    Ok(accepted(shared, request, &mut configuration, id, from))
}

fn find<'a>(configuration: &'a Configuration, id: &str) -> Result<(&'a Rule, &'a RuleVersion), ApiError> {
    configuration
        .live_rules()
        .find(|(rule, _)| rule.id == id)
        .ok_or_else(|| not_found(id))
}

fn change(configuration: &mut Configuration, id: &str, version: Option<RuleVersion>, now: i64, from: i64) {
    if let Some(rule) = configuration.rules.iter_mut().find(|rule| rule.id == id) {
        rule.change(version, now, from);
    }
}

/// Returns the URLs that the body names, if it names any.
fn matching(fields: &Map<String, Value>) -> Result<Option<Match>, ApiError> {
    let Some(kind) = text(fields, "matchType", LONGEST_NAME)? else {
        return Ok(None);
    };
    let url = |name: &str| -> Result<String, ApiError> {
        let text = required(fields, name, LONGEST_URL)?;
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        is_url
            .then(|| text.to_owned())
            .ok_or_else(|| invalid(&format!("{name} must be a URL")))
    };
    match kind {
        "EXACT_MATCH" => {
            let value = url("value")?;
            if value.ends_with('/') {
                return Err(invalid("value must not end with /"));
            }
            Ok(Some(Match::Exact(value)))
        }
        "PREFIX_MATCH" => {
            let prefix = url("prefix")?;
            if !prefix.ends_with('/') {
                return Err(invalid("prefix must end with /"));
            }
            Ok(Some(Match::Prefix(prefix)))
        }
        "DEFAULT" => Ok(Some(Match::Default)),
        _ => Err(invalid("matchType must be EXACT_MATCH, PREFIX_MATCH or DEFAULT")),
    }
}

/// Returns the Settings that the body names, if it names any.
fn settings(fields: &Map<String, Value>) -> Result<Option<Vec<(String, u32)>>, ApiError> {
    let Some(list) = fields.get("settings").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let read = |one: &Value| {
        let id = one.get("settingId").and_then(Value::as_str)?;
        let percentage = one.get("percentage").and_then(Value::as_u64)?;
        Some((id.to_owned(), u32::try_from(percentage).ok()?))
    };
    let settings: Option<Vec<_>> = list.as_array().and_then(|list| list.iter().map(read).collect());
    settings
        .filter(|all| (1..=2).contains(&all.len()))
        .filter(|all| {
            all.iter()
                .map(|(_, percentage)| u64::from(*percentage))
                .sum::<u64>()
                == 100
        })
        .map(Some)
        .ok_or_else(|| {
            invalid("settings must be one or two objects with settingId and percentage, 100 per cent in all")
        })
}

fn check(configuration: &Configuration, version: &RuleVersion, own: Option<&str>) -> Result<(), ApiError> {
    for (id, _) in &version.settings {
        let Some(setting) = configuration.setting(id) else {
            return Err(ApiError::problem(
                422,
                INVALID,
                format!("the Setting {id} does not exist"),
            ));
        };
        if version.matching == Match::Default && setting.basic.is_some() {
            return Err(ApiError::problem(
                422,
                INVALID,
                "a default Rule cannot use Basic credentials",
            ));
        }
    }
    let taken = configuration
        .live_rules()
        .any(|(rule, other)| Some(rule.id.as_str()) != own && other.matching == version.matching);
    if taken {
        return Err(ApiError::problem(
            409,
            EXISTS,
            "a Rule for the same URLs exists already",
        ));
    }
    Ok(())
}

/// Starts the operation of a change, and returns the response with it and with the Rule, unless that was deleted.
fn accepted(
    shared: &Shared,
    request: &ApiRequest,
    configuration: &mut Configuration,
    id: &str,
    from: i64,
) -> ApiResponse {
    let now = shared.clock.seconds();
    let operation = Operation {
        id: configuration.new_id("operation", shared.seed),
        resource: id.to_owned(),
        created: now,
        completes: from,
    };
    let described = operations::resource(shared, request, &operation);
    let status_url = described.get("statusUrl").and_then(Value::as_str);
    let headers = vec![
        ("Operation-Id", operation.id.clone()),
        ("Location", status_url.unwrap_or_default().to_owned()),
    ];
    let mut answer = json!({"operation": described});
    if let (Value::Object(fields), Ok((rule, version))) = (&mut answer, find(configuration, id)) {
        fields.insert("rule".to_owned(), resource(rule, version));
    }
    configuration.operations.push(operation);
    ApiResponse {
        headers,
        retry_after: Some(10),
        ..ApiResponse::value(202, &answer)
    }
}

fn resource(rule: &Rule, version: &RuleVersion) -> Value {
    let settings: Vec<Value> = version
        .settings
        .iter()
        .map(|(id, percentage)| json!({"settingId": id, "percentage": percentage}))
        .collect();
    let mut resource = json!({
        "id": rule.id,
        "friendlyName": version.friendly_name,
        "description": version.description,
        "settings": settings,
        "createdAt": iso8601(rule.created),
        "updatedAt": iso8601(rule.updated),
    });
    let (kind, url) = match &version.matching {
        Match::Exact(value) => ("EXACT_MATCH", Some(("value", value))),
        Match::Prefix(prefix) => ("PREFIX_MATCH", Some(("prefix", prefix))),
        Match::Default => ("DEFAULT", None),
    };
    if let Value::Object(fields) = &mut resource {
        fields.insert("matchType".to_owned(), Value::from(kind));
        if let Some((name, url)) = url {
            fields.insert(name.to_owned(), Value::from(url.as_str()));
        }
    }
    resource
}
