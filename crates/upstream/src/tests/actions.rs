//! Requests of actions, and their failures.

use std::sync::Arc;

use indexmap::IndexMap;
use registry::{Action, ActionRequest, JsonTemplate, Parameter, ParameterValue};
use serde_json::{Map, Value, json};

use super::{Fixture, PASSWORD, max_attempts, options, pairs, provider, status, target, template, templates};
use crate::context::RequestValues;
use crate::prepare::prepare;
use crate::{Request, RequestError, Target};

fn parameter(name: &str, value: &str, with: Option<&str>) -> (String, Parameter) {
    let value = ParameterValue {
        with: with.map(str::to_owned),
        ..ParameterValue::always(template(value))
    };
    (name.to_owned(), Parameter(vec![value]))
}

fn entry(name: &str, value: JsonTemplate) -> (String, JsonTemplate) {
    (name.to_owned(), value)
}

fn text(value: &str) -> JsonTemplate {
    JsonTemplate::Text(template(value))
}

fn with_form<const N: usize>(form: [(String, Parameter); N]) -> Action {
    let mut action = action();
    action.request.form = Some(form.into());
    action
}

fn with_json(json: JsonTemplate) -> Action {
    let mut action = action();
    action.request.json = Some(json);
    action
}

fn action() -> Action {
    Action {
        name: "order".parse().unwrap(),
        description: String::new(),
        inputs: IndexMap::new(),
        needs: Vec::new(),
        request: ActionRequest {
            method: registry::Method::Post,
            server: None,
            path: template("/orders/${input.id}"),
            query: IndexMap::from([
                parameter("tag", "${input.tags}", None),
                parameter("no", "${input.none}", None),
            ]),
            headers: templates(&[("x-note", "${input.none}")]),
            form: None,
            json: None,
        },
        answer: Vec::new(),
        repeatable: false,
        writes: None,
        deletes: None,
        route: None,
    }
}

/// Makes the request of the action for `a/b`, with further inputs.
fn request(target: &Target, action: &Action, more: &Value) -> Result<Request, RequestError> {
    let mut inputs = Map::from_iter([("id".to_owned(), json!("a/b"))]);
    inputs.extend(more.as_object().unwrap().clone());
    target.action_request(action, &inputs)
}

#[test]
fn a_list_becomes_a_repeated_key_and_missing_inputs_are_left_out() {
    let form = with_form([
        parameter("Url", "${input.tags}", None),
        parameter("Count", "${input.count}", None),
        parameter("Kind", "fixed", Some("at")),
        parameter("Sort", "late", Some("count")),
        parameter("Text", "for ${username}: ${input.none}", None),
        parameter("Sum", "${input.count} & more", None),
    ]);
    let target = target(provider("https://acme.example"));

    let inputs = json!({ "tags": ["a b", "c"], "count": 3 });
    let request = request(&target, &form, &inputs).unwrap();

    assert_eq!(request.path, "/orders/a%2Fb");
    assert_eq!(request.query, pairs(&[("tag", "a b"), ("tag", "c")]));
    assert_eq!(
        request.body.unwrap(),
        "Url=a+b&Url=c&Count=3&Sort=late&Sum=3+%26+more"
    );
    assert_eq!(
        request.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert!(!request.headers.contains_key("x-note") && !request.idempotent);
}

#[test]
fn a_parameter_with_several_values_is_repeated() {
    let (name, mut several) = parameter("Type", "a", None);
    let more = ["${input.tags}", "${input.none}", "z"];
    several
        .0
        .extend(more.map(|value| ParameterValue::always(template(value))));
    for (input, value) in [("tags", "not sent"), ("none", "end")] {
        several.0.push(ParameterValue {
            unless: vec![input.to_owned()],
            ..ParameterValue::always(template(value))
        });
    }
    let form = with_form([(name, several)]);
    let target = target(provider("https://acme.example"));

    let request = request(&target, &form, &json!({ "tags": ["b", "c"] })).unwrap();

    assert_eq!(request.body.unwrap(), "Type=a&Type=b&Type=c&Type=z&Type=end");
}

#[test]
fn json_keeps_the_types_of_inputs_and_has_no_empty_objects() {
    let none = || text("${input.none}");
    let json = JsonTemplate::Map(vec![
        entry("count", text("${input.count}")),
        entry("told", text("${input.count} of ${connectionConfig.accountId}")),
        entry("tags", text("${input.tags}")),
        entry("none", none()),
        entry("inner", JsonTemplate::Map(vec![entry("none", none())])),
        entry("list", JsonTemplate::List(vec![none(), text("x")])),
        entry("plain", JsonTemplate::Plain(json!(1))),
    ]);
    let target = target(provider("https://acme.example"));
    let repeatable = Action {
        repeatable: true,
        ..with_json(json)
    };

    let request = request(&target, &repeatable, &json!({ "tags": ["a"], "count": 3 })).unwrap();

    let sent: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({ "count": 3, "told": "3 of a/1", "tags": ["a"], "list": ["x"], "plain": 1 })
    );
    assert!(request.idempotent);
}

