//! Close: pages by offset, ranges of the last change, the key as a user name, limits within one header.
//!
//! Source of the shapes: the API reference, <https://developer.close.com/api/resources/opportunities>, <https://developer.close.com/api/resources/leads>,
//! <https://developer.close.com/api/overview/pagination> and <https://developer.close.com/api/overview/rate-limits>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

const LIST: &str = "/api/v1/opportunity/";

fn close() -> FakeProvider {
    FakeProvider {
        provider: "close",
        fields: json!({ "apiKey": "api_good" }),
        // The key and an empty password: `api_good:`.
        authorization: ("authorization", "Basic YXBpX2dvb2Q6".to_owned()),
        refusal: response(401, &json!({ "error": "The API key is invalid." })),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    match request.path() {
        "/api/v1/me/" => ok(&json!({ "id": "user_1", "email": "me@example.com" })),
        "/api/v1/lead/" => {
            request.only(&["_skip", "_limit"]);
            ok(&page(request, &request.records("leads")))
        }
        LIST => ok(&opportunities(request)),
        _ => None,
    }
}

/// See <https://developer.close.com/api/resources/opportunities/list>.
fn opportunities(request: &ReceivedRequest<'_>) -> Json {
    request.only(&[
        "_skip",
        "_limit",
        "_order_by",
        "date_updated__gte",
        "date_updated__lte",
    ]);
    request.require(
        request.parameter("_order_by").as_deref() == Some("-date_updated"),
        "which order",
    );
    let mut all = request.records("opportunities");
    all.retain(|record| {
        let updated = micros(record["date_updated"].as_str().unwrap());
        let bound = |name: &str| request.parameter(name).map(|time| micros(&time));
        bound("date_updated__gte").is_none_or(|from| updated >= from)
            && bound("date_updated__lte").is_none_or(|to| updated <= to)
    });
    all.sort_by_key(|record| std::cmp::Reverse(micros(record["date_updated"].as_str().unwrap())));
    page(request, &all)
}

fn page(request: &ReceivedRequest<'_>, all: &[Json]) -> Json {
    let (skip, limit) = (
        request.number("_skip").unwrap_or(0),
        request.number("_limit").unwrap_or(100),
    );
    request.require(limit <= 100, "_limit is 100 at most");
    let data = fake_provider::part(all, skip, limit);
    json!({ "has_more": skip + data.len() < all.len(), "total_results": all.len(), "data": data })
}

fn micros(time: &str) -> i64 {
    time.parse::<domain::Timestamp>().unwrap().as_micros()
}

fn time(seconds: i64) -> Json {
    json!(domain::Timestamp::from_micros(seconds * 1_000_000).to_string())
}

fn opportunity(number: i64, updated: i64) -> Json {
    json!({
        "id": format!("oppo_{number}"),
        "lead_id": "lead_1",
        "lead_name": "Bluth Company",
        "status_id": "stat_1",
        "status_label": "Active",
        "status_type": "active",
        "value": 50_000,
        "value_currency": "USD",
        "value_formatted": "$500",
        "value_period": "one_time",
        "confidence": 75,
        "date_won": null,
        "date_created": time(updated - 10),
        "date_updated": time(updated),
    })
}

async fn with_opportunities() -> Setup {
    let setup = Setup::of(close()).await;
    setup.change_records("opportunities", |list| {
        list.extend((0..350).map(|n| opportunity(n, NOW - 60 - n * 3_600)));
        list.extend((350..400).map(|n| opportunity(n, NOW - n * 86_400)));
    });
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opportunities_and_their_later_changes_are_read() {
    let setup = with_opportunities().await;
    setup.connect().await;
    let rows = setup.rows("opportunities").await;
    assert_eq!((rows.len(), &rows[0]["id"]), (400, &json!("oppo_0")));
    let row = setup.row("opportunities", "id", &json!("oppo_7")).await;
    assert_eq!(
        (
            &row["value"],
            &row["confidence"],
            &row["date_won"],
            &row["date_updated"]
        ),
        (
            &json!(50_000),
            &json!(75),
            &Json::Null,
            &json!("2026-11-04T04:59:00Z")
        )
    );
    let pages = setup.queries(LIST).await;
    for skip in ["_skip=0", "_skip=100", "_skip=200", "_skip=300"] {
        assert!(
            pages.iter().any(|page| page.ends_with(skip)),
            "{skip}: {pages:#?}"
        );
    }

    setup.change("opportunities", "id", &json!("oppo_390"), |record| {
        record["status_type"] = json!("won");
        record["date_won"] = json!("2026-11-04");
        record["date_updated"] = time(NOW + 30);
    });
    setup.change_records("opportunities", |list| list.push(opportunity(9_000, NOW + 60)));
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(setup.rows("opportunities").await.len(), 401);
    let row = setup.row("opportunities", "id", &json!("oppo_390")).await;
    assert_eq!(
        (&row["status_type"], &row["date_won"]),
        (&json!("won"), &json!("2026-11-04"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leads_are_kept_equal_to_the_account() {
    let setup = Setup::of(close()).await;
    setup.change_records("leads", |list| {
        list.extend((0..250).map(|n| {
            json!({
                "id": format!("lead_{n}"), "display_name": format!("Company {n}"), "status_id": "stat_2",
                "contacts": [{ "id": "cont_1", "emails": [] }], "date_created": time(NOW - n), "date_updated": time(NOW - n),
                "custom.cf_1": "x",
            })
        }));
    });
    setup.connect().await;
    let row = setup.row("leads", "id", &json!("lead_3")).await;
    assert_eq!(
        (&row["display_name"], &row["contacts"][0]["id"]),
        (&json!("Company 3"), &json!("cont_1"))
    );

    setup.change("leads", "id", &json!("lead_3"), |lead| {
        lead["display_name"] = json!("Three");
    });
    setup.change_records("leads", |list| list.retain(|lead| lead["id"] != "lead_4"));
    setup.advance_and_run(Duration::from_hours(7)).await;
    assert_eq!(setup.rows("leads").await.len(), 249);
    assert_eq!(
        setup.row("leads", "id", &json!("lead_3")).await["display_name"],
        "Three"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused() {
    let setup = Setup::of(close()).await;
    let reported = setup.refusal(&json!({ "apiKey": "api_bad" })).await;
    assert!(reported.contains("The API key is invalid"), "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_opportunities().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = response(
        429,
        &json!({ "error": { "rate_reset": 1, "message": "API call count exceeded" } }),
    );
    setup.respond_next(refusal.insert_header("ratelimit", "limit=100, remaining=0, reset=1"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("opportunities").await.len(), 400);
}
