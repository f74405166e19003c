//! The OpenAPI document: complete, committed, and the same as the routes.

use std::collections::BTreeSet;

use registry::Registry;
use serde_json::{Map, Value as Json};
use store::Dialect;
use testkit::TestApp;

use crate::snapshots::assert_committed;

/// Returns what the document has only for Twilio.
fn twilio_part() -> Json {
    let whole = serde_json::to_value(api::openapi_for(&Registry::builtin().unwrap())).unwrap();
    let select = |place: &str, prefix: &str| -> Map<String, Json> {
        let all = whole.pointer(place).and_then(Json::as_object).unwrap();
        all.iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    serde_json::json!({
        "paths": select("/paths", "/twilio/"),
        "components": { "schemas": select("/components/schemas", "twilio.") },
    })
}

#[test]
fn the_committed_document_is_what_the_routes_declare() {
    assert_committed("openapi", &serde_json::to_value(api::openapi()).unwrap(), 0);
}

#[test]
fn the_committed_document_of_twilio_is_what_its_file_gives() {
    assert_committed("twilio", &twilio_part(), 1);
}

#[test]
fn every_provider_has_its_forms_and_every_model_its_columns_and_filters() {
    let part = twilio_part();

    let forms = &part["paths"]["/twilio/connect"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        ["oneOf"];
    let required: Vec<&Json> = forms
        .as_array()
        .unwrap()
        .iter()
        .map(|form| &form["required"])
        .collect();
    assert_eq!(
        required[0],
        &serde_json::json!(["accountSid", "apiKeySid", "apiKeySecret"])
    );
    assert_eq!(required[1], &serde_json::json!(["accountSid", "authToken"]));
    assert_eq!(forms[0]["properties"]["apiKeySecret"]["format"], "password");
    let columns = &part["components"]["schemas"]["twilio.Message"]["properties"];
    assert_eq!(columns["price"]["type"], serde_json::json!(["string", "null"]));
    assert_eq!(
        columns["num_segments"]["type"],
        serde_json::json!(["integer", "null"])
    );
    assert_eq!(columns["sid"]["type"], "string");
    assert!(
        columns["status"]["description"]
            .as_str()
            .unwrap()
            .contains("delivered")
    );
    let parameters = part["paths"]["/twilio/messages"]["get"]["parameters"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = parameters
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    let wanted = [
        "connectionId",
        "limit",
        "cursor",
        "from",
        "to",
        "status",
        "direction",
        "date_sent_after",
        "date_sent_before",
    ];
    assert!(wanted.iter().all(|name| names.contains(name)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_document_is_whole() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();

    let document = app.anonymous().get("/openapi.json").await.expect(200).json();

    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no id"));
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(operation["tags"][0].is_string(), "{id} has no tag");
            assert!(operation["summary"].is_string(), "{id} has no summary");
            let responses = operation["responses"].as_object().unwrap();
            let described = |response: &Json| {
                response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            };
            assert!(
                responses.values().all(described),
                "{id} has a response without a description"
            );
            let security = &operation["security"][0];
            let refusals: &[&str] = if security["api_key"].is_array() {
                &["401", "403", "500", "503"]
            } else if security == &serde_json::json!({}) {
                &[]
            } else {
                &["401", "500", "503"]
            };
            let reported = |status: &&str| responses.contains_key(*status);
            assert!(refusals.iter().all(reported), "{id}");
        }
    }
    assert_refs(&document, &document);
}

/// Fails unless every reference has a target.
fn assert_refs(value: &Json, document: &Json) {
    match value {
        Json::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Json::as_str) {
                let place = reference.strip_prefix('#').unwrap_or(reference);
                assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
            }
            object.values().for_each(|value| assert_refs(value, document));
        }
        Json::Array(items) => items.iter().for_each(|value| assert_refs(value, document)),
        _ => {}
    }
}
