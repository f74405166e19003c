//! Odd responses of a provider to actions, proxied requests, lists and verifications, and the errors that callers get.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::{AppBuilder, Dialect, Reply, TestApp, on_both_databases};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}", content-type: application/vnd.acme+json }
  verification: { endpoints: [/me] }
  retry: { error_code: [429, 401, 403] }
errors: { in_body: { path: ok, equals: false }, code: code, message: message }
syncs:
  acme-things:
    description: Every thing
    model: Thing
    table: acme_things
    runs: every hour
    request: { path: /things }
    records: things
    paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }
    key: id
    columns: { id: text, name: text }
actions:
  create-thing:
    description: Makes a thing
    input: { name: text }
    request: { method: POST, path: /things, json: { name: "${input.name}" } }
    writes: { sync: acme-things, record: thing }
  ping:
    description: Sends something
    request: { method: POST, path: /ping }
"#;

async fn mock_response(server: &MockServer, verb: &str, at: &str, response: ResponseTemplate) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(response)
        .mount(server)
        .await;
}

/// Runs `test` with an app that is connected to a provider whose responses the test sets.
async fn with<F: Future<Output = ()>>(dialect: Dialect, test: impl FnOnce(TestApp, MockServer) -> F) {
    let server = MockServer::start().await;
    mock_response(
        &server,
        "GET",
        "/me",
        ResponseTemplate::new(200).set_body_json(json!({})),
    )
    .await;
    let builder = AppBuilder::default()
        .provider_file("acme.yaml", FILE)
        .provider_url("acme", &server.uri())
        .upstream(|options| {
            options.max_body = 8 << 20;
            options.max_attempts = 2;
            // The tests count only requests that they cause themselves.
            options.list_check = Duration::ZERO;
        });
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "a", "apiKey": "k" });
    app.admin().post("/acme/connect", &body).await.expect(201);
    test(app, server).await;
}

async fn trigger(app: &TestApp, name: &str, key: Option<&str>) -> Reply {
    let request = app
        .admin()
        .request(Method::POST, "/action/trigger")
        .header("Provider-Config-Key", "acme")
        .header("Connection-Id", "a")
        .header("Content-Type", "application/json")
        .body(json!({ "action_name": name, "input": {} }).to_string());
    let request = key
        .into_iter()
        .fold(request, |request, key| request.header("Idempotency-Key", key));
    app.admin().send(request).await
}

async fn things(app: &TestApp) -> usize {
    let page = app
        .admin()
        .get("/acme/things?connectionId=a")
        .await
        .expect(200)
        .json();
    page["things"].as_array().unwrap().len()
}

#[on_both_databases]
async fn an_action_with_an_unreadable_response_fails(dialect: Dialect) {
    with(dialect, async |app, server| {
        let rubbish =
            ResponseTemplate::new(200).set_body_raw(vec![0x1f, 0x8b, 8, 0, 0xff], "application/json");
        mock_response(
            &server,
            "POST",
            "/things",
            rubbish.insert_header("content-encoding", "GZIP"),
        )
        .await;
        mock_response(
            &server,
            "POST",
            "/ping",
            ResponseTemplate::new(200).set_body_string("<html>hello</html>"),
        )
        .await;
        for action in ["create-thing", "ping"] {
            let reply = trigger(&app, action, None).await.expect(424);
            assert_eq!(reply.code(), "action_outcome_unknown", "{}", reply.text);
            assert!(
                !reply.text.contains('\u{fffd}') && !reply.text.contains("<html>"),
                "{}",
                reply.text
            );
        }
        assert_eq!(things(&app).await, 0);
    })
    .await;
}

#[on_both_databases]
async fn an_action_that_is_redirected_elsewhere_fails_and_stores_nothing(dialect: Dialect) {
    with(dialect, async |app, server| {
        let moved = ResponseTemplate::new(301).insert_header("location", "/things/?key=hidden");
        mock_response(&server, "POST", "/things", moved).await;
        let thing = json!({ "thing": { "id": "not-the-one", "name": "x" } });
        mock_response(
            &server,
            "GET",
            "/things/",
            ResponseTemplate::new(200).set_body_json(&thing),
        )
        .await;
        let reply = trigger(&app, "create-thing", None).await.expect(424);
        assert_eq!(reply.code(), "action_outcome_unknown");
        assert!(
            reply.message().contains("301") && reply.message().contains("/things/"),
            "{}",
            reply.message()
        );
        assert!(!reply.text.contains("hidden"), "{}", reply.text);

        // 303 points to a result, which may not be the created record.
        let shown = ResponseTemplate::new(303).insert_header("location", "/things/");
        mock_response(&server, "POST", "/ping", shown).await;
        assert_eq!(trigger(&app, "ping", None).await.expect(200).json(), thing);
        assert_eq!(things(&app).await, 0);

        let request = app
            .admin()
            .request(Method::POST, "/proxy/things")
            .header("Provider-Config-Key", "acme")
            .header("Connection-Id", "a");
        // A client that follows redirects would not show the 301.
        let request = request.body("{}").build().unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let proxied = client.build().unwrap().execute(request).await.unwrap();
        assert_eq!(proxied.status(), 301);
        let location = format!("{}/things/?key=hidden", server.uri());
        assert_eq!(proxied.headers()["location"], location.as_str());
    })
    .await;
}

