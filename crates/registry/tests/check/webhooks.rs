//! The webhooks of a file.

use super::*;

const WEBHOOKS: &str = r#"webhooks:
  signature:
    header: X-Shop-Signature
    entry: v1
    signed: "${timestamp}.${body}"
    timestamp: { from: "${signature.t}", tolerance: 10 minutes }
    secret: ["${connectionConfig.region}", "${subscription.secret}"]
  connection: { from: "${body.shop}", config: region }
  id: "${body.id}"
  type: "${header.X-Shop-Event}.${body.action} || ${header.X-Shop-Event}"
  events:
    order.deleted: { sync: shop-orders, key: "${body.order.id}", deletes: true }
    order.seen: { sync: shop-orders, key: "${body.order.id}", reread: true }
    order.state: { sync: shop-orders, key: "${event.order.id}", fields: { state: { path: order.state, lowercase: true }, total: order.total }, newer_by: { rank: { state: [[new, open], paid] } } }
    order.paid: { sync: shop-orders, key: "${body.order.id}", fields: { state: { value: paid } }, newer_by: { time: "${body.at}", parse: unix_millis } }
    order.*: { sync: shop-orders, record: order, newer_by: { column: changed }, keep: total }
    stock.*: { sync: shop-orders, run: true }
  challenges: { echo: "${query.challenge}" }
  subscriptions:
    all:
      description: All events
      input: { topic: { type: text, required: true } }
      create:
        - request: { method: POST, path: /hooks, form: { url: "${webhook.url}", topics: [a, "${input.topic}"] } }
          keep: { id: hook.id }
        - request: { method: GET, path: "/hooks/${subscription.id}/secret" }
          keep: { secret: secret }
      show:
        request: { method: GET, path: "/hooks/${subscription.id}" }
        expect: { hook.url: "${webhook.url}" }
      renew: { every: 5 days, request: { method: POST, path: "/hooks/${subscription.id}" } }
      end: { request: { method: DELETE, path: "/hooks/${subscription.id}" } }
"#;

/// Returns the problems of the webhooks with `from` replaced by `to`, without their lines.
fn wrong(from: &str, to: &str) -> Vec<String> {
    assert!(WEBHOOKS.contains(from), "{from:?} is not in the good webhooks");
    let text = format!("{SHOP}{}", WEBHOOKS.replacen(from, to, 1));
    match check("shop.yaml", &text) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let problems = error.problems.iter();
            problems
                .map(|problem| format!("{}: {}", problem.path, problem.message))
                .collect()
        }
    }
}

/// Fails unless the change causes one problem, whose text has all `parts`.
#[track_caller]
fn reports(from: &str, to: &str, parts: &[&str]) {
    let problems = wrong(from, to);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} is not in {:?}", problems[0]);
    }
}

#[test]
fn good_webhooks_pass() {
    assert_eq!(wrong("All", "All"), Vec::<String>::new());
    let short = "webhooks: { signature: { header: X, secret: \"${apiKey}\" } }\n";
    assert!(check("shop.yaml", &format!("{SHOP}{short}")).is_ok());
    assert!(check("shop.yaml", &format!("{SHOP}webhooks: {{}}\n")).is_ok());
}

#[test]
fn a_signature_is_in_one_place_and_of_one_form() {
    reports(
        "    header: X-Shop-Signature\n",
        "",
        &["webhooks.signature: needs either \"header\""],
    );
    reports(
        "header: X-Shop-Signature",
        "from: \"a ${body.a}\"",
        &["webhooks.signature.from", "must be one placeholder"],
    );
    reports(
        "X-Shop-Signature",
        "\"X Shop\"",
        &["webhooks.signature.header", "the name of a header"],
    );
    reports(
        "entry: v1",
        "entry: v1\n    position: 0",
        &["either keys or positions"],
    );
    reports(
        "    entry: v1\n",
        "    entry: v1\n    separator: \"\"\n",
        &["separator", "must not be empty"],
    );
    let text = wrong("    entry: v1\n", "    assign: \"=\"\n").join("\n");
    assert!(
        text.contains("goes with \"entry\" alone") && text.contains("no value for ${signature.t}"),
        "{text}"
    );
}

