//! Requests of actions, and their failures.

use indexmap::IndexMap;
use registry::{Action, ActionBody, ActionRequest, JsonTemplate, Parameter};
use serde_json::{Map, Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::{PASSWORD, answers, calls, options, provider, target, template, upstream};
use crate::context::RequestTime;
use crate::prepare::prepare;

fn parameter(name: &str, value: &str, with: Option<&str>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        value: template(value),
        with: with.map(str::to_owned),
    }
}

fn action(body: ActionBody, repeatable: bool) -> Action {
    Action {
        name: "order".parse().unwrap(),
        description: String::new(),
        inputs: IndexMap::new(),
        needs: Vec::new(),
        request: ActionRequest {
            method: registry::Method::Post,
            server: None,
            path: template("/orders/${input.id}"),
            query: vec![
                parameter("tag", "${input.tags}", None),
                parameter("no", "${input.none}", None),
            ],
            headers: vec![("x-note".to_owned(), template("${input.none}"))],
            body,
        },
        answer: Vec::new(),
        repeatable,
        writes: None,
        deletes: None,
        route: None,
    }
}

fn inputs(more: &Value) -> Map<String, Value> {
    let mut inputs = Map::from_iter([("id".to_owned(), json!("a/b"))]);
    inputs.extend(more.as_object().unwrap().clone());
    inputs
}

#[test]
fn a_list_becomes_a_repeated_key_and_missing_inputs_are_left_out() {
    let form = ActionBody::Form(vec![
        parameter("Url", "${input.tags}", None),
        parameter("Count", "${input.count}", None),
        parameter("Kind", "fixed", Some("at")),
        parameter("Sort", "late", Some("count")),
        parameter("Text", "for ${username}: ${input.none}", None),
        parameter("Sum", "${input.count} & more", None),
    ]);
    let target = target(provider("https://acme.example"));

    let call = target
        .action_request(
            &action(form, false),
            &inputs(&json!({ "tags": ["a b", "c"], "count": 3 })),
        )
        .unwrap();

    assert_eq!(call.path, "/orders/a%2Fb");
    let tag = |text: &str| ("tag".to_owned(), text.to_owned());
    assert_eq!(call.query, [tag("a b"), tag("c")]);
    assert_eq!(
        call.body.unwrap(),
        "Url=a+b&Url=c&Count=3&Sort=late&Sum=3+%26+more"
    );
    assert_eq!(call.headers["content-type"], "application/x-www-form-urlencoded");
    assert!(!call.headers.contains_key("x-note") && !call.idempotent);
}

#[test]
fn json_keeps_the_types_of_inputs_and_has_no_empty_objects() {
    let text = |value: &str| JsonTemplate::Text(template(value));
    let entry = |name: &str, value: JsonTemplate| (name.to_owned(), value);
    let json = JsonTemplate::Map(vec![
        entry("count", text("${input.count}")),
        entry("told", text("${input.count} of ${connectionConfig.accountId}")),
        entry("tags", text("${input.tags}")),
        entry("none", text("${input.none}")),
        entry(
            "inner",
            JsonTemplate::Map(vec![entry("none", text("${input.none}"))]),
        ),
        entry("list", JsonTemplate::List(vec![text("${input.none}"), text("x")])),
        entry("plain", JsonTemplate::Plain(json!(1))),
    ]);
    let target = target(provider("https://acme.example"));

    let call = target
        .action_request(
            &action(ActionBody::Json(json), true),
            &inputs(&json!({ "tags": ["a"], "count": 3 })),
        )
        .unwrap();

    let sent: Value = serde_json::from_slice(&call.body.unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({ "count": 3, "told": "3 of a/1", "tags": ["a"], "list": ["x"], "plain": 1 })
    );
    assert!(call.idempotent);
}