#[on_both_databases]
async fn a_large_response_reaches_the_waiting_caller_and_is_not_stored(dialect: Dialect) {
    with(dialect, async |app, server| {
        let large = json!({ "text": "x".repeat(2 << 20) });
        mock_response(
            &server,
            "POST",
            "/ping",
            ResponseTemplate::new(200).set_body_json(&large),
        )
        .await;
        let first = trigger(&app, "ping", Some("once")).await.expect(200);
        assert_eq!(first.json(), large);
        let again = trigger(&app, "ping", Some("once")).await.expect(424);
        assert_eq!(again.code(), "action_answer_too_large");
        assert!(again.message().contains("carried out"), "{}", again.message());
        let calls = server.received_requests().await.unwrap();
        assert_eq!(calls.iter().filter(|call| call.url.path() == "/ping").count(), 1);
    })
    .await;
}

#[on_both_databases]
async fn errors_in_a_success_response_and_large_errors_are_shortened(dialect: Dialect) {
    with(dialect, async |app, server| {
        let error = json!({ "ok": false, "code": "no_such_thing", "message": "There is none." });
        mock_response(
            &server,
            "POST",
            "/ping",
            ResponseTemplate::new(200).set_body_json(&error),
        )
        .await;
        let refused = trigger(&app, "ping", None).await.expect(424);
        assert_eq!(refused.code(), "script_http_error");
        assert!(
            refused.message().contains("no_such_thing"),
            "{}",
            refused.message()
        );
        assert_eq!(refused.json()["error"]["payload"], error);

        let huge = format!("{{\"message\":\"{}\"}}", "no ".repeat(2 << 20));
        mock_response(
            &server,
            "POST",
            "/things",
            ResponseTemplate::new(422).set_body_string(huge),
        )
        .await;
        let refused = trigger(&app, "create-thing", None).await.expect(424);
        assert!(refused.text.len() < 20_000, "{}", refused.text.len());
        assert!(
            refused.json()["error"]["payload"]
                .as_str()
                .unwrap()
                .ends_with('…')
        );
    })
    .await;
}

#[on_both_databases]
async fn a_list_that_is_too_large_fails_with_the_limit_and_advice(dialect: Dialect) {
    with(dialect, async |app, server| {
        let page = json!({ "things": ["x".repeat(9 << 20)] });
        mock_response(
            &server,
            "GET",
            "/things",
            ResponseTemplate::new(200).set_body_json(&page),
        )
        .await;
        app.run_due().await;
        let runs = app.admin().get("/sync/runs?limit=1").await.expect(200).json();
        let error = &runs["runs"][0]["error"];
        assert_eq!(error["code"], "response_too_large", "{runs}");
        let reported = error["message"].as_str().unwrap();
        assert!(
            reported.contains("8 MiB") && reported.contains("127.0.0.1"),
            "{reported}"
        );
        assert!(error["hint"].as_str().unwrap().contains("MAX_BODY_MB"), "{error}");
    })
    .await;
}

#[on_both_databases]
async fn a_refusal_with_an_endless_body_is_not_retried(dialect: Dialect) {
    with(dialect, async |app, server| {
        server.reset().await;
        let body = format!("{{\"x\":[{}0]}}", "0,".repeat(8 << 20));
        mock_response(
            &server,
            "GET",
            "/me",
            ResponseTemplate::new(401).set_body_string(body),
        )
        .await;
        let refused = app
            .admin()
            .post("/acme/connect", &json!({ "connectionId": "b", "apiKey": "k" }))
            .await
            .expect(400);
        assert_eq!(refused.code(), "connection_test_failed");
        assert!(refused.text.len() < 2_000, "{}", refused.text);
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    })
    .await;
}

#[on_both_databases]
async fn the_content_type_of_the_file_wins_over_that_of_the_request(dialect: Dialect) {
    with(dialect, async |app, server| {
        mock_response(&server, "POST", "/things", ResponseTemplate::new(200)).await;
        let post = |headers: &[(&str, &str)]| {
            let request = app
                .admin()
                .request(Method::POST, "/proxy/things")
                .header("Provider-Config-Key", "acme")
                .header("Connection-Id", "a")
                .header("Content-Type", "application/json");
            headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value))
                .body("{}")
        };
        app.admin().send(post(&[])).await.expect(200);
        let own = [
            ("Nango-Proxy-Content-Type", "text/csv"),
            ("Nango-Proxy-Accept", "text/xml"),
        ];
        app.admin().send(post(&own)).await.expect(200);
        let sent = server.received_requests().await.unwrap();
        let sent: Vec<[&str; 2]> = sent
            .iter()
            .filter(|request| request.url.path() == "/things")
            .map(|request| ["content-type", "accept"].map(|name| request.headers[name].to_str().unwrap()))
            .collect();
        assert_eq!(
            sent,
            [
                ["application/vnd.acme+json", "application/json, text/plain, */*"],
                ["text/csv", "text/xml"]
            ]
        );
    })
    .await;
}
