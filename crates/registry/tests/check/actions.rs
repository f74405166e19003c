//! The actions of a file.

use serde_json::json;

use super::*;

const ACTIONS: &str = r#"actions:
  create-order:
    description: Places an order
    route: POST /orders
    input:
      to: { type: text, required: true, format: phone, example: "+15551234567" }
      size: { type: integer, minimum: 1, maximum: 9 }
      tags: { type: list, max_length: 3 }
      note: text
      at: { type: text, format: date_time }
    needs: [[note, tags]]
    request:
      method: POST
      path: "/orders"
      form: { To: "${input.to}", Size: "${input.size}", Tag: "${input.tags}", Note: "${input.note}", At: "${input.at}", Kind: { value: late, with: at } }
    writes: { sync: shop-orders }
  delete-order:
    description: Deletes an order
    route: DELETE /orders/{orderId}
    input: { orderId: { type: text, required: true } }
    request: { method: DELETE, path: "/orders/${input.orderId}" }
    deletes: { sync: shop-orders, key: "${input.orderId}" }
"#;

/// Returns the problems of the actions with `from` replaced by `to`, without their lines.
fn wrong(from: &str, to: &str) -> Vec<String> {
    assert!(ACTIONS.contains(from), "{from:?} is not in the good actions");
    let text = format!("{SHOP}{}", ACTIONS.replacen(from, to, 1));
    match check("shop.yaml", &text) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect(),
    }
}

#[track_caller]
fn reports(from: &str, to: &str, parts: &[&str]) {
    let problems = wrong(from, to);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} is not in {:?}", problems[0]);
    }
}

#[test]
fn good_actions_pass() {
    assert_eq!(wrong("Places", "Places"), Vec::<String>::new());
}

#[test]
fn every_placeholder_is_an_input_and_every_input_is_used() {
    reports(
        "${input.note}",
        "${input.notes}\", Note2: \"${input.note}",
        &["form.Note", "no value for ${input.notes}"],
    );
    reports(
        "Note: \"${input.note}\", ",
        "",
        &["create-order.input.note", "goes nowhere"],
    );
    reports(
        "with: at",
        "with: then",
        &["form.Kind.with", "\"then\" is not an input"],
    );
    reports(
        "[[note, tags]]",
        "[[note, tag]]",
        &[
            "needs.0",
            "\"tag\" is not an input: the inputs are to, size, tags, note and at",
        ],
    );
}

#[test]
fn a_required_value_uses_only_inputs_that_always_have_one() {
    reports(
        "path: \"/orders\"\n",
        "path: \"/orders/${input.size}\"\n",
        &["request.path", "may be empty"],
    );
    let deletes = wrong(
        "orderId: { type: text, required: true }",
        "orderId: { type: text }",
    );
    assert!(
        deletes
            .iter()
            .any(|reported| reported.contains("request.path") && reported.contains("may be empty")),
        "{deletes:#?}"
    );
}

#[test]
fn an_input_keeps_its_own_rules() {
    reports(
        "\"+15551234567\"",
        "\"5551234567\"",
        &["input.to.example", "breaks the input's own rule", "E.164"],
    );
    reports(
        "maximum: 9",
        "maximum: 9, pattern: x",
        &["input.size.pattern", "does not go with"],
    );
    let capital = wrong("      note: text\n", "      note: text\n      Note2: text\n");
    assert!(
        capital.iter().any(|reported| reported.contains("camelCase")),
        "{capital:#?}"
    );
    let twice = wrong("      note: text\n", "      note: text\n      nOte: text\n");
    assert!(
        twice.iter().any(|reported| reported.contains("only in spelling")),
        "{twice:#?}"
    );
    let reserved = wrong(
        "      note: text\n",
        "      note: text\n      connectionId: text\n",
    );
    assert!(
        reserved
            .iter()
            .any(|reported| reported.contains("something else")),
        "{reserved:#?}"
    );
}

#[test]
fn a_request_has_at_most_one_body_and_a_get_none() {
    reports(
        "      form: {",
        "      json: { a: 1 }\n      form: {",
        &["has one body"],
    );
    reports("method: POST", "method: GET", &["a GET has no body"]);
    reports(
        "      path: \"/orders\"\n",
        "      path: \"/orders\"\n      server: blobs\n",
        &["request.server", "not declared under servers"],
    );
}

#[test]
fn writes_and_deletes_name_a_sync_of_the_file() {
    reports(
        "writes: { sync: shop-orders }",
        "writes: { sync: shop-order }",
        &["writes.sync", "the syncs are shop-orders"],
    );
}

#[test]
fn an_action_and_a_sync_cannot_share_a_name() {
    reports(
        "  create-order:\n",
        "  shop-orders:\n",
        &["actions.shop-orders", "is the name of a sync"],
    );
}

#[test]
fn short_routes_do_not_clash() {
    reports(
        "POST /orders",
        "GET /orders",
        &["create-order.route", "lists the records of the sync shop-orders"],
    );
    reports(
        "POST /orders",
        "DELETE /orders/open",
        &["delete-order.route", "the action create-order has the same route"],
    );
    reports(
        "POST /orders",
        "POST /verify",
        &["is reserved for routes of Trunkline itself"],
    );
    reports("POST /orders", "/orders", &["a method and a path"]);
    reports(
        "POST /orders",
        "POST /orders/{size}",
        &["must be a required input of type text"],
    );
    reports("POST /orders", "POST /Orders", &["lower-case"]);
}

#[test]
fn inputs_are_checked_and_converted_to_their_types() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), format!("{SHOP}{ACTIONS}")).unwrap();
    let registry = Registry::load(Some(folder.path())).unwrap();
    let shop = registry.get("shop").unwrap();
    let action = &shop.actions["create-order"];
    let check = |given: serde_json::Value| action.check(given.as_object().unwrap().clone());
    let taken =
        check(json!({ "NOTE": "5", "tags": "a", "Size": "3", "to": "+15551234567", "at": null })).unwrap();
    assert_eq!(
        serde_json::Value::Object(taken),
        json!({ "to": "+15551234567", "size": 3, "tags": ["a"], "note": "5" })
    );
    let reported = |given| -> Vec<String> {
        let errors = check(given).unwrap_err();
        errors
            .iter()
            .map(|error| format!("{} {} {}", error.code, error.name, error.message))
            .collect()
    };
    assert_eq!(
        reported(json!({ "size": 10, "tags": ["a", "b", "c", "d"], "nots": "x" })),
        [
            "invalid size must be a whole number from 1 to 9",
            "invalid tags must have 3 elements at most",
            "unknown nots is not an input of create-order; did you mean \"note\"?",
            "missing to is required",
        ]
    );
    assert_eq!(
        reported(json!({ "to": "+15551234567" })),
        ["missing note is required, or another of note and tags"]
    );
    assert_eq!(
        reported(json!({ "to": "+15551234567", "note": "x", "Note": "y" })),
        ["invalid Note is given twice"]
    );
    assert!(!action.repeatable && shop.actions["delete-order"].repeatable);
    let (found, inputs) = shop.action_at("DELETE", &["orders", "o 1"]).unwrap();
    assert_eq!(
        (found.name.as_str(), inputs),
        ("delete-order", vec![("orderId", "o 1".to_owned())])
    );
    assert!(shop.action_at("DELETE", &["orders"]).is_none());
}
