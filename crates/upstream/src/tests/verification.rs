//! Verification of credentials.

use registry::{Check, JsonTemplate, Provider, Verification};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, calls, options, provider, target, template, upstream, words};
use crate::VerifyError;

fn verified(server: &MockServer) -> Provider {
    let check = Check {
        endpoint: template("/account"),
        field: words("status"),
        equals: "active".to_owned(),
        message: template("The account is ${value}."),
    };
    let verification = Verification {
        method: registry::Method::Get,
        endpoints: vec![template("/a"), template("/b?size=1")],
        headers: Vec::new(),
        data: None,
        base_url: None,
        checks: vec![check],
    };
    Provider {
        verification: Some(verification),
        ..provider(&server.uri())
    }
}

#[tokio::test]
async fn one_successful_endpoint_is_enough_and_a_forbidden_one_does_not_count() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/a", 9, ResponseTemplate::new(403)).await;
    answers(&server, "GET", "/b", 9, ResponseTemplate::new(204)).await;
    answers(&server, "GET", "/account", 9, ResponseTemplate::new(401)).await;
    upstream(options())
        .verify(&target(verified(&server)))
        .await
        .unwrap();
}

#[tokio::test]
async fn refused_credentials_are_reported_with_the_most_useful_response() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/a", 9, ResponseTemplate::new(404)).await;
    answers(
        &server,
        "GET",
        "/b",
        9,
        ResponseTemplate::new(401).set_body_json(json!({"code": 20003})),
    )
    .await;
    match upstream(options())
        .verify(&target(verified(&server)))
        .await
        .unwrap_err()
    {
        VerifyError::Refused(error) => {
            assert_eq!((error.status, error.code.as_deref()), (401, Some("20003")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failing_server_says_nothing_about_the_credentials() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/a", 99, ResponseTemplate::new(503)).await;
    let error = upstream(options())
        .verify(&target(verified(&server)))
        .await
        .unwrap_err();
    assert!(matches!(error, VerifyError::Request(error) if error.is_transient()));
    assert_eq!(calls(&server).await, 3);
}

#[tokio::test]
async fn an_account_that_fails_a_check_is_reported_in_the_words_of_the_file() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/a", 9, ResponseTemplate::new(200)).await;
    answers(
        &server,
        "GET",
        "/account",
        9,
        ResponseTemplate::new(200).set_body_json(json!({"status": "closed"})),
    )
    .await;
    let error = upstream(options())
        .verify(&target(verified(&server)))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "The account is closed.");
}

#[tokio::test]
async fn a_verification_may_have_its_own_body_and_server() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    answers(&other, "POST", "/a", 1, ResponseTemplate::new(200)).await;
    let mut provider = verified(&server);
    let verification = provider.verification.as_mut().unwrap();
    verification.method = registry::Method::Post;
    verification.data = Some(JsonTemplate::Text(template("{\"user\": \"${username}\"}")));
    verification.base_url = Some(template(&other.uri()));
    verification.checks.clear();
    upstream(options()).verify(&target(provider)).await.unwrap();
    let request = other.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(
        request.body_json::<serde_json::Value>().unwrap(),
        json!({"user": "user-1"})
    );
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn without_an_endpoint_every_key_passes() {
    upstream(options())
        .verify(&target(provider("https://api.example")))
        .await
        .unwrap();
}
