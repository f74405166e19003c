//! Examples: the document shows a correct request and response for each operation.

use registry::Registry;
use serde_json::{Map, Value as Json, json};

fn document() -> Json {
    serde_json::to_value(api::openapi_for(&Registry::builtin().unwrap())).unwrap()
}

/// Resolves a reference.
fn resolve<'a>(document: &'a Json, value: &'a Json) -> &'a Json {
    let reference = value.get("$ref").and_then(Json::as_str);
    reference.map_or(value, |place| {
        resolve(document, document.pointer(place.trim_start_matches('#')).unwrap())
    })
}

/// Collects the parts of a schema for which a reader would have to guess a value.
///
/// A sample body can be built if every required text has an example, a fixed value or a format;
/// numbers, flags, times and empty maps explain themselves, and so does a text with a pattern. An example on a schema covers all that
/// lies below it. Columns of a provider's model come from its file, which has no examples.
fn guesses(document: &Json, schema: &Json, at: &str, depth: usize) -> Vec<String> {
    let own = resolve(document, schema);
    let known = ["example", "examples", "const", "enum", "default"];
    let shown = |value: &Json| known.iter().any(|word| value.get(word).is_some());
    let of_provider = |value: &Json| {
        let name = value.get("$ref").and_then(Json::as_str).unwrap_or_default();
        name.trim_start_matches("#/components/schemas/").contains('.')
    };
    if depth > 12 || shown(own) || shown(schema) || of_provider(schema) {
        return Vec::new();
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(forms) = own.get(word).and_then(Json::as_array) {
            let each = forms.iter().map(|form| guesses(document, form, at, depth + 1));
            return each.min_by_key(Vec::len).unwrap_or_default();
        }
    }
    let mut found = Vec::new();
    for part in own.get("allOf").and_then(Json::as_array).into_iter().flatten() {
        found.extend(guesses(document, part, at, depth + 1));
    }
    if let Some(properties) = own.get("properties").and_then(Json::as_object) {
        let empty = Vec::new();
        let required = own.get("required").and_then(Json::as_array).unwrap_or(&empty);
        for (name, part) in properties {
            if required.iter().any(|needed| needed == name) {
                found.extend(guesses(document, part, &format!("{at}.{name}"), depth + 1));
            }
        }
    } else if let Some(items) = own.get("items") {
        found.extend(guesses(document, items, &format!("{at}[]"), depth + 1));
    } else if own["type"] == json!("string")
        && ["format", "pattern"].iter().all(|word| own.get(word).is_none())
    {
        found.push(at.to_owned());
    }
    found
}

/// Returns the JSON contents of an operation that a reader must understand: its body and its success responses.
fn contents<'a>(document: &'a Json, operation: &'a Json) -> Vec<(String, &'a Json)> {
    let id = operation["operationId"].as_str().unwrap();
    let body = operation
        .get("requestBody")
        .map(|body| ("its body".to_owned(), body));
    let good = operation["responses"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(status, _)| status.starts_with('2'));
    let all = body
        .into_iter()
        .chain(good.map(|(status, response)| (format!("its answer {status}"), response)));
    let mut found = Vec::new();
    for (what, holder) in all {
        let content = resolve(document, holder).get("content").and_then(Json::as_object);
        for (kind, content) in content.into_iter().flatten() {
            if kind.contains("json") && !kind.contains("ndjson") {
                found.push((format!("{id}: {what}"), content));
            }
        }
    }
    found
}

fn operations(document: &Json) -> impl Iterator<Item = &Json> {
    let items = document["paths"].as_object().unwrap().values();
    items
        .flat_map(|item| item.as_object().unwrap().values())
        .filter(|operation| operation["operationId"].is_string())
}

/// A new operation needs `#[schema(example = …)]` on each required text, or `example = json!(…)` on the
/// whole.
#[test]
fn every_operation_has_examples_of_request_and_response() {
    let document = document();
    let mut missing = Vec::new();
    for operation in operations(&document) {
        for (what, content) in contents(&document, operation) {
            if content
                .get("example")
                .or_else(|| content.get("examples"))
                .is_some()
            {
                continue;
            }
            match content.get("schema") {
                None => missing.push(format!("{what} has neither schema nor example")),
                Some(schema) => {
                    let found = guesses(&document, schema, "", 0);
                    missing.extend(
                        found
                            .iter()
                            .map(|place| format!("{what} has no example at {place:?}")),
                    );
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "say `#[schema(example = …)]` or `example = json!(…)` there: {missing:#?}"
    );
}

/// Adds the document's components to a schema, so that its references resolve.
fn alone(document: &Json, schema: &Json) -> Json {
    let mut whole: Map<String, Json> = schema.as_object().cloned().unwrap_or_default();
    whole.insert("components".to_owned(), document["components"].clone());
    Json::Object(whole)
}

#[test]
fn every_schema_is_valid_and_every_example_matches_its_schema() {
    let document = document();
    let mut checked = 0;
    let mut wrong = Vec::new();
    let mut check = |what: &str, schema: &Json, example: Option<&Json>| {
        let whole = alone(&document, schema);
        match jsonschema::draft202012::new(&whole) {
            Err(error) => wrong.push(format!("{what}: {error}")),
            Ok(validator) => {
                if let Some(example) = example {
                    checked += 1;
                    if let Err(error) = validator.validate(example) {
                        wrong.push(format!("{what}: its example: {error}"));
                    }
                }
            }
        }
    };
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        check(name, schema, schema.get("example"));
        let properties = schema.get("properties").and_then(Json::as_object);
        for (property, part) in properties.into_iter().flatten() {
            check(&format!("{name}.{property}"), part, part.get("example"));
        }
    }
    for operation in operations(&document) {
        for (what, content) in contents(&document, operation) {
            check(&what, &content["schema"], content.get("example"));
            let named = content.get("examples").and_then(Json::as_object);
            for (name, example) in named.into_iter().flatten() {
                check(
                    &format!("{what} {name}"),
                    &content["schema"],
                    example.get("value"),
                );
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let what = format!("{}: {}", operation["operationId"], parameter["name"]);
            check(&what, &parameter["schema"], parameter.get("example"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked >= 20, "{checked}");
}
