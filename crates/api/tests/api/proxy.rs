//! The proxy against the simulator: where requests go, what is refused, and what responses say about credentials.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, TestApp, on_both_databases, wait_until};

fn one_place() -> AppBuilder {
    AppBuilder::default().twilio_file(|text| {
        assert!(text.contains("limits:"), "the file has limits");
        let from = text.find("limits:").unwrap();
        let (before, after) = text.split_at(from);
        let rest = after.split_once("\n\n").unwrap().1;
        format!("{before}limits: {{ concurrency: 9, provider: {{ concurrency: 1 }} }}\n\n{rest}")
    })
}

fn one_attempt() -> AppBuilder {
    AppBuilder::default().upstream(|options| options.max_attempts = 1)
}

fn messages(app: &TestApp) -> String {
    format!(
        "/proxy/2010-04-01/Accounts/{}/Messages.json",
        app.simulator().credentials().account_sid
    )
}

fn call(app: &TestApp, method: Method, path: &str) -> RequestBuilder {
    app.admin()
        .request(method, path)
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio")
}

async fn get(app: &TestApp, path: &str) -> testkit::Reply {
    app.admin().send(call(app, Method::GET, path)).await
}

#[on_both_databases]
async fn a_proxied_request_has_the_credentials_of_the_connection(app: TestApp) {
    app.connect_twilio().await;

    let reply = get(&app, &format!("{}?PageSize=2", messages(&app)))
        .await
        .expect(200);

    assert_eq!(reply.json()["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(reply.headers["trunkline-upstream-status"], "200");
    let direct = reply.headers["content-type"].to_str().unwrap().to_owned();
    assert!(direct.starts_with("application/json"), "{direct}");
}

#[on_both_databases]
async fn repeated_form_keys_arrive_as_they_were_sent(app: TestApp) {
    app.connect_twilio().await;
    let own = get(&app, &format!("{}?PageSize=50", messages(&app))).await.json();
    let sent = |message: &&Json| {
        message["direction"]
            .as_str()
            .is_some_and(|way| way.starts_with("outbound"))
    };
    let own = own["messages"].as_array().unwrap().iter().find(sent).unwrap()["from"].clone();
    let own: String = url_encoded(own.as_str().unwrap());
    let body = format!(
        "To=%2B15551234567&From={own}&Body=a+b&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fa.example%2F2"
    );
    let request = call(&app, Method::POST, &messages(&app))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);

    let reply = app.admin().send(request).await.expect(201);

    assert_eq!(reply.json()["num_media"], "2");
    assert_eq!(reply.json()["body"], "a b");
}

fn url_encoded(text: &str) -> String {
    text.replace('+', "%2B")
}

#[on_both_databases]
async fn a_query_arrives_as_it_was_written(app: TestApp) {
    app.connect_twilio().await;
    app.simulator().reset_requests();

    get(
        &app,
        &format!(
            "{}?PageSize=1&DateSent%3E=2026-10-01&DateSent%3C=2026-11-01",
            messages(&app)
        ),
    )
    .await
    .expect(200);

    assert_eq!(app.simulator().requests().total, 1);
}

#[on_both_databases]
async fn missing_and_invalid_headers_are_all_reported_at_once(app: TestApp) {
    let none = app.admin().get("/proxy/x").await.expect(400);
    assert_eq!(none.code(), "invalid_headers");
    assert_eq!(none.fields(), ["provider-config-key", "connection-id"]);
    app.connect_twilio().await;
    for (name, value) in [
        ("Retries", "11"),
        ("Retry-On", "4xx"),
        ("Trunkline-Deadline", "soon"),
    ] {
        let request = call(&app, Method::GET, "/proxy/x").header(name, value);
        let reply = app.admin().send(request).await.expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_headers", vec![name.to_ascii_lowercase()])
        );
    }
    // Nango's SDK sends this for options that are not set.
    let request = call(&app, Method::GET, &messages(&app))
        .header("Base-Url-Override", "")
        .header("Nango-Activity-Log-Id", "")
        .header("Nango-Is-Sync", "false")
        .header("Nango-Is-Dry-Run", "false");
    app.admin().send(request).await.expect(200);
}

#[on_both_databases]
async fn an_unknown_integration_or_connection_is_a_404(app: TestApp) {
    let request = |integration: &str| {
        app.admin()
            .request(Method::GET, "/proxy/x")
            .header("Provider-Config-Key", integration)
            .header("Connection-Id", "nobody")
    };
    let reply = app.admin().send(request("nothing")).await.expect(404);
    assert_eq!(reply.code(), "unknown_provider_config");
    let reply = app.admin().send(request("twilio")).await.expect(404);
    assert_eq!(reply.code(), "unknown_connection");
    assert!(!reply.headers.contains_key("trunkline-upstream-status"));
}

