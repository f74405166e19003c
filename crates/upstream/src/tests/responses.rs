//! Which successful responses are accepted: of actions, of lists, and of verification.

use registry::ErrorInBody;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{Fixture, max_attempts, post, status, templates, verification, words};
use crate::{Method, Request, RequestError, VerifyError};

fn typed(kind: &str, body: &str) -> ResponseTemplate {
    status(200).set_body_raw(body.as_bytes().to_vec(), kind)
}

#[rstest]
#[case::json(typed("application/json", "{}"), true, true)]
#[case::json_of_no_type(status(200).set_body_bytes("[1]"), true, true)]
#[case::json_with_a_mark(typed("application/json", "\u{feff}{\"a\":1}"), true, true)]
#[case::nothing(status(204), true, false)]
#[case::nothing_with_200(status(200), true, false)]
#[case::blanks(typed("application/json", " \n"), true, false)]
#[case::text(typed("text/plain; charset=UTF-8", "queued"), true, false)]
#[case::latin_text(typed("text/plain;charset=iso-8859-1", "queued"), true, false)]
#[case::text_in_an_unknown_charset(typed("text/plain; charset=utf-16", "queued"), false, false)]
#[case::html(typed("text/html", "<!doctype html><p>Hello"), false, false)]
#[case::html_called_json(typed("application/json", "<html></html>"), false, false)]
#[case::html_of_no_type(status(200).set_body_bytes("<html></html>"), false, false)]
#[case::html_called_text(typed("text/plain", "<html></html>"), false, false)]
#[case::text_called_json(typed("application/json", "queued"), false, false)]
#[case::cut_off(typed("application/json", "{\"a\": 1"), false, false)]
#[case::binary(status(200).set_body_bytes(vec![0x1f, 0x8b, 0, 0xff]), false, false)]
#[case::binary_called_text(status(200).set_body_raw(vec![0xff, 0xfe], "text/plain"), false, false)]
#[tokio::test]
async fn an_action_succeeds_only_with_a_readable_response(
    #[case] response: ResponseTemplate,
    #[case] without_output: bool,
    #[case] with_output: bool,
    #[values(Method::POST, Method::GET)] method: Method,
) {
    let acme = Fixture::with_options(max_attempts(2)).await;
    acme.respond(&format!("{method} /x"), response).await;
    for (expected, succeeds) in [(false, without_output), (true, with_output)] {
        let request = Request::new(method.clone(), "/x");
        let result = acme.upstream.send_action(&acme.target, request, expected).await;
        assert_eq!(result.is_ok(), succeeds, "{expected} {result:?}");
        if let Err(failed) = result {
            let error = failed.error;
            assert!(matches!(error, RequestError::NotJson { .. }), "{error:?}");
            assert!(!error.verdict().nothing_done);
        }
    }
    if method == Method::POST {
        assert_eq!(acme.requests().await.len(), 2, "no write is repeated");
    }
}

/// A provider whose responses to `/x` hold an error at `path` if the value there is one of `equals`, or any if that is empty.
async fn with_error_in_body(path: &str, equals: &[&str], response: ResponseTemplate) -> Fixture {
    let mut acme = Fixture::start().await;
    acme.provider().errors.in_body = Some(ErrorInBody {
        path: words(path),
        equals: equals.iter().map(|&text| text.to_owned()).collect(),
    });
    acme.provider().verification = Some(verification(&["/x"]));
    acme.respond("GET /x", response.clone()).await;
    acme.respond("POST /x", response).await;
    acme
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
    #[case] body: Value,
) {
    let acme = with_error_in_body(path, equals, status(200).set_body_json(body)).await;

    let page = acme.get().await.unwrap_err();
    let action = acme.failed_action(post("/x")).await;
    let VerifyError::Refused(verified) = acme.verify().await.unwrap_err() else {
        panic!("the credentials were not refused");
    };
    let errors = [page.provider(), action.error.provider(), Some(&verified)];
    for error in errors.map(Option::unwrap) {
        assert_eq!((error.status, error.code.as_deref()), (200, Some("20005")));
        assert_eq!(error.message.as_deref(), Some("bad key"));
        assert!(error.unauthorized);
    }
    assert_eq!(action.response.unwrap().body["message"], "bad key");
    assert_eq!(acme.requests().await.len(), 3);
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
    #[case] body: Value,
) {
    let acme = with_error_in_body(path, equals, status(200).set_body_json(body)).await;
    acme.get().await.unwrap();
    let sent = acme.upstream.send_action(&acme.target, Request::get("/x"), true);
    sent.await.unwrap();
    acme.verify().await.unwrap();
}

#[rstest]
#[case::a_raw_tab_elsewhere(b"{\"note\": \"a\tb\", \"error\": 1}".to_vec(), true)]
#[case::invalid_utf_8_elsewhere(b"{\"note\": \"\xff\", \"error\": 1}".to_vec(), true)]
#[case::invalid_utf_8_in_a_large_body([b"{\"error\": 1, \"note\": \"", b"\xff".repeat(1 << 20).as_slice(), b"\"}"].concat(), false)]
#[case::two_values(b"{\"error\": 1 2}".to_vec(), false)]
#[tokio::test]
async fn an_error_in_a_damaged_body_counts_if_it_is_one_json_value(
    #[case] body: Vec<u8>,
    #[case] is_error: bool,
) {
    let acme = with_error_in_body("error", &[], status(200).set_body_bytes(body)).await;
    let result = acme.get().await;
    assert_eq!(result.is_err(), is_error, "{result:?}");
}

#[rstest]
#[case::declared(typed("text/html; charset=utf-8", "Welcome to the hotel"))]
#[case::in_capitals(typed("Text/HTML", "Welcome"))]
#[case::of_another_type(typed("application/json", "\n <!DOCTYPE HTML><html>"))]
#[case::of_no_type(status(200).set_body_bytes("<HTML>"))]
#[tokio::test]
async fn an_html_page_verifies_no_credentials(#[case] page: ResponseTemplate) {
    let mut acme = with_error_in_body("nothing", &[], page).await;
    let error = acme.verify().await.unwrap_err();
    assert!(
        matches!(&error, VerifyError::Request(error) if error.is_transient()),
        "{error:?}"
    );

    // Unless the provider's file asks for it.
    acme.provider().headers = templates(&[("accept", "text/html")]);
    acme.verify().await.unwrap();
}

#[tokio::test]
async fn a_verification_reads_a_megabyte_and_no_more() {
    let large = status(200).set_body_string("0".repeat((1 << 20) + 1));
    let acme = with_error_in_body("a", &[], large).await;
    let error = acme.verify().await.unwrap_err();
    assert!(
        matches!(&error, VerifyError::Request(RequestError::TooLarge { limit, .. }) if *limit == 1 << 20),
        "{error:?}"
    );
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test]
async fn refused_credentials_are_not_retried_whatever_the_file_says(#[case] code: u16) {
    let mut acme = with_error_in_body("a", &[], status(code)).await;
    acme.provider().retry.statuses = vec![400..=499];
    acme.verify().await.unwrap_err();
    assert_eq!(acme.requests().await.len(), 1);
}
