//! Which successful responses are accepted: of actions, of lists, and of verification.

use registry::{ErrorInBody, Provider, Verification};
use rstest::rstest;
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, calls, options, provider, target, template, templates, upstream, words};
use crate::{Method, Request, RequestError, VerifyError};

fn typed(kind: &str, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.as_bytes().to_vec(), kind)
}

#[rstest]
#[case::json(typed("application/json", "{}"), true, true)]
#[case::json_of_no_type(ResponseTemplate::new(200).set_body_bytes("[1]"), true, true)]
#[case::json_with_a_mark(typed("application/json", "\u{feff}{\"a\":1}"), true, true)]
#[case::nothing(ResponseTemplate::new(204), true, false)]
#[case::nothing_with_200(ResponseTemplate::new(200), true, false)]
#[case::blanks(typed("application/json", " \n"), true, false)]
#[case::text(typed("text/plain; charset=UTF-8", "queued"), true, false)]
#[case::latin_text(typed("text/plain;charset=iso-8859-1", "queued"), true, false)]
#[case::text_in_an_unknown_charset(typed("text/plain; charset=utf-16", "queued"), false, false)]
#[case::html(typed("text/html", "<!doctype html><p>Hello"), false, false)]
#[case::html_called_json(typed("application/json", "<html></html>"), false, false)]
#[case::html_of_no_type(ResponseTemplate::new(200).set_body_bytes("<html></html>"), false, false)]
#[case::html_called_text(typed("text/plain", "<html></html>"), false, false)]
#[case::text_called_json(typed("application/json", "queued"), false, false)]
#[case::cut_off(typed("application/json", "{\"a\": 1"), false, false)]
#[case::binary(ResponseTemplate::new(200).set_body_bytes(vec![0x1f, 0x8b, 0, 0xff]), false, false)]
#[case::binary_called_text(ResponseTemplate::new(200).set_body_raw(vec![0xff, 0xfe], "text/plain"), false, false)]
#[tokio::test]
async fn an_action_succeeds_only_with_a_readable_response(
    #[case] response: ResponseTemplate,
    #[case] without_output: bool,
    #[case] with_output: bool,
    #[values("POST", "GET")] method: &str,
) {
    let server = MockServer::start().await;
    answers(&server, method, "/x", 99, response).await;
    let mut few = options();
    few.max_attempts = 2;
    let (upstream, target) = (upstream(few), target(provider(&server.uri())));
    for (expected, succeeds) in [(false, without_output), (true, with_output)] {
        let call = Request::new(Method::from_bytes(method.as_bytes()).unwrap(), "/x");
        let outcome = upstream.send_action(&target, call, expected).await;
        assert_eq!(outcome.is_ok(), succeeds, "{expected} {outcome:?}");
        if let Err(refusal) = outcome {
            assert!(
                matches!(refusal.error, RequestError::NotJson { .. }),
                "{:?}",
                refusal.error
            );
            assert!(!refusal.error.verdict().nothing_done);
        }
    }
    if method == "POST" {
        assert_eq!(calls(&server).await, 2, "no write is repeated");
    }
}

/// A provider that tells errors in the body of a success.
fn telling(server: &MockServer, path: &str, equals: &[&str]) -> Provider {
    let mut provider = provider(&server.uri());
    provider.errors.in_body = Some(ErrorInBody {
        path: words(path),
        equals: equals.iter().map(|&text| text.to_owned()).collect(),
    });
    provider.verification = Some(Verification {
        method: registry::Method::Get,
        endpoints: vec![template("/x")],
        headers: Vec::new(),
        data: None,
        base_url: None,
        checks: Vec::new(),
    });
    provider
}