#[test]
fn a_part_of_the_request_that_is_too_long_is_refused_by_name() {
    let twice = || template("${input.text}${input.text}");
    let plain = || action(ActionBody::None, false);
    let text = || JsonTemplate::Text(twice());
    let entry = |name: &str, value: JsonTemplate| (name.to_owned(), value);
    let long = |value: &str| Action {
        request: ActionRequest {
            query: vec![parameter("q", value, None)],
            ..plain().request
        },
        ..plain()
    };
    let mut header = plain();
    header.request.headers = vec![("x-note".to_owned(), twice())];
    let mut path = plain();
    path.request.path = template("/orders/${input.text}${input.text}");
    let form = vec![parameter("Body", "${input.text}${input.text}", None)];
    let list = JsonTemplate::List(vec![JsonTemplate::Plain(json!(1)), text()]);
    let json = JsonTemplate::Map(vec![
        entry("items", list),
        entry("x", JsonTemplate::Plain(json!(1))),
    ]);
    let mut own_query = provider("https://acme.example");
    own_query.query = vec![("note".to_owned(), template("${connectionConfig.long}"))];
    let target_of = |provider| {
        let mut target = target(provider);
        let mut variables = (*target.variables).clone();
        variables
            .connection_config
            .insert("long".to_owned(), "x".repeat(1_100_000));
        target.variables = std::sync::Arc::new(variables);
        target
    };
    let plain_target = target_of(provider("https://acme.example"));
    for (action, part) in [
        (long("${input.text}${input.text}"), "the query parameter \"q\""),
        (header, "the header \"x-note\""),
        (path, "the path"),
        (action(ActionBody::Form(form), false), "the form field \"Body\""),
        (
            action(ActionBody::Json(json), false),
            "the value at \"/items/1\" of the body",
        ),
    ] {
        let inputs = inputs(&json!({ "text": "x".repeat(600_000) }));

        let error = plain_target
            .action_request(&action, &inputs)
            .map(drop)
            .unwrap_err();

        let told = error.to_string();
        assert!(told.starts_with(part) && told.contains("input.text"), "{told}");
        assert!(error.verdict().nothing_done && told.len() < 200, "{told}");
    }
    let call = plain_target
        .action_request(&plain(), &inputs(&json!({})))
        .unwrap();
    let time = RequestTime::new(domain::Timestamp::from_micros(0));
    let of_file = prepare(&options(), &target_of(own_query), &call, &time, None, &[]);
    let told = of_file.map(drop).unwrap_err().to_string();
    assert!(
        told.contains("\"note\"") && told.contains("connectionConfig.long"),
        "{told}"
    );
}

#[tokio::test]
async fn a_request_that_may_have_been_executed_is_retried_only_if_that_is_safe() {
    for (status, repeatable, attempts, nothing_done) in [
        (500, false, 1, false),
        (500, true, 3, false),
        (408, false, 1, false),
        (429, false, 3, true),
        (400, true, 1, true),
    ] {
        let server = MockServer::start().await;
        answers(&server, "POST", "/orders/a%2Fb", 9, ResponseTemplate::new(status)).await;
        let target = target(provider(&server.uri()));
        let call = target
            .action_request(&action(ActionBody::None, repeatable), &inputs(&json!({})))
            .unwrap();
        let mut few = options();
        few.max_attempts = 3;

        let refusal = upstream(few).send_action(&target, call, false).await.unwrap_err();

        assert_eq!(calls(&server).await, attempts, "{status} {repeatable}");
        assert_eq!(
            refusal.error.verdict().nothing_done,
            nothing_done,
            "{status} {repeatable}"
        );
        assert_eq!(refusal.response.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_refusal_is_quoted_without_the_secrets_that_it_echoes() {
    let server = MockServer::start().await;
    let body = json!({ "code": 7, "message": format!("no {PASSWORD}") });
    let answer = ResponseTemplate::new(422)
        .set_body_json(body)
        .insert_header("x-echo", PASSWORD)
        .insert_header("set-cookie", "a=b");
    answers(&server, "POST", "/orders/a%2Fb", 9, answer).await;
    let target = target(provider(&server.uri()));
    let call = target
        .action_request(&action(ActionBody::None, false), &inputs(&json!({})))
        .unwrap();

    let quoted = upstream(options())
        .send_action(&target, call, false)
        .await
        .unwrap_err()
        .response
        .unwrap();

    assert_eq!((quoted.status, &quoted.body["code"]), (422, &json!(7)));
    assert!(!format!("{quoted:?}").contains(PASSWORD), "{quoted:?}");
    assert!(!quoted.headers.iter().any(|(name, _)| name == "set-cookie"));
}