#[test]
fn whatever_a_signature_relies_on_is_signed() {
    reports(
        "${timestamp}.${body}",
        "${timestamp}",
        &["holds neither ${body} nor ${form}", "unsigned_body: true"],
    );
    reports(
        "${timestamp}.${body}",
        "${body}",
        &["webhooks.signature.timestamp", "is not in \"signed\""],
    );
    reports(
        "    timestamp: { from",
        "    # { from",
        &["holds ${timestamp}, but \"timestamp\" is missing"],
    );
    reports("entry: v1", "entry: v1\n    unsigned_body: true", &["is wrong"]);
    reports(
        "entry: v1",
        "entry: v1\n    url_variants: ports",
        &["needs ${url} in \"signed\""],
    );
    reports(
        "entry: v1",
        "entry: v1\n    body_sha256: hash",
        &["needs ${url} in \"signed\""],
    );
    reports(
        "${timestamp}.${body}",
        "${timestamp}.${base64(${body})}",
        &["may hold neither functions"],
    );
    reports(
        "${timestamp}.${body}",
        "${timestamp}.${body}${raw}",
        &["no value for ${raw}", "${form.every_value}", "${header.NAME}"],
    );
    let unsigned = "signed: \"${timestamp}\"\n    unsigned_body: true\n    nonce: \"${body.token}\"";
    reports(
        "signed: \"${timestamp}.${body}\"",
        unsigned,
        &["nonce", "anybody can change it"],
    );
}

#[test]
fn a_secret_comes_from_somewhere_and_has_a_format_of_its_algorithm() {
    reports(
        "[\"${connectionConfig.region}\", ",
        "[{ value: \"${connectionConfig.region}\", only_if: { nobody: a } }, ",
        &["only_if.nobody", "no value for ${nobody}"],
    );
    reports(
        "${connectionConfig.region}",
        "whsec_abc",
        &["webhooks.signature.secret.0", "does not belong into a file"],
    );
    reports(
        "${connectionConfig.region}",
        "${connectionConfig.secret}",
        &["no value for ${connectionConfig.secret}"],
    );
    reports(
        "entry: v1",
        "entry: v1\n    secret_format: public_key",
        &["must be public_key with the algorithm ecdsa-p256-sha256"],
    );
    reports("entry: v1", "entry: v1\n    optional: true", &["proves nothing"]);
    reports(
        ", \"${subscription.secret}\"",
        "",
        &["no \"secret\" holds ${subscription.secret}"],
    );
    reports(
        "          keep: { secret: secret }\n",
        "",
        &["nothing brings ${subscription.secret}"],
    );
    let basic = wrong("entry: v1", "algorithm: basic").join("\n");
    for key in ["header", "signed", "timestamp"] {
        assert!(
            basic.contains(&format!("webhooks.signature.{key}: does not go with")),
            "{basic}"
        );
    }
}

#[test]
fn a_connection_is_found_by_a_declared_field() {
    reports(
        "config: region",
        "config: shop",
        &[
            "webhooks.connection.config",
            "is not declared under connection_config",
        ],
    );
    reports(
        "${body.shop}",
        "${shop}",
        &["no value for ${shop}", "${event.NAME}"],
    );
}

#[test]
fn an_event_does_one_thing_to_a_sync_of_the_file() {
    reports(
        "run: true",
        "run: true, reread: true",
        &["webhooks.events.stock.*", "needs one of"],
    );
    reports(
        "record: order, newer_by: { column: changed }, keep: total",
        "newer_by: { column: changed }",
        &["needs one of"],
    );
    reports(
        "sync: shop-orders, run",
        "sync: shop-stock, run",
        &["is not a sync of this file"],
    );
    reports(
        "key: \"${body.order.id}\", deletes",
        "deletes",
        &["\"key\" is missing"],
    );
    reports(
        "record: order,",
        "record: order, key: \"${body.id}\",",
        &["does not go with \"record\""],
    );
    reports(
        "keep: total",
        "keep: totals",
        &["webhooks.events.order.*.keep", "unknown column \"totals\""],
    );
    reports(
        "total: order.total",
        "totals: order.total",
        &["fields.totals", "unknown column"],
    );
    reports(
        "{ value: paid }",
        "{ value: paid, path: order.state }",
        &["needs either \"path\""],
    );
    reports("  type: \"${header", "  # \"${header", &["\"type\" is missing"]);
    let earlier = "    order*: { sync: shop-orders, reread: true, key: \"${body.id}\" }\n    order.deleted:";
    let text = wrong("    order.deleted:", earlier).join("\n");
    assert!(
        text.contains("is never used, because \"order*\" matches it"),
        "{text}"
    );
}

