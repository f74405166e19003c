//! Requests as a provider receives them, and what logs and errors do not show of them.

use domain::ConnectionId;
use registry::{AuthMode, ListRequest};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use super::{
    PASSWORD, answers, fetch, options, pairs, provider, respond, target, template, templates, upstream,
};
use crate::{HeaderValue, Method, Request, RequestError, Target};

async fn sent(server: &MockServer, target: &Target, call: Request) -> wiremock::Request {
    answers(
        server,
        "GET",
        call.path.split('?').next().unwrap(),
        1,
        ResponseTemplate::new(200),
    )
    .await;
    upstream(options()).fetch(target, call).await.unwrap();
    server.received_requests().await.unwrap().pop().unwrap()
}

fn header<'a>(request: &'a wiremock::Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn basic_credentials_and_a_user_agent_are_sent() {
    let server = MockServer::start().await;
    let request = sent(&server, &target(provider(&server.uri())), Request::get("/x")).await;
    assert_eq!(
        header(&request, "authorization"),
        Some("Basic dXNlci0xOnMzY3IzdC1wYXNzd29yZA==")
    );
    assert!(header(&request, "user-agent").unwrap().starts_with("trunkline/"));
    assert_eq!(header(&request, "accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn the_files_headers_and_parameters_are_added_and_those_without_a_value_are_dropped() {
    let server = MockServer::start().await;
    let mut provider = provider(&format!("{}/v1/", server.uri()));
    provider.headers = templates(&[
        ("authorization", "Bearer ${password}"),
        ("x-region", "${connectionConfig.region}"),
    ]);
    provider.query = templates(&[("key", "${password}"), ("zone", "${metadata.zone}")]);
    let mut call = Request::get("/x?a=1%2C2");
    call.query = pairs(&[("DateSent>", "2026-01-01"), ("b", "x y&z")]);
    answers(&server, "GET", "/v1/x", 1, ResponseTemplate::new(200)).await;

    let request = sent(&server, &target(provider), call).await;
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
    let server = MockServer::start().await;
    let mut provider = provider(&server.uri());
    provider.headers = templates(&[("authorization", ""), ("x-key", "${password}")]);
    let request = sent(&server, &target(provider), Request::get("/x")).await;
    assert_eq!(header(&request, "authorization"), None);
    assert_eq!(header(&request, "x-key"), Some(PASSWORD));
}

#[tokio::test]
async fn a_callers_header_wins_unless_it_belongs_to_the_hop() {
    let server = MockServer::start().await;
    let mut provider = provider(&server.uri());
    provider.auth = AuthMode::ApiKey;
    provider.headers = templates(&[("accept", "application/json"), ("x-version", "1")]);
    let mut call = Request::get("/x");
    for (name, value) in [
        ("x-version", "2"),
        ("host", "evil.example"),
        ("connection", "close"),
        ("user-agent", "x"),
    ] {
        call.headers.insert(name, HeaderValue::from_static(value));
    }
    let request = sent(&server, &target(provider), call).await;
    assert_eq!(header(&request, "x-version"), Some("2"));
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(header(&request, "authorization"), None);
    assert!(header(&request, "host").unwrap().starts_with("127.0.0.1"));
    assert!(header(&request, "user-agent").unwrap().starts_with("trunkline/"));
}

#[tokio::test]
async fn a_path_cannot_leave_the_path_of_the_base_url() {
    let target = target(provider("https://api.example/v1"));
    for path in ["/../admin", "/x/../../admin", "/%2e%2e/admin", "x"] {
        let error = upstream(options())
            .fetch(&target, Request::get(path))
            .await
            .unwrap_err();
        assert!(matches!(error, RequestError::BadUrl { .. }), "{path}: {error:?}");
    }
}

#[test]
fn a_list_request_escapes_values_and_leaves_out_missing_ones() {
    let request = ListRequest {
        server: Some("chat".to_owned()),
        path: template("/accounts/${connectionConfig.accountId}/messages"),
        query: templates(&[("size", "100"), ("zone", "${metadata.zone}")]),
        headers: templates(&[("x-a", "1"), ("x-zone", "${metadata.zone}")]),
        size_parameter: Some("size".to_owned()),
    };
    let call = target(provider("https://api.example"))
        .list_request(&request, &pairs(&[("from", "2026-01-01")]))
        .unwrap();
    assert_eq!(call.path, "/accounts/a%2F1/messages");
    assert_eq!(call.query, pairs(&[("size", "100"), ("from", "2026-01-01")]));
    assert_eq!(
        call.headers.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["x-a"]
    );
    assert_eq!(call.server.as_deref(), Some("chat"));
    assert!(call.idempotent);
}

#[test]
fn a_record_request_has_the_key_in_its_path_segment() {
    let target = target(provider("https://api.example"));
    let path = template("/messages/${record.sid}.json");
    assert_eq!(
        target.record_request(None, &path, "SM/1").unwrap().path,
        "/messages/SM%2F1.json"
    );
    assert!(matches!(
        target.record_request(None, &path, ".."),
        Err(RequestError::Template(_))
    ));
    let lacking = template("/x/${connectionConfig.region}");
    assert!(matches!(
        target.record_request(None, &lacking, "1"),
        Err(RequestError::Template(_))
    ));
}

#[tokio::test]
async fn secrets_that_a_provider_echoes_are_masked_and_its_text_is_truncated() {
    let server = MockServer::start().await;
    let echo = format!(
        "no {PASSWORD} dXNlci0xOnMzY3IzdC1wYXNzd29yZA==\n{}",
        "x".repeat(1000)
    );
    let body = json!({"code": format!("bad-{PASSWORD}"), "message": echo});
    respond(&server, ResponseTemplate::new(400).set_body_json(body)).await;

    let error = fetch(&upstream(options()), &server).await.unwrap_err();
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
    let mut provider = provider("http://127.0.0.1:1");
    provider.query = templates(&[("key", "${password}")]);
    let target = target(provider);
    let mut call = Request::new(Method::POST, "/x?token=geheim");
    call.body = Some("geheim".into());
    call.query = pairs(&[("q", "geheim")]);
    assert!(!format!("{target:?} {call:?}").contains(PASSWORD));
    assert!(!format!("{call:?}").contains("geheim"));

    let options = crate::UpstreamOptions {
        max_attempts: 1,
        ..options()
    };
    let error = upstream(options).fetch(&target, call).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("geheim"), "{shown}");
}

#[test]
fn variables_are_found_by_every_name() {
    let mut target = target(provider("https://api.example"));
    let variables = std::sync::Arc::make_mut(&mut target.variables);
    variables
        .metadata
        .insert("a".to_owned(), json!({"b": 3, "c": {}}));
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
fn target_with_account() -> crate::Target {
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
    let variables = std::sync::Arc::make_mut(&mut target.variables);
    variables
        .credentials
        .insert("password".to_owned(), "pä/ss\"+w rd~1".into());
    variables.secret_config = [("token".to_owned(), "tok&en=secret".into())].into();
    target
}

#[test]
fn only_declared_secrets_are_masked_in_every_form() {
    let target = target_with_account();
    let told = target.without_secrets("the account user-1 of a/1 was not found");
    assert_eq!(told, "the account user-1 of a/1 was not found");

    for quoted in [
        "pä/ss\"+w rd~1",
        "p%C3%A4%2Fss%22%2Bw%20rd~1",
        "p%C3%A4%2Fss%22%2Bw+rd%7E1",
        "p%c3%a4%2fss%22%2bw%20rd%7e1",
        "pä/ss\\\"+w rd~1",
        "pä\\/ss\\\"+w rd~1",
        "dXNlci0xOnDDpC9zcyIrdyByZH4x",
        "dXNlci0xOnDDpC9zcyIrdyByZH4x",
        "cMOkL3NzIit3IHJkfjE",
        "tok&en=secret",
        "tok%26en%3Dsecret",
    ] {
        let told = target.without_secrets(&format!("no <{quoted}>"));
        assert_eq!(told, "no <[secret]>", "{quoted}");
    }
}

#[test]
fn a_user_name_without_a_password_is_the_key() {
    let mut target = target_with_account();
    let variables = std::sync::Arc::make_mut(&mut target.variables);
    variables
        .credentials
        .insert("password".to_owned(), String::new().into());
    assert_eq!(target.without_secrets("bad key user-1"), "bad key [secret]");
}

#[test]
fn text_of_a_caller_cannot_use_secret_fields() {
    let variables = &target_with_account().variables;
    assert_eq!(
        variables.lookup("connectionConfig.token").as_deref(),
        Some("tok&en=secret")
    );
    assert_eq!(variables.lookup_public_config("connectionConfig.token"), None);
    assert_eq!(variables.lookup_public_config("password"), None);
    assert_eq!(
        variables
            .lookup_public_config("connectionConfig.accountId")
            .as_deref(),
        Some("a/1")
    );
    assert!(!format!("{variables:?}").contains("tok&en"));
}