#[on_both_databases]
async fn a_deleted_connection_can_no_longer_be_used(app: TestApp) {
    app.connect_twilio().await;
    get(&app, &messages(&app)).await.expect(200);
    app.admin()
        .delete("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);

    assert_eq!(
        get(&app, &messages(&app)).await.expect(404).code(),
        "unknown_connection"
    );
}

#[on_both_databases]
async fn a_base_url_override_must_be_an_address_of_the_provider(app: TestApp) {
    app.connect_twilio().await;
    let with = |base: &str| call(&app, Method::GET, &messages(&app)).header("Base-Url-Override", base);

    app.admin().send(with("https://api.twilio.com")).await.expect(200);
    for foreign in [
        "https://evil.example",
        "http://0.0.0.0:3003",
        "https://api.twilio.com.evil.example",
    ] {
        let reply = app.admin().send(with(foreign)).await.expect(400);
        assert_eq!(reply.code(), "base_url_override_not_allowed");
        assert!(
            reply.message().contains("providers.twilio.allowed_origins"),
            "{}",
            reply.message()
        );
    }
    let whole = messages(&app).replace("/proxy/", "/proxy/https://api.twilio.com/");
    get(&app, &whole).await.expect(200);
    let foreign = get(&app, "/proxy/https://evil.example/x").await.expect(400);
    assert_eq!(foreign.code(), "invalid_uri_params");
}

#[on_both_databases]
async fn errors_of_the_provider_are_returned_unchanged(app: TestApp) {
    app.connect_twilio().await;

    let reply = get(&app, "/proxy/2010-04-01/Accounts/AC0/Nothing.json").await;

    assert!((400..500).contains(&reply.status), "{}", reply.status);
    assert_eq!(
        reply.headers["trunkline-upstream-status"],
        reply.status.to_string().as_str()
    );
    assert!(reply.json()["code"].is_number(), "{}", reply.text);
}

async fn noted(app: &TestApp) -> bool {
    let shown = app
        .admin()
        .get("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200)
        .json();
    shown["errors"]
        .as_array()
        .is_some_and(|errors| !errors.is_empty())
}

#[on_both_databases(one_attempt())]
async fn a_refusal_is_stored_and_the_next_success_clears_it(app: TestApp) {
    app.connect_twilio().await;
    let key = app.simulator().credentials().main_key_sid;
    app.simulator().revoke(&key);

    get(&app, &messages(&app)).await.expect(401);
    wait_until("the refusal is noted", async || noted(&app).await).await;

    app.simulator().restore(&key);
    wait_until("the success is noted", async || {
        get(&app, &messages(&app)).await.expect(200);
        !noted(&app).await
    })
    .await;
}

#[on_both_databases(one_place())]
async fn permits_are_shared_and_a_request_waits_for_one_only_so_long(app: TestApp) {
    app.connect_twilio().await;
    app.connect_as(app.admin(), "other").await;
    let mut faults = app.simulator().faults();
    faults.latency_ms = 2_000;
    app.simulator().set_faults(faults);
    let (path, client) = (messages(&app), app.admin().clone());
    let slow = client
        .request(Method::GET, &path)
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "other");
    let held = tokio::spawn(async move { client.send(slow).await });
    // If it comes first, it gets the permit itself, and the next one waits for the other request.
    let mut reply = None;
    wait_until("the other call is under way", async || {
        let impatient = call(&app, Method::GET, &path).header("Trunkline-Wait", "0");
        let came = app.admin().send(impatient).await;
        let refused = came.status == 429;
        reply = Some(came);
        refused
    })
    .await;

    let reply = reply.unwrap();
    assert_eq!(reply.code(), "rate_limited");
    assert!(reply.headers.contains_key("retry-after"));
    // The waiting request gets the permit.
    get(&app, &path).await.expect(200);
    held.await.unwrap().expect(200);
}

#[on_both_databases]
async fn a_key_without_the_scope_is_refused(app: TestApp) {
    app.connect_twilio().await;
    let client = app.client_with(&[gateway::Scope::RecordsRead]).await;
    let reply = client.get("/proxy/x").await.expect(403);
    assert_eq!(reply.code(), "forbidden");
}

#[on_both_databases]
async fn logs_and_responses_hold_no_secret(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    get(&app, &messages(&app)).await.expect(200);
    get(&app, &format!("/proxy/x?key={}", known.auth_token)).await;
    let request =
        call(&app, Method::GET, "/proxy/y").header("Base-Url-Override", "https://${password}.example");
    app.admin().send(request).await.expect(400);
    let request = call(&app, Method::POST, "/proxy/y").body(json!({ "a": known.auth_token }).to_string());
    app.admin().send(request).await;

    let (responses, logs) = (app.responses(), app.logs());
    assert!(logs.contains("sent a request to a provider") || logs.contains("answered"));
    for secret in [&known.main_key_secret, &known.auth_token] {
        assert!(!responses.contains(secret.as_str()), "a response holds a secret");
        assert!(!logs.contains(secret.as_str()), "the log holds a secret");
    }
}
