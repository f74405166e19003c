//! The webhooks configuration API: keys, Settings, Rules that take effect later, and the webhooks that they change.

use chrono::Duration;
use serde_json::{Value, json};
use twilio_sim::{CustomWebhook, Simulator};

use crate::client::{Answer, exchange, exchange_as};
use crate::receiver::{ORIGIN, Reply, settled, with_receiver};

/// Sends a request with an API key. A mutation gets the idempotency key of its number.
fn call(simulator: &Simulator, method: &str, path: &str, body: &Value, number: u32) -> Answer {
    let known = simulator.credentials();
    let headers = format!(
        "Content-Type: application/json\r\nIdempotency-Key: 01955fd7-4c70-7000-8000-{number:012}\r\n"
    );
    exchange(
        &simulator.url(),
        method,
        &format!("/v1/Webhooks/{path}"),
        Some((&known.standard_key_sid, &known.standard_key_secret)),
        &headers,
        &body.to_string(),
    )
}

fn read(simulator: &Simulator, path: &str) -> Value {
    let response = call(simulator, "GET", path, &Value::Null, 0);
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

/// Creates a shared key and a Setting that signs with it. Returns the Setting's id, the key's id and its secret.
fn signing_setting(simulator: &Simulator, number: u32, connection: &Value) -> (String, String, String) {
    let key = call(
        simulator,
        "POST",
        "SharedKeys",
        &json!({"friendlyName": "k"}),
        number,
    );
    assert_eq!(key.status, 201, "{}", key.text());
    let key = key.json();
    let setting = json!({
        "friendlyName": "s",
        "auth": {"source": "NONE"},
        "signature": {"type": "SHARED_KEY", "sharedKeyId": id(&key), "algorithm": "HMAC_SHA256"},
        "connection": connection,
    });
    let created = call(simulator, "POST", "Settings", &setting, number + 1);
    assert_eq!(created.status, 201, "{}", created.text());
    (
        id(&created.json()),
        id(&key),
        key["secret"].as_str().unwrap().to_owned(),
    )
}

fn prefix_rule(setting: &str) -> Value {
    json!({
        "matchType": "PREFIX_MATCH",
        "prefix": format!("{ORIGIN}/mine/"),
        "settings": [{"settingId": setting, "percentage": 100}],
    })
}

fn send(simulator: &Simulator, path: &str) {
    simulator.send_webhook(CustomWebhook {
        url: format!("{ORIGIN}{path}"),
        parameters: vec![("a".to_owned(), "b".to_owned())],
        ..CustomWebhook::default()
    });
    settled(simulator);
}

#[test]
fn a_rule_in_effect_signs_the_webhooks_for_its_urls_with_the_shared_key() {
    let (simulator, receiver) = with_receiver();
    let (setting, key, secret) = signing_setting(&simulator, 1, &Value::Null);
    assert!(key.starts_with("webhooks_sharedkey_") && key.len() == 19 + 26);
    assert!(
        read(&simulator, &format!("SharedKeys/{key}"))
            .get("secret")
            .is_none()
    );
    let created = call(&simulator, "POST", "Rules", &prefix_rule(&setting), 3);
    assert_eq!(created.status, 202, "{}", created.text());
    let operation = created.json()["operation"].clone();
    assert_eq!(
        (&operation["status"], &operation["resourceId"]),
        (&"PENDING".into(), &created.json()["rule"]["id"])
    );
    assert_eq!(created.headers["operation-id"], id(&operation));
    assert_eq!(
        created.headers["location"],
        operation["statusUrl"].as_str().unwrap()
    );
    assert!(created.headers.contains_key("retry-after"));

    send(&simulator, "/mine/x");
    simulator.advance(Duration::seconds(10));
    let status =
        |simulator: &Simulator| read(simulator, &format!("Operations/{}", id(&operation)))["status"].clone();
    assert_eq!(status(&simulator), "RUNNING");
    simulator.advance(Duration::seconds(50));
    assert_eq!(status(&simulator), "COMPLETED");
    send(&simulator, "/mine/x");
    send(&simulator, "/other");
    let requests = receiver.received();
    let settings_of = |index: usize| requests[index].header("x-twilio-webhooks-signature-settings");
    assert_eq!(
        [settings_of(0), settings_of(1), settings_of(2)],
        ["", &format!("key={key},algorithm=HMAC_SHA256"), ""]
    );
    assert!(requests[0].is_signed(&simulator) && requests[2].is_signed(&simulator));
    assert!(!requests[1].is_signed(&simulator));
    // A SHA-256 in base64.
    assert_eq!(requests[1].header("x-twilio-signature").len(), 44);
    assert!(!secret.is_empty() && secret != simulator.credentials().auth_token);
}

#[test]
fn a_settings_connection_and_credentials_apply_to_its_webhooks() {
    let (simulator, receiver) = with_receiver();
    let connection = json!({
        "connectTimeoutMs": 500,
        "readTimeoutMs": 500,
        "retryPolicy": {"retryCount": 2, "retryOn": ["HTTP_5XX"]},
    });
    let (setting, ..) = signing_setting(&simulator, 1, &connection);
    assert_eq!(
        read(&simulator, &format!("Settings/{setting}"))["connection"],
        connection
    );
    call(&simulator, "POST", "Rules", &prefix_rule(&setting), 3);
    simulator.advance(Duration::seconds(60));
    receiver.reply_with([500, 500].map(Reply::status));
    // The Setting overrides the URL's fragment.
    send(&simulator, "/mine/x#rc=0");
    assert_eq!(settled(&simulator)[0].attempts.len(), 3);

    let basic = json!({
        "auth": {"source": "INLINE", "value": {"scheme": "BASIC", "username": "u", "password": "p"}},
        "signature": {"type": "NONE"},
    });
    let created = call(&simulator, "POST", "Settings", &basic, 4);
    assert_eq!(
        created.json()["auth"]["value"],
        json!({"scheme": "BASIC", "username": "u"})
    );
    let rule = json!({
        "matchType": "EXACT_MATCH",
        "value": format!("{ORIGIN}/mine/y"),
        "settings": [{"settingId": id(&created.json()), "percentage": 100}],
    });
    assert_eq!(call(&simulator, "POST", "Rules", &rule, 5).status, 202);
    simulator.advance(Duration::seconds(60));
    send(&simulator, "/mine/y");
    let request = receiver.received().pop().unwrap();
    assert_eq!(
        (
            request.header("authorization"),
            request.header("x-twilio-signature")
        ),
        ("Basic dTpw", "")
    );
}

#[test]
fn keys_rotate_without_a_gap_and_resources_in_use_stay() {
    let (simulator, receiver) = with_receiver();
    let (old, old_key, _) = signing_setting(&simulator, 1, &Value::Null);
    let (new, new_key, _) = signing_setting(&simulator, 3, &Value::Null);
    let rule = id(&call(&simulator, "POST", "Rules", &prefix_rule(&old), 5).json()["rule"]);
    simulator.advance(Duration::seconds(60));
    let both = json!({"settings": [
        {"settingId": old, "percentage": 50}, {"settingId": new, "percentage": 50},
    ]});
    let path = format!("Rules/{rule}");
    let patched = call(&simulator, "PATCH", &path, &both, 6);
    assert_eq!(patched.status, 202, "{}", patched.text());
    assert_eq!(patched.json()["rule"]["settings"].as_array().unwrap().len(), 2);
    simulator.advance(Duration::seconds(60));
    for _ in 0..40 {
        send(&simulator, "/mine/x");
    }
    let with = |key: &str| {
        let header = format!("key={key},algorithm=HMAC_SHA256");
        receiver
            .received()
            .iter()
            .filter(|request| request.header("x-twilio-webhooks-signature-settings") == header)
            .count()
    };
    assert!(with(&old_key) > 5 && with(&new_key) > 5);
    assert_eq!(with(&old_key) + with(&new_key), 40);

    let refused = |path: &str| call(&simulator, "DELETE", path, &Value::Null, 99).refusal();
    assert_eq!(refused(&format!("Settings/{old}")), (409, 59100));
    assert_eq!(refused(&format!("SharedKeys/{old_key}")), (409, 59100));
    let deleted = call(&simulator, "DELETE", &path, &Value::Null, 7);
    assert_eq!(deleted.status, 202);
    assert!(deleted.json().get("rule").is_none());
    assert_eq!(
        call(&simulator, "GET", &path, &Value::Null, 0).refusal(),
        (404, 20404)
    );
    for path in [
        format!("Settings/{old}"),
        format!("Settings/{new}"),
        format!("SharedKeys/{old_key}"),
    ] {
        assert_eq!(call(&simulator, "DELETE", &path, &Value::Null, 0).status, 204);
    }
    assert_eq!(
        read(&simulator, "SharedKeys")["sharedKeys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let operations = read(&simulator, &format!("Operations?resourceId={rule}"));
    assert_eq!(operations["operations"].as_array().unwrap().len(), 3);
}

#[test]
fn a_mutation_needs_a_uuid_of_version_7_and_is_made_once() {
    let (simulator, _receiver) = with_receiver();
    let known = simulator.credentials();
    let post = |headers: &str| {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        exchange(
            &simulator.url(),
            "POST",
            "/v1/Webhooks/SharedKeys",
            Some((&known.main_key_sid, &known.main_key_secret)),
            &headers,
            "{}",
        )
    };
    let missing = post("");
    assert_eq!(missing.status, 400);
    assert_eq!(missing.headers["content-type"], "application/problem+json");
    assert_eq!(missing.json()["status"], 400);
    assert_eq!(
        post("Idempotency-Key: 01955fd7-4c70-4000-8000-000000000001\r\n").status,
        400
    );
    assert_eq!(post("Idempotency-Key: one\r\n").status, 400);
    let key = "Idempotency-Key: 01955fd7-4c70-7000-8000-000000000001\r\n";
    let (first, second) = (post(key), post(key));
    assert_eq!((first.status, first.json()), (second.status, second.json()));
    assert_eq!(
        read(&simulator, "SharedKeys")["sharedKeys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let other = call(&simulator, "POST", "SharedKeys", &json!({"friendlyName": "x"}), 1);
    assert_eq!(other.status, 422);
}

#[test]
fn the_api_is_for_keys_and_pages_by_tokens() {
    let (simulator, _receiver) = with_receiver();
    let known = simulator.credentials();
    let at = |user: &str, secret: &str| {
        exchange_as(
            &simulator.url(),
            "webhooks.twilio.com",
            "GET",
            "/v1/Webhooks/Rules",
            Some((user, secret)),
            "",
            "",
        )
        .refusal()
    };
    assert_eq!(at(&known.account_sid, &known.auth_token), (401, 20003));
    assert_eq!(
        at(&known.restricted_key_sid, &known.restricted_key_secret),
        (403, 70051)
    );
    assert_eq!(at(&known.main_key_sid, &known.main_key_secret).0, 200);
    for number in 1..=5 {
        call(&simulator, "POST", "SharedKeys", &json!({}), number);
    }
    let page = read(&simulator, "SharedKeys?pageSize=2");
    assert_eq!(
        (&page["meta"]["key"], &page["meta"]["previousToken"]),
        (&"sharedKeys".into(), &Value::Null)
    );
    let next = page["meta"]["nextToken"].as_str().unwrap();
    let page = read(&simulator, &format!("SharedKeys?pageSize=4&pageToken={next}"));
    assert_eq!(page["sharedKeys"].as_array().unwrap().len(), 3);
    assert_eq!(page["meta"]["nextToken"], Value::Null);
    for query in ["pageSize=0", "pageSize=101", "pageToken=x"] {
        let path = format!("SharedKeys?{query}");
        assert_eq!(call(&simulator, "GET", &path, &Value::Null, 0).status, 400);
    }
    for number in 6..=50 {
        call(&simulator, "POST", "SharedKeys", &json!({}), number);
    }
    assert_eq!(
        call(&simulator, "POST", "SharedKeys", &json!({}), 51).refusal(),
        (409, 59200)
    );
}

#[test]
fn invalid_settings_and_rules_are_refused() {
    let (simulator, _receiver) = with_receiver();
    let (setting, key, _) = signing_setting(&simulator, 1, &Value::Null);
    let signature = json!({"type": "SHARED_KEY", "sharedKeyId": key, "algorithm": "HMAC_SHA256"});
    let none = json!({"source": "NONE"});
    let mut number = 100;
    let mut refused = |path: &str, body: Value, status: u16| {
        number += 1;
        let response = call(&simulator, "POST", path, &body, number);
        assert_eq!(response.status, status, "{body}: {}", response.text());
    };
    refused("Settings", json!({"signature": signature}), 400);
    refused("Settings", json!({"auth": {"source": "ELSEWHERE"}}), 400);
    refused(
        "Settings",
        json!({"auth": {"source": "REFERENCE", "authProfileId": "x"}}),
        422,
    );
    refused(
        "Settings",
        json!({"auth": {"source": "INLINE", "value": {"scheme": "OAUTH2"}}}),
        422,
    );
    refused("Settings", json!({"auth": none, "signature": {"type": "X"}}), 400);
    refused(
        "Settings",
        json!({"auth": none, "signature": {"type": "SHARED_KEY", "sharedKeyId": key, "algorithm": "MD5"}}),
        400,
    );
    refused(
        "Settings",
        json!({"auth": none, "signature": {"type": "SHARED_KEY", "sharedKeyId": "x", "algorithm": "HMAC_SHA1"}}),
        422,
    );
    refused(
        "Settings",
        json!({"auth": none, "connection": {"connectTimeoutMs": 99, "readTimeoutMs": 100}}),
        400,
    );
    let whole = json!([{"settingId": setting, "percentage": 100}]);
    let rule = |kind: &str, name: &str, url: &str| json!({"matchType": kind, name: url, "settings": whole});
    refused(
        "Rules",
        rule("PREFIX_MATCH", "prefix", "https://a.example/x"),
        400,
    );
    refused("Rules", rule("EXACT_MATCH", "value", "https://a.example/x/"), 400);
    refused("Rules", rule("EXACT_MATCH", "value", "a.example/x"), 400);
    refused("Rules", rule("EXACT_MATCH", "prefix", "https://a.example/x"), 400);
    refused("Rules", rule("REGEX", "value", "https://a.example/x"), 400);
    refused(
        "Rules",
        json!({"matchType": "DEFAULT", "settings": [{"settingId": setting, "percentage": 99}]}),
        400,
    );
    refused(
        "Rules",
        json!({"matchType": "DEFAULT", "settings": [{"settingId": "x", "percentage": 100}]}),
        422,
    );
    assert_eq!(
        call(&simulator, "POST", "Rules", &prefix_rule(&setting), 90).status,
        202
    );
    assert_eq!(
        call(&simulator, "POST", "Rules", &prefix_rule(&setting), 91).refusal(),
        (409, 59103)
    );
    assert_eq!(
        call(
            &simulator,
            "PATCH",
            &format!("Settings/{setting}"),
            &json!({"signature": {}}),
            0
        )
        .status,
        400
    );
    assert_eq!(
        call(
            &simulator,
            "PATCH",
            &format!("Settings/{setting}"),
            &json!({"friendlyName": "n"}),
            0
        )
        .json()["friendlyName"],
        "n"
    );
}

#[test]
fn a_test_sends_one_webhook_and_reports_its_end() {
    let (simulator, receiver) = with_receiver();
    let (setting, key, _) = signing_setting(&simulator, 1, &Value::Null);
    let body = json!({"url": format!("{ORIGIN}/test"), "settingId": setting});
    let early = call(&simulator, "POST", "Test", &body, 0);
    assert_eq!(early.status, 422);
    simulator.advance(Duration::seconds(60));
    let sent = call(&simulator, "POST", "Tests", &body, 0);
    assert_eq!(sent.status, 201, "{}", sent.text());
    let result = sent.json()["result"].clone();
    assert_eq!(
        (&result["outcome"], &result["response"]["statusCode"]),
        (&"DELIVERED".into(), &204.into())
    );
    assert!(
        receiver.received()[0]
            .header("x-twilio-webhooks-signature-settings")
            .contains(&key)
    );
    receiver.reply_with([Reply::status(403)]);
    let failed = call(&simulator, "POST", "Test", &body, 0).json();
    assert_eq!(failed["result"]["outcome"], "FAILED");
    assert!(failed["result"]["error"].is_string());
    let unknown = json!({"url": format!("{ORIGIN}/test"), "settingId": "webhooks_setting_x"});
    assert_eq!(call(&simulator, "POST", "Test", &unknown, 0).status, 404);
}
