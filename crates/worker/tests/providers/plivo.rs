//! Plivo: pages of twenty by offset, the user name in the path, a refusal that is not JSON.
//!
//! Source of the shapes: the API reference, <https://www.plivo.com/docs/numbers/api/account-phone-number#list-all-rented-numbers>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

const ID: &str = "MA2025RK4E639VJFZAGV";
const LIST: &str = "/v1/Account/MA2025RK4E639VJFZAGV/Number/";

fn plivo() -> FakeProvider {
    FakeProvider {
        provider: "plivo",
        fields: json!({ "username": ID, "password": "good" }),
        // `MA2025RK4E639VJFZAGV:good`
        authorization: (
            "authorization",
            "Basic TUEyMDI1Uks0RTYzOVZKRlpBR1Y6Z29vZA==".to_owned(),
        ),
        refusal: ResponseTemplate::new(401).set_body_string(
            "Could not verify your access level for that URL.\nYou have to login with proper credentials",
        ),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let below = request.path().strip_prefix("/v1/Account/MA2025RK4E639VJFZAGV/")?;
    if below.is_empty() {
        return ok(&json!({ "account_type": "standard", "auth_id": ID, "state": "California" }));
    }
    request.require(below == "Number/", "which list");
    request.only(&["limit", "offset"]);
    let all = request.records("numbers");
    let (limit, offset) = (
        request.number("limit").unwrap_or(20),
        request.number("offset").unwrap_or(0),
    );
    request.require(limit <= 20, "limit is 20 at most");
    let objects = fake_provider::part(&all, offset, limit);
    let end = offset + objects.len();
    let next = (end < all.len()).then(|| format!("{LIST}?limit={limit}&offset={end}"));
    ok(&json!({
        "api_id": "114de006-1c95-11e4-8a4a-123140008edf",
        "meta": { "limit": limit, "next": next, "offset": offset, "previous": null, "total_count": all.len() },
        "objects": objects,
    }))
}

fn number(number: u64) -> Json {
    json!({
        "number": (17_609_915_000 + number).to_string(),
        "alias": null,
        "sub_account": null,
        "added_on": "2026-02-14",
        "application": "/v1/Account/MA2025RK4E639VJFZAGV/Application/29986316244302815/",
        "carrier": "Plivo",
        "region": "California, UNITED STATES",
        "number_type": "local",
        "monthly_rental_rate": "0.80000",
        "sms_enabled": true,
        "sms_rate": "0.00000",
        "voice_enabled": true,
        "voice_rate": "0.00850",
        "resource_uri": "/v1/Account/MA2025RK4E639VJFZAGV/Number/17609915566/",
    })
}

async fn with_numbers() -> Setup {
    let setup = Setup::of(plivo()).await;
    setup.change_records("numbers", |numbers| numbers.extend((0..50).map(number)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_kept_equal_to_the_account() {
    let setup = with_numbers().await;
    setup.connect().await;
    assert_eq!(setup.rows("numbers").await.len(), 50);
    let key = json!("17609915007");
    let row = setup.row("numbers", "number", &key).await;
    assert_eq!(
        (
            &row["monthly_rental_rate"],
            &row["sms_enabled"],
            &row["added_on"],
            &row["alias"]
        ),
        (
            &json!("0.80000"),
            &json!(true),
            &json!("2026-02-14T00:00:00Z"),
            &Json::Null
        )
    );
    let pages = setup.queries(LIST).await;
    assert_eq!(
        pages,
        ["limit=20&offset=0", "limit=20&offset=20", "limit=20&offset=40"]
    );

    setup.change("numbers", "number", &key, |number| {
        number["alias"] = json!("Front desk");
    });
    setup.change_records("numbers", |numbers| {
        numbers.retain(|number| number["number"] != "17609915008");
    });
    setup.advance_and_run(Duration::from_mins(62)).await;
    assert_eq!(setup.rows("numbers").await.len(), 49);
    assert_eq!(setup.row("numbers", "number", &key).await["alias"], "Front desk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused() {
    let setup = Setup::of(plivo()).await;
    let reported = setup.refusal(&json!({ "password": "bad" })).await;
    assert!(reported.contains("401"), "{reported}");
    let reply = setup
        .try_to_connect(&json!({ "username": "me" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["username"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_requests_are_retried() {
    let setup = with_numbers().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    setup.respond_next(response(
        429,
        &json!({ "api_id": "1", "error": "too many requests" }),
    ));
    setup.run_due().await;
    // Plivo does not say how long to wait, so the usual backoff applies.
    let _ = setup.waited();
    assert_eq!(setup.rows("numbers").await.len(), 50);
}
