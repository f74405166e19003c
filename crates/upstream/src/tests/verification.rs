//! Verification of credentials.

use registry::{Check, JsonTemplate, Verification};
use serde_json::json;

use super::{Fixture, options, status, template, verification, words};
use crate::VerifyError;

/// A provider with two endpoints that verify credentials, and a check.
async fn with_verification() -> Fixture {
    let mut acme = Fixture::start().await;
    acme.provider().verification = Some(Verification {
        checks: vec![Check {
            endpoint: template("/account"),
            field: words("status"),
            equals: "active".to_owned(),
            message: template("The account is ${value}."),
        }],
        ..verification(&["/a", "/b?size=1"])
    });
    acme
}

#[tokio::test]
async fn one_successful_endpoint_is_enough_and_a_forbidden_one_does_not_count() {
    let acme = with_verification().await;
    acme.respond("GET /a", status(403)).await;
    acme.respond("GET /b", status(204)).await;
    acme.respond("GET /account", status(401)).await;
    acme.verify().await.unwrap();
}

#[tokio::test]
async fn refused_credentials_are_reported_with_the_most_useful_response() {
    let acme = with_verification().await;
    acme.respond("GET /a", status(404)).await;
    let unauthorized = status(401).set_body_json(json!({"code": 20003}));
    acme.respond("GET /b", unauthorized).await;
    match acme.verify().await.unwrap_err() {
        VerifyError::Refused(error) => {
            assert_eq!((error.status, error.code.as_deref()), (401, Some("20003")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failing_server_says_nothing_about_the_credentials() {
    let acme = with_verification().await;
    acme.respond("GET /a", status(503)).await;
    let error = acme.verify().await.unwrap_err();
    assert!(matches!(error, VerifyError::Request(error) if error.is_transient()));
    assert_eq!(acme.requests().await.len(), 3);
}

#[tokio::test]
async fn an_account_that_fails_a_check_is_reported_in_the_words_of_the_file() {
    let acme = with_verification().await;
    acme.respond("GET /a", status(200)).await;
    let closed = status(200).set_body_json(json!({"status": "closed"}));
    acme.respond("GET /account", closed).await;
    let error = acme.verify().await.unwrap_err();
    assert_eq!(error.to_string(), "The account is closed.");
}

#[tokio::test]
async fn a_verification_may_have_its_own_body_and_server() {
    let (mut acme, other) = (Fixture::start().await, Fixture::start().await);
    other.respond_times(1, "POST /a", status(200)).await;
    acme.provider().verification = Some(Verification {
        method: registry::Method::Post,
        data: Some(JsonTemplate::Text(template("{\"user\": \"${username}\"}"))),
        base_url: Some(template(&other.server.uri())),
        ..verification(&["/a"])
    });
    acme.verify().await.unwrap();
    let request = other.last_request().await;
    assert_eq!(
        request.body_json::<serde_json::Value>().unwrap(),
        json!({"user": "user-1"})
    );
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn without_an_endpoint_every_key_passes() {
    let acme = Fixture::at("https://api.example", options()).await;
    acme.verify().await.unwrap();
}
