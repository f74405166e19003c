//! Checks before any route: request heads, lengths and encodings. Every refusal has the usual shape.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{TestApp, on_both_databases};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn app() -> TestApp {
    TestApp::on(Dialect::Sqlite).await.unwrap()
}

/// Writes bytes into one connection and returns all responses until the server closes it.
async fn raw(app: &TestApp, bytes: &[u8]) -> String {
    let request = app.anonymous().request(Method::GET, "/").build().unwrap();
    let port = request.url().port().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The server may stop reading early.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Fails unless the last response is an error with that status and code in the usual shape.
fn assert_error(responses: &str, status: u16, code: &str, what: &str) {
    let what: String = what.chars().take(80).collect();
    let last = responses.rsplit("HTTP/1.1 4").next().unwrap();
    let (head, body) = last
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{what}: {responses}"));
    let head = head.to_ascii_lowercase();
    assert!(
        format!("4{head}").starts_with(&status.to_string()),
        "{what}: {head}"
    );
    assert!(head.contains("content-type: application/json"), "{what}: {head}");
    assert!(head.contains("x-request-id: "), "{what}: {head}");
    let body: Json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
    assert_eq!(body["error"]["code"], code, "{what}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_request_body_times_out_after_half_a_minute() {
    let app = app().await;
    let name = app.connect_twilio().await;
    let key = app.admin().key().unwrap().to_owned();
    let stopped = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nprovider-config-key: twilio\r\nconnection-id: {name}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"s"
        )
    };
    let (own, proxied) = (
        stopped("/sync/trigger"),
        stopped("/proxy/2010-04-01/Accounts.json"),
    );
    let both = async { tokio::join!(raw(&app, own.as_bytes()), raw(&app, proxied.as_bytes())) };
    let (own, proxied) = tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
    assert_error(&own, 408, "request_timeout", "a route of its own");
    assert_error(&proxied, 408, "request_timeout", "a proxied request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_refused_with_the_usual_error() {
    let app = app().await;
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(120_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(66_000));
    for (bytes, status, code) in [
        ("GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        ("hello\r\n\r\n", 400, "invalid_request"),
        (
            "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
            400,
            "invalid_request",
        ),
        ("G T / HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        (
            "POST /connections HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n",
            400,
            "invalid_request",
        ),
        (
            "POST /connections HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            400,
            "invalid_request",
        ),
        (large.as_str(), 431, "headers_too_large"),
        (many.as_str(), 431, "headers_too_large"),
        (long.as_str(), 414, "uri_too_long"),
    ] {
        let responses = raw(&app, bytes.as_bytes()).await;
        assert_error(&responses, status, code, bytes);
        // Also after a valid request.
        let behind = format!("GET /health HTTP/1.1\r\nhost: x\r\n\r\n{bytes}");
        let responses = raw(&app, behind.as_bytes()).await;
        assert!(responses.starts_with("HTTP/1.1 200"), "{responses}");
        assert_error(&responses, status, code, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_a_broken_chunk_is_refused_with_the_usual_error() {
    let app = app().await;
    let key = app.admin().key().unwrap();
    for path in [
        "/connections",
        "/twilio/connect",
        "/twilio/messages",
        "/action/trigger",
        "/sync/pause",
    ] {
        for broken in [
            "zz\r\n{}\r\n0\r\n\r\n",
            "2\r\n{}zz\r\n0\r\n\r\n",
            "2\r\n{}\r\n\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "2\r\n{}\r\nfffffffffffffffff\r\n",
        ] {
            for (header, status, code) in [
                (format!("authorization: Bearer {key}\r\n"), 400, "invalid_json"),
                (String::new(), 401, "missing_auth_header"),
            ] {
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: x\r\n{header}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                );
                let responses = raw(&app, format!("{head}{broken}").as_bytes()).await;
                let what = format!("{path} {broken:?}");
                assert_error(&responses, status, code, &what);
                assert_eq!(responses.matches("HTTP/1.1 ").count(), 1, "{what}: {responses}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_that_urls_must_encode_are_understood() {
    let app = app().await;
    let key = app.admin().key().unwrap();
    for (target, status, code) in [
        ("/twilio/messages?connectionId=\"<é>`", 404, "unknown_connection"),
        ("/connections/é\"<>?provider_config_key=twilio", 404, "not_found"),
        ("/nothing/é\"/<x>", 404, "not_found"),
        ("/connections?\"é=<", 400, "invalid_query_params"),
        ("/proxy/x?q=\"<é", 400, "invalid_headers"),
        ("/integrations/%zz", 404, "not_found"),
        ("/integrations/%", 404, "not_found"),
        ("/integrations/%ff%fe", 404, "not_found"),
        ("/connections?search=%zz&search=%", 400, "invalid_query_params"),
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        let responses = raw(&app, request.as_bytes()).await;
        let shown = responses.split("\r\n").next().unwrap().to_owned();
        if target.contains('%') && !shown.contains(&status.to_string()) {
            // The router refuses a segment that is not text; we give the error its shape.
            assert_error(&responses, 400, "invalid_uri_params", target);
        } else {
            assert_error(&responses, status, code, target);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_refused_on_every_route() {
    let app = app().await;
    for path in [
        "/",
        "/health",
        "/connections",
        "/twilio/messages",
        "/twilio/connect",
        "/openapi.json",
        "/action/trigger",
    ] {
        let request = format!("BREW {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert_error(
            &raw(&app, request.as_bytes()).await,
            405,
            "method_not_allowed",
            path,
        );
    }
}

/// Invalid bodies, for every route that takes one.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_an_unreadable_body_in_the_same_way() {
    let app = app().await;
    app.connect_twilio().await;
    let key = app.admin().key().unwrap().to_owned();
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let first = path.split('/').nth(1).unwrap_or_default();
        let of_another = first != "twilio" && app.gateway().registry.get(first).is_some();
        // Front-end routes check the token first, and the proxy leaves bodies to the provider.
        if of_another || path.starts_with("/proxy") || path.starts_with("/api-auth") {
            continue;
        }
        for (verb, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"];
            // These routes accept any body, so it need not be JSON. `engine/incoming.rs` tests them.
            if body.is_null() || body["content"]["*/*"].is_object() {
                continue;
            }
            let mut path = path
                .replace("{integration}", "twilio")
                .replace("{messageSid}", "SM00000000000000000000000000000000")
                .replace("{callSid}", "CA00000000000000000000000000000000");
            let mut query = String::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if parameter["in"] == "path" {
                    let example = parameter["example"].as_str().unwrap_or("one");
                    path = path.replace(&format!("{{{name}}}"), example);
                } else if parameter["in"] == "query" && parameter["required"] == true {
                    query.push_str(name);
                    query.push_str("=twilio&");
                }
            }
            let query = query.trim_end_matches('&');
            let head = format!(
                "{} {path}?{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\nprovider-config-key: twilio\r\nconnection-id: my-twilio\r\n",
                verb.to_ascii_uppercase()
            );
            let sized = |kind: &str, body: &str| {
                format!(
                    "{head}content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            };
            let what = format!("{verb} {path}");
            let large = format!("{{\"x\":\"{}\"}}", "y".repeat(70_000));
            for (bytes, status, code) in [
                (sized("application/json", &large), 413, "body_too_large"),
                (sized("application/json", "{\"a\":"), 400, "invalid_json"),
                (sized("text/plain", "{}"), 415, "invalid_content_type"),
                (sized("application/jsonx", "{}"), 415, "invalid_content_type"),
            ] {
                let responses = raw(&app, bytes.as_bytes()).await;
                assert_error(&responses, status, code, &format!("{what}: {code}"));
            }
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_in_errors_are_bounded() {
    let app = app().await;
    app.connect_twilio().await;
    let long = "x".repeat(25_000);
    let mut fields = serde_json::Map::new();
    fields.insert(long.clone(), json!(1));
    for body in [
        Json::Object(fields),
        json!({ "connectionId": long }),
        json!({ "accountSid": long, "code": long }),
    ] {
        let refused = app.admin().post("/twilio/connect", &body).await.expect(400);
        assert!(refused.text.len() < 6_000, "{}", refused.text.len());
    }
    let many: serde_json::Map<String, Json> = (0..3_000).map(|n| (format!("field-{n}"), json!(1))).collect();
    let refused = app
        .admin()
        .post("/twilio/connect", &Json::Object(many))
        .await
        .expect(400);
    assert_eq!(refused.fields().len(), 100);
}

#[on_both_databases]
async fn new_integrations_cannot_have_names_of_routes_and_old_ones_stay(app: TestApp) {
    for name in registry::RESERVED.iter().copied().chain(["Connections", "ADMIN"]) {
        let body = json!({ "provider": "twilio", "unique_key": name });
        let refused = app.admin().post("/integrations", &body).await.expect(400);
        assert_eq!(refused.fields(), ["unique_key"], "{name}");
    }
    let now = app.clock().now();
    let made = app.store().write(move |c| {
        let environment = store::environments::by_name(c, &"dev".parse().unwrap())?.id;
        let (key, provider) = ("events".parse().unwrap(), "twilio".parse().unwrap());
        store::integrations::ensure(c, environment, &key, &provider, now)
    });
    assert!(made.await.unwrap());
    app.admin().get("/integrations/events").await.expect(200);
    let known = app.simulator().credentials();
    let body = json!({
        "provider_config_key": "events", "connection_id": "one", "connection_config": { "accountSid": known.account_sid },
        "credentials": { "type": "BASIC", "username": known.account_sid, "password": known.auth_token },
    });
    app.admin().post("/connections", &body).await.expect(201);
    let renamed = json!({ "unique_key": "logs" });
    app.admin()
        .patch("/integrations/events", &renamed)
        .await
        .expect(400);
    app.admin().delete("/integrations/events").await.expect(200);
}

#[on_both_databases]
async fn a_connect_page_asks_for_the_account_sid_once_and_shows_the_label_of_a_key(app: TestApp) {
    let shown = app.admin().get("/providers/twilio").await.expect(200).json();
    assert_eq!(shown["data"]["connection_config"]["accountSid"]["optional"], true);
    let known = app.simulator().credentials();
    let session = json!({ "end_user": { "id": "u" }, "allowed_integrations": ["twilio"] });
    let made = app
        .admin()
        .post("/connect/sessions", &session)
        .await
        .expect(201)
        .json();
    let token = made["data"]["token"].as_str().unwrap();
    let path = format!("/api-auth/basic/twilio?connect_session_token={token}");
    let body = json!({ "username": known.account_sid, "password": known.auth_token });
    app.anonymous().post(&path, &body).await.expect(200);
    let key = json!({ "username": known.main_key_sid, "password": known.main_key_secret });
    let refused = app.anonymous().post(&path, &key).await.expect(400);
    assert_eq!(refused.code(), "connection_validation_failed");
    assert!(refused.message().contains("accountSid"), "{}", refused.text);

    let listed = app.admin().get("/integrations").await.expect(200).json();
    let twilio = &listed["data"][0];
    assert_eq!(
        (
            &twilio["preconfigured_credentials"],
            &twilio["preconfigured_connection_config"],
            twilio.get("credentials_label")
        ),
        (&json!([]), &json!([]), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_connect_page_may_send_beacons_with_credentials() {
    let app = app().await;
    let origin = "http://localhost:3009";
    let ask = |path: &str| {
        app.anonymous()
            .request(Method::OPTIONS, path)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
    };
    let allowed = app.anonymous().send(ask("/connect/telemetry")).await.expect(204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("content-type")
    );
    let beacon = app
        .anonymous()
        .request(Method::POST, "/connect/telemetry")
        .header("Origin", origin)
        .header("Content-Type", "application/json")
        .body("{}");
    let taken = app.anonymous().send(beacon).await.expect(204);
    assert_eq!(taken.header("access-control-allow-origin"), Some(origin));
    assert_eq!(taken.header("access-control-allow-credentials"), Some("true"));
    let other = app.anonymous().send(ask("/connect/sessions")).await.expect(200);
    assert_eq!(other.header("access-control-allow-origin"), Some("*"));
    assert_eq!(other.header("access-control-allow-credentials"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_by_middleware_have_the_usual_shape() {
    let app = app().await;
    for path in ["/connections", "/twilio/messages", "/action/trigger"] {
        let request = format!(
            "OPTIONS {path} HTTP/1.1\r\nhost: x\r\norigin: https://a.example\r\naccess-control-request-method: b@d m\r\n\
             connection: close\r\n\r\n"
        );
        let responses = raw(&app, request.as_bytes()).await;
        if !responses.starts_with("HTTP/1.1 2") {
            assert_error(&responses, 400, "invalid_request", path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_not_read_as_the_fields_of_a_body() {
    let app = app().await;
    for (path, body) in [
        ("/environment/webhooks", json!([null, null])),
        ("/environment/webhooks", json!([])),
    ] {
        let refused = app.admin().put(path, &body).await.expect(400);
        assert_eq!(refused.code(), "invalid_body", "{body}");
        assert!(refused.text.contains("must be an object"), "{}", refused.text);
    }
    let shown = app.admin().get("/environment/webhooks").await.expect(200).json();
    assert_eq!(shown["data"]["primary_url"], Json::Null);
}