#[rstest]
#[case::a_flag("ok", &["false"], json!({"ok": false, "code": 20005, "message": "bad key", "items": []}))]
#[case::a_text("status", &["fail", "error"], json!({"status": "error", "code": 20005, "message": "bad key", "items": []}))]
#[case::anything("errors", &[], json!({"errors": [{"x": 1}], "code": 20005, "message": "bad key", "items": []}))]
#[case::a_number("code", &[], json!({"code": 20005, "message": "bad key", "items": []}))]
#[tokio::test]
async fn an_error_in_the_body_of_a_success_is_an_error(
    #[case] path: &str,
    #[case] equals: &[&str],
    #[case] body: serde_json::Value,
) {
    let server = MockServer::start().await;
    let error = ResponseTemplate::new(200).set_body_json(body);
    answers(&server, "GET", "/x", 99, error.clone()).await;
    answers(&server, "POST", "/x", 99, error).await;
    let (upstream, target) = (upstream(options()), target(telling(&server, path, equals)));

    let page = upstream.fetch(&target, Request::get("/x")).await.unwrap_err();
    let action = upstream
        .send_action(&target, Request::new(Method::POST, "/x"), false)
        .await
        .unwrap_err();
    let VerifyError::Refused(verified) = upstream.verify(&target).await.unwrap_err() else {
        panic!("the credentials were not refused");
    };
    for told in [
        page.provider().unwrap(),
        action.error.provider().unwrap(),
        &verified,
    ] {
        assert_eq!((told.status, told.code.as_deref()), (200, Some("20005")));
        assert_eq!(told.message.as_deref(), Some("bad key"));
        assert!(told.unauthorized);
    }
    assert_eq!(action.response.unwrap().body["message"], "bad key");
    assert_eq!(calls(&server).await, 3);
}

#[rstest]
#[case("ok", &["false"], json!({"ok": true}))]
#[case("status", &["fail", "error"], json!({"status": "success"}))]
#[case("errors", &[], json!({"errors": [], "data": 1}))]
#[case("errors", &[], json!({"errors": null}))]
#[case("code", &[], json!({"code": 0}))]
#[case("error.code", &[], json!([1]))]
#[tokio::test]
async fn a_success_response_that_says_so_is_not_an_error(
    #[case] path: &str,
    #[case] equals: &[&str],
    #[case] body: serde_json::Value,
) {
    let server = MockServer::start().await;
    answers(
        &server,
        "GET",
        "/x",
        99,
        ResponseTemplate::new(200).set_body_json(body),
    )
    .await;
    let (upstream, target) = (upstream(options()), target(telling(&server, path, equals)));
    upstream.fetch(&target, Request::get("/x")).await.unwrap();
    upstream
        .send_action(&target, Request::get("/x"), true)
        .await
        .unwrap();
    upstream.verify(&target).await.unwrap();
}

#[rstest]
#[case::declared(typed("text/html; charset=utf-8", "Welcome to the hotel"))]
#[case::in_capitals(typed("Text/HTML", "Welcome"))]
#[case::of_another_type(typed("application/json", "\n <!DOCTYPE HTML><html>"))]
#[case::of_no_type(ResponseTemplate::new(200).set_body_bytes("<HTML>"))]
#[tokio::test]
async fn an_html_page_verifies_no_credentials(#[case] page: ResponseTemplate) {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 99, page).await;
    let mut provider = telling(&server, "nothing", &[]);
    let error = upstream(options())
        .verify(&target(provider.clone()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VerifyError::Request(error) if error.is_transient()),
        "{error:?}"
    );

    // Unless the provider's file asks for it.
    provider.headers = templates(&[("accept", "text/html")]);
    upstream(options()).verify(&target(provider)).await.unwrap();
}

#[tokio::test]
async fn a_verification_reads_a_megabyte_and_no_more() {
    let server = MockServer::start().await;
    let large = ResponseTemplate::new(200).set_body_string("0".repeat((1 << 20) + 1));
    answers(&server, "GET", "/x", 99, large).await;
    let error = upstream(options())
        .verify(&target(telling(&server, "a", &[])))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VerifyError::Request(RequestError::TooLarge { limit, .. }) if *limit == 1 << 20),
        "{error:?}"
    );
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test]
async fn refused_credentials_are_not_retried_whatever_the_file_says(#[case] status: u16) {
    let server = MockServer::start().await;
    answers(&server, "GET", "/x", 99, ResponseTemplate::new(status)).await;
    let mut provider = telling(&server, "a", &[]);
    provider.retry.statuses = vec![400..=499];
    upstream(options()).verify(&target(provider)).await.unwrap_err();
    assert_eq!(calls(&server).await, 1);
}
