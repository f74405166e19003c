//! Requests as a provider receives them, and what logs and errors do not show of them.

use std::sync::Arc;

use domain::ConnectionId;
use registry::{AuthMode, ListRequest};
use serde_json::json;

use super::{
    Fixture, PASSWORD, header, headers, max_attempts, options, pairs, post, provider, status, target,
    template, templates,
};
use crate::{HeaderValue, Method, ProxyRequest, ProxyRequestBody, Request, RequestError, Target};

/// Sends the request, and returns it as the provider receives it.
async fn received(acme: &Fixture, request: Request) -> wiremock::Request {
    acme.respond("GET /x", status(200)).await;
    acme.respond("GET /v1/x", status(200)).await;
    acme.fetch(request).await.unwrap();
    acme.last_request().await
}

#[tokio::test]
async fn basic_credentials_and_a_user_agent_are_sent() {
    let request = received(&Fixture::start().await, Request::get("/x")).await;
    assert_eq!(
        header(&request, "authorization"),
        Some("Basic dXNlci0xOnMzY3IzdC1wYXNzd29yZA==")
    );
    assert!(header(&request, "user-agent").unwrap().starts_with("trunkline/"));
    assert_eq!(header(&request, "accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn the_files_headers_and_parameters_are_added_and_those_without_a_value_are_dropped() {
    let mut acme = Fixture::start().await;
    acme.provider().base_url = template(&format!("{}/v1/", acme.server.uri()));
    acme.provider().headers = templates(&[
        ("authorization", "Bearer ${password}"),
        ("x-region", "${connectionConfig.region}"),
    ]);
    acme.provider().query = templates(&[("key", "${password}"), ("zone", "${metadata.zone}")]);
    let mut request = Request::get("/x?a=1%2C2");
    request.query = pairs(&[("DateSent>", "2026-01-01"), ("b", "x y&z")]);

    let request = received(&acme, request).await;
    assert_eq!(header(&request, "authorization"), Some("Bearer s3cr3t-password"));
    assert_eq!(header(&request, "x-region"), None);
    assert_eq!(request.url.path(), "/v1/x");
    assert_eq!(
        request.url.query(),
        Some("a=1%2C2&DateSent%3E=2026-01-01&b=x+y%26z&key=s3cr3t-password")
    );
}

#[tokio::test]
async fn an_empty_header_of_the_file_removes_the_authorization_of_basic() {
    let mut acme = Fixture::start().await;
    acme.provider().headers = templates(&[("authorization", ""), ("x-key", "${password}")]);
    let request = received(&acme, Request::get("/x")).await;
    assert_eq!(header(&request, "authorization"), None);
    assert_eq!(header(&request, "x-key"), Some(PASSWORD));
}

#[tokio::test]
async fn a_callers_header_wins_unless_it_belongs_to_the_hop() {
    let mut acme = Fixture::start().await;
    acme.provider().auth = AuthMode::ApiKey;
    acme.provider().headers = templates(&[("accept", "application/json"), ("x-version", "1")]);
    let mut request = Request::get("/x");
    for (name, value) in [
        ("x-version", "2"),
        ("host", "evil.example"),
        ("connection", "close"),
        ("user-agent", "x"),
    ] {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    let request = received(&acme, request).await;
    assert_eq!(header(&request, "x-version"), Some("2"));
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(header(&request, "authorization"), None);
    assert!(header(&request, "host").unwrap().starts_with("127.0.0.1"));
    assert!(header(&request, "user-agent").unwrap().starts_with("trunkline/"));
}

#[tokio::test]
async fn a_path_cannot_leave_the_path_of_the_base_url() {
    let acme = Fixture::at("https://api.example/v1", options()).await;
    for path in ["/../admin", "/x/../../admin", "/%2e%2e/admin", "x"] {
        let error = acme.fetch(Request::get(path)).await.unwrap_err();
        assert!(matches!(error, RequestError::BadUrl { .. }), "{path}: {error:?}");
    }
}

#[test]
fn a_list_request_escapes_values_and_leaves_out_missing_ones() {
    let list = ListRequest {
        server: Some("chat".to_owned()),
        path: template("/accounts/${connectionConfig.accountId}/messages"),
        query: templates(&[("size", "100"), ("zone", "${metadata.zone}")]),
        headers: templates(&[("x-a", "1"), ("x-zone", "${metadata.zone}")]),
        size_parameter: Some("size".to_owned()),
    };
    let request = target(provider("https://api.example"))
        .list_request(&list, &pairs(&[("from", "2026-01-01")]))
        .unwrap();
    assert_eq!(request.path, "/accounts/a%2F1/messages");
    assert_eq!(request.query, pairs(&[("size", "100"), ("from", "2026-01-01")]));
    assert_eq!(request.headers.keys().collect::<Vec<_>>(), ["x-a"]);
    assert_eq!(request.server.as_deref(), Some("chat"));
    assert!(request.idempotent);
}

#[test]
fn a_record_request_has_the_key_in_its_path_segment() {
    let target = target(provider("https://api.example"));
    let record = |path: &str, key: &str| target.record_request(None, &template(path), key);
    let request = record("/messages/${record.sid}.json", "SM/1").unwrap();
    assert_eq!(request.path, "/messages/SM%2F1.json");
    for (path, key) in [
        ("/messages/${record.sid}.json", ".."),
        ("/x/${connectionConfig.region}", "1"),
    ] {
        let refused = record(path, key);
        assert!(matches!(refused, Err(RequestError::Template(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn secrets_that_a_provider_echoes_are_masked_and_its_text_is_truncated() {
    let echo = format!(
        "no {PASSWORD} dXNlci0xOnMzY3IzdC1wYXNzd29yZA==\n{}",
        "x".repeat(1000)
    );
    let body = json!({"code": format!("bad-{PASSWORD}"), "message": echo});
    let acme = Fixture::responding(status(400).set_body_json(body)).await;

    let error = acme.get().await.unwrap_err();
    let provider_error = error.provider().unwrap();
    assert_eq!(provider_error.code.as_deref(), Some("bad-[secret]"));
    let message = provider_error.message.as_deref().unwrap();
    assert!(
        message.starts_with("no [secret] [secret]== xxx") && message.chars().count() == 501,
        "{message}"
    );
    assert!(!format!("{error} {error:?}").contains(PASSWORD));
}

#[tokio::test]
async fn no_debug_and_no_network_error_shows_a_secret_or_a_body() {
    let mut acme = Fixture::at("http://127.0.0.1:1", max_attempts(1)).await;
    acme.provider().query = templates(&[("key", "${password}")]);
    let mut request = post("/x?token=geheim");
    request.body = Some("geheim".into());
    request.query = pairs(&[("q", "geheim")]);
    assert!(!format!("{:?} {request:?}", acme.target).contains(PASSWORD));
    assert!(!format!("{request:?}").contains("geheim"));

    let error = acme.fetch(request).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("geheim"), "{shown}");

    let refusal = status(400)
        .insert_header("x-key", "geheim")
        .set_body_json(json!({ "message": "no", "data": "geheim" }));
    let failed = Fixture::responding(refusal)
        .await
        .failed_action(Request::get("/x"))
        .await;
    let quoted = failed.response.as_ref().unwrap();
    assert_eq!(quoted.body["data"], "geheim");
    let shown = format!("{failed:?}");
    assert!(shown.contains("400") && !shown.contains("geheim"), "{shown}");

    let mut with_password = options();
    let base_url = "https://user:geheim@api.example".parse().unwrap();
    with_password.base_urls.insert("acme".parse().unwrap(), base_url);
    let shown = format!("{with_password:?}");
    assert!(shown.contains("acme") && !shown.contains("geheim"), "{shown}");

    let secret = status(200)
        .insert_header("x-key", "geheim")
        .set_body_string("geheim");
    let acme = Fixture::responding(secret).await;
    let proxied = ProxyRequest {
        query: Some("q=geheim".to_owned()),
        headers: headers(&[("x-key", "geheim")]),
        content_headers: headers(&[("x-digest", "geheim")]),
        body: ProxyRequestBody::Whole("geheim".into()),
        ..ProxyRequest::new(Method::GET, "/x?token=geheim")
    };
    let shown = format!("{proxied:?}");
    assert!(!shown.contains("geheim"), "{shown}");
    let response = acme.proxy(ProxyRequest::new(Method::GET, "/x")).await.unwrap();
    let shown = format!("{response:?}");
    assert!(!shown.contains("geheim"), "{shown}");
}

#[test]
fn variables_are_found_by_every_name() {
    let mut target = target(provider("https://api.example"));
    let metadata = &mut Arc::make_mut(&mut target.variables).metadata;
    metadata.insert("a".to_owned(), json!({"b": 3, "c": {}}));
    let lookup = |name| target.variables.lookup(name);
    assert_eq!(lookup("password").as_deref(), Some(PASSWORD));
    assert_eq!(lookup("credentials.username").as_deref(), Some("user-1"));
    assert_eq!(lookup("connectionConfig.accountId").as_deref(), Some("a/1"));
    assert_eq!(lookup("metadata.a.b").as_deref(), Some("3"));
    for nothing in [
        "metadata.a.c",
        "metadata.x",
        "metadata",
        "apiKey",
        "record.id",
        "",
    ] {
        assert_eq!(lookup(nothing), None, "{nothing}");
    }
    assert_eq!(target.connection, Some(ConnectionId::from_raw(1)));
}

/// A target whose user name is an account's number, as its file says, and whose configuration has a secret field.
fn target_with_account() -> Target {
    let mut provider = provider("https://api.example");
    let field = |secret| {
        let mut field = registry::Field::default();
        field.secret = secret;
        field
    };
    provider.credentials = [("username", false), ("password", true)]
        .map(|(name, secret)| (name.to_owned(), field(secret)))
        .into();
    provider.connection_config = [("token".to_owned(), field(true))].into();
    let mut target = target(provider);
    set_password(&mut target, "pä/ss\"+w rd~1");
    let variables = Arc::make_mut(&mut target.variables);
    variables.secret_config = [("token".to_owned(), "tok&en=secret".into())].into();
    target
}

fn set_password(target: &mut Target, password: &str) {
    let credentials = &mut Arc::make_mut(&mut target.variables).credentials;
    credentials.insert("password".to_owned(), password.into());
}

#[test]
fn only_declared_secrets_are_masked_in_every_form() {
    let target = target_with_account();
    let public = "the account user-1 of a/1 was not found";
    assert_eq!(target.without_secrets(public), public);

    for quoted in [
        "pä/ss\"+w rd~1",
        "p%C3%A4%2Fss%22%2Bw%20rd~1",
        "p%C3%A4%2Fss%22%2Bw+rd%7E1",
        "p%c3%a4%2fss%22%2bw%20rd%7e1",
        "pä/ss\\\"+w rd~1",
        "pä\\/ss\\\"+w rd~1",
        "dXNlci0xOnDDpC9zcyIrdyByZH4x",
        "cMOkL3NzIit3IHJkfjE",
        "tok&en=secret",
        "tok%26en%3Dsecret",
    ] {
        let shown = target.without_secrets(&format!("no <{quoted}>"));
        assert_eq!(shown, "no <[secret]>", "{quoted}");
    }
}

#[test]
fn a_user_name_without_a_password_is_the_key() {
    let mut target = target_with_account();
    set_password(&mut target, "");
    assert_eq!(target.without_secrets("bad key user-1"), "bad key [secret]");
}

#[test]
fn text_of_a_caller_cannot_use_secret_fields() {
    let variables = &target_with_account().variables;
    let public = |name| variables.lookup_public_config(name);
    let token = variables.lookup("connectionConfig.token");
    assert_eq!(token.as_deref(), Some("tok&en=secret"));
    assert_eq!(public("connectionConfig.token"), None);
    assert_eq!(public("password"), None);
    assert_eq!(public("connectionConfig.accountId").as_deref(), Some("a/1"));
    assert!(!format!("{variables:?}").contains("tok&en"));
}