#[test]
fn the_age_of_an_event_is_told_by_one_thing() {
    reports(
        "{ column: changed }",
        "{ column: state }",
        &["newer_by.column", "of type timestamp or integer"],
    );
    reports(
        "{ column: changed }",
        "{ column: changed, sequence: \"${body.n}\" }",
        &["needs one of \"column\""],
    );
    reports("{ column: changed }", "{}", &["needs one of \"column\""]);
    reports("[[new, open], paid]", "[new]", &["at least two steps"]);
    reports(
        "[[new, open], paid]",
        "[new, new]",
        &["has the state \"new\" twice"],
    );
    reports("parse: unix_millis", "parse: plain", &["newer_by.parse"]);
    // Without it, the row is read again, if that is possible.
    assert_eq!(wrong(", newer_by: { column: changed }", ""), Vec::<String>::new());
    let no_reread = SHOP.replace(
        "    reread: { where: { state: [open] }, path: \"/orders/${record.id}\" }\n",
        "",
    );
    let rule = "webhooks: { type: x, events: { x: { sync: shop-orders, record: . } } }\n";
    let error = check("shop.yaml", &format!("{no_reread}{rule}"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"newer_by\" is missing"), "{error}");
    let rule = rule.replace("record: .", "key: \"${body.id}\", reread: true");
    let error = check("shop.yaml", &format!("{no_reread}{rule}"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no \"reread\""), "{error}");
}

#[test]
fn a_challenge_is_recognised_by_a_placeholder() {
    reports(
        "${query.challenge}",
        "yes",
        &["webhooks.challenges", "needs a placeholder"],
    );
    reports(
        "echo: \"${query.challenge}\"",
        "echo: \"${query.a}\", json: { a: 1 }",
        &["a response has one body"],
    );
}

#[test]
fn a_subscription_uses_what_it_has_kept() {
    // All later requests name it.
    let renamed = wrong("keep: { id: hook.id }", "keep: { hook: hook.id }");
    assert_eq!(renamed.len(), 4, "{renamed:#?}");
    assert!(
        renamed
            .iter()
            .all(|problem| problem.contains("no value for ${subscription.id}"))
    );
    reports("    all:\n", "    All:\n", &["lower-case letters"]);
    reports(
        "url: \"${webhook.url}\"",
        "url: a",
        &["no request holds ${webhook.url}"],
    );
    reports(
        "hook.url: \"${webhook.url}\"",
        "hook.url: \"${webhook.uri}\"",
        &["show.expect", "no value for ${webhook.uri}"],
    );
    reports("every: 5 days", "every: often", &["is not a duration"]);
    reports(
        "end: { request: { method: DELETE, path: \"/hooks/${subscription.id}\" } }",
        "end: { request: { method: DELETE, path: \"/hooks/${subscription.id}\" }, keep: { at: at } }",
        &["no effect"],
    );
    reports(
        "keep: { id: hook.id }",
        "keep: { id: hook.id, request_id: at }",
        &["must not be request_id"],
    );
    reports(
        "topics: [a, \"${input.topic}\"]",
        "topics: [{ value: a, unless: theme }, \"${input.topic}\"]",
        &["unless", "\"theme\" is not an input"],
    );
    reports(
        "        expect: { hook.url: \"${webhook.url}\" }\n",
        "      replaces: true\n",
        &["show", "must have expect"],
    );
    reports("id: hook.id", "id: \"\"", &["must be a path in the response"]);
    reports(
        "${input.topic}",
        "${input.topics}",
        &["no value for ${input.topics}"],
    );
}

#[test]
fn an_action_may_have_the_address_only_in_a_file_with_webhooks() {
    let action = "actions:\n  ask:\n    description: Asks\n    request: { method: POST, path: /ask, form: { callback: \"${webhook.url}\" } }\n";
    assert!(check("shop.yaml", &format!("{SHOP}{action}{WEBHOOKS}")).is_ok());
    let error = check("shop.yaml", &format!("{SHOP}{action}"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no value for ${webhook.url}"), "{error}");
}