#[test]
fn a_part_of_the_request_that_is_too_long_is_refused_by_name() {
    let twice = "${input.text}${input.text}";
    let (mut query, mut header, mut path) = (action(), action(), action());
    query.request.query = IndexMap::from([parameter("q", twice, None)]);
    header.request.headers = templates(&[("x-note", twice)]);
    path.request.path = template(&format!("/orders/{twice}"));
    let form = with_form([parameter("Body", twice, None)]);
    let list = JsonTemplate::List(vec![JsonTemplate::Plain(json!(1)), text(twice)]);
    let json = JsonTemplate::Map(vec![
        entry("items", list),
        entry("x", JsonTemplate::Plain(json!(1))),
    ]);
    let mut target = target(provider("https://acme.example"));
    for (action, part) in [
        (query, "the query parameter \"q\""),
        (header, "the header \"x-note\""),
        (path, "the path"),
        (form, "the form field \"Body\""),
        (with_json(json), "the value at \"/items/1\" of the body"),
    ] {
        let error = request(&target, &action, &json!({ "text": "x".repeat(600_000) })).unwrap_err();

        let shown = error.to_string();
        assert!(shown.starts_with(part) && shown.contains("input.text"), "{shown}");
        assert!(error.verdict().nothing_done && shown.len() < 200, "{shown}");
    }

    Arc::make_mut(&mut target.provider).query = templates(&[("note", "${connectionConfig.long}")]);
    let config = &mut Arc::make_mut(&mut target.variables).connection_config;
    config.insert("long".to_owned(), "x".repeat(1_100_000));
    let request = request(&target, &action(), &json!({})).unwrap();
    let values = RequestValues::new(domain::Timestamp::from_micros(0));
    let prepared = prepare(&options(), &target, &request, &values, None, &[]);
    let shown = prepared.map(drop).unwrap_err().to_string();
    assert!(
        shown.contains("\"note\"") && shown.contains("connectionConfig.long"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_request_that_may_have_been_executed_is_retried_only_if_that_is_safe() {
    for (code, repeatable, attempts, nothing_done) in [
        (500, false, 1, false),
        (500, true, 3, false),
        (408, false, 1, false),
        (429, false, 3, true),
        (400, true, 1, true),
    ] {
        let acme = Fixture::with_options(max_attempts(3)).await;
        acme.respond("POST /orders/a%2Fb", status(code)).await;
        let action = Action {
            repeatable,
            ..action()
        };
        let request = request(&acme.target, &action, &json!({})).unwrap();

        let failed = acme.failed_action(request).await;

        let (sent, verdict) = (acme.requests().await.len(), failed.error.verdict());
        assert_eq!(sent, attempts, "{code} {repeatable}");
        assert_eq!(verdict.nothing_done, nothing_done, "{code} {repeatable}");
        assert_eq!(failed.response.unwrap().status, code);
    }
}

#[tokio::test]
async fn a_refusal_is_quoted_without_the_secrets_that_it_echoes() {
    let acme = Fixture::start().await;
    let refusal = status(422)
        .set_body_json(json!({ "code": 7, "message": format!("no {PASSWORD}") }))
        .insert_header("x-echo", PASSWORD)
        .insert_header("set-cookie", "a=b");
    acme.respond("POST /orders/a%2Fb", refusal).await;
    let request = request(&acme.target, &action(), &json!({})).unwrap();

    let quoted = acme.failed_action(request).await.response.unwrap();

    assert_eq!((quoted.status, &quoted.body["code"]), (422, &json!(7)));
    let shown = serde_json::to_string(&quoted).unwrap();
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(!quoted.headers.iter().any(|(name, _)| name == "set-cookie"));
}
