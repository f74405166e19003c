//! Shopify: pages by a link in a header that must not hold the filters, ranges of the last change.
//!
//! Source of the shapes: the REST Admin reference, <https://shopify.dev/docs/api/admin-rest/latest/resources/order>,
//! <https://shopify.dev/docs/api/admin-rest/latest/resources/customer> and <https://shopify.dev/docs/api/admin-rest/usage/pagination>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, NOW, Play, Stage, answer, ok};

const DAY: i64 = 86_400;
const LIST: &str = "/admin/api/2026-10/orders.json";

fn shopify() -> Play {
    Play {
        provider: "shopify",
        fields: json!({ "apiKey": "shpat_00good", "shop": "acme" }),
        authorization: ("x-shopify-access-token", "shpat_00good".to_owned()),
        refusal: answer(
            401,
            &json!({ "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)" }),
        ),
        answers,
    }
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    match asked.path() {
        "/admin/oauth/access_scopes.json" => {
            ok(&json!({ "access_scopes": [{ "handle": "read_orders" }, { "handle": "read_customers" }] }))
        }
        LIST => Some(list(asked, "orders")),
        "/admin/api/2026-10/customers.json" => Some(list(asked, "customers")),
        _ => None,
    }
}

/// A page, as <https://shopify.dev/docs/api/admin-rest/usage/pagination> tells. The stage's `page_info` holds the filters and the place.
fn list(asked: &Asked<'_>, shelf: &str) -> ResponseTemplate {
    let limit = asked.number("limit").unwrap_or(50);
    asked.demand(limit <= 250, "limit is 250 at most");
    let (from, to, start) = if let Some(info) = asked.parameter("page_info") {
        asked.only(&["page_info", "limit"]);
        let parts: Vec<i64> = info.split('.').map(|part| part.parse().unwrap()).collect();
        (parts[0], parts[1], usize::try_from(parts[2]).unwrap())
    } else {
        asked.only(&["limit", "status", "updated_at_min", "updated_at_max"]);
        let any = asked.parameter("status").as_deref() == Some("any");
        asked.demand(any == (shelf == "orders"), "orders of any status are wanted");
        let bound = |name| asked.parameter(name).map(|time| seconds(&time));
        let (from, to) = (bound("updated_at_min"), bound("updated_at_max"));
        (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX), 0)
    };
    let all: Vec<Json> = asked.shelf(shelf);
    let within = |record: &&Json| (from..=to).contains(&seconds(record["updated_at"].as_str().unwrap()));
    let shown: Vec<Json> = all.iter().filter(within).cloned().collect();
    let page = stage::part(&shown, start, limit);
    let answer = answer(200, &json!({ shelf: page }));
    let next = start + page.len();
    if next >= shown.len() {
        return answer;
    }
    let here = format!("{}{}?limit={limit}&page_info=", asked.origin(), asked.path());
    answer.insert_header(
        "link",
        format!("<{here}0.0.0>; rel=\"previous\", <{here}{from}.{to}.{next}>; rel=\"next\""),
    )
}

fn seconds(time: &str) -> i64 {
    time.parse::<domain::Timestamp>().unwrap().as_micros() / 1_000_000
}

fn time(seconds: i64) -> Json {
    json!(domain::Timestamp::from_micros(seconds * 1_000_000).to_string())
}

fn order(number: i64, updated: i64) -> Json {
    json!({
        "id": 5_000_000_000_i64 + number,
        "admin_graphql_api_id": format!("gid://shopify/Order/{number}"),
        "name": format!("#{number}"),
        "email": "bob@example.com",
        "customer": { "id": 207_119_551, "email": "bob@example.com" },
        "financial_status": "pending",
        "fulfillment_status": null,
        "currency": "USD",
        "total_price": "598.940",
        "test": false,
        "line_items": [{ "id": 1, "quantity": 2 }],
        "created_at": time(updated - 60),
        "processed_at": time(updated - 60),
        "updated_at": time(updated),
        "cancelled_at": null,
    })
}

async fn with_orders() -> Stage {
    let stage = Stage::of(shopify()).await;
    // The newest 600 within the newest slice, the others in older ones, one of them at a slice's very end.
    stage.shelve("orders", |orders| {
        orders.extend((0..600).map(|n| order(n, NOW - 60 - n * 3_600)));
        orders.extend((600..660).map(|n| order(n, NOW - (n - 560) * DAY)));
    });
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_their_later_changes_are_read() {
    let stage = with_orders().await;
    stage.connect().await;
    let rows = stage.rows("orders").await;
    assert_eq!(rows.len(), 660);
    assert_eq!(rows[0]["name"], "#0", "newest first");
    let row = stage.row("orders", "name", &json!("#7")).await;
    assert_eq!(
        (&row["id"], &row["total_price"], &row["customer_id"], &row["test"]),
        (
            &json!("5000000007"),
            &json!("598.940"),
            &json!("207119551"),
            &json!(false)
        )
    );
    assert_eq!(
        (&row["updated_at"], &row["line_items"], &row["fulfillment_status"]),
        (
            &json!("2026-11-04T04:59:00Z"),
            &json!([{ "id": 1, "quantity": 2 }]),
            &Json::Null
        )
    );
    let pages = stage.queries(LIST).await;
    let chain = pages.iter().filter(|page| page.contains("page_info")).count();
    assert!(chain >= 2, "{pages:#?}");

    stage.change("orders", "name", &json!("#650"), |order| {
        order["financial_status"] = json!("paid");
        order["updated_at"] = time(NOW + 30);
    });
    stage.shelve("orders", |orders| orders.insert(0, order(9_000, NOW + 60)));
    stage.pass(Duration::from_mins(17)).await;
    assert_eq!(stage.rows("orders").await.len(), 661);
    let row = stage.row("orders", "name", &json!("#650")).await;
    assert_eq!(row["financial_status"], "paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_are_read() {
    let stage = Stage::of(shopify()).await;
    stage.shelve("customers", |customers| {
        customers.push(json!({
            "id": 207_119_551, "email": "bob@example.com", "first_name": "Bob", "orders_count": 1, "state": "disabled",
            "total_spent": "199.65", "verified_email": true, "tags": "loyal", "updated_at": time(NOW - DAY),
            "created_at": time(NOW - 9 * DAY), "default_address": { "city": "Louisville" },
        }));
    });
    stage.connect().await;
    let row = stage.row("customers", "id", &json!("207119551")).await;
    assert_eq!(
        (&row["orders_count"], &row["total_spent"], &row["default_address"]),
        (&json!(1), &json!("199.65"), &json!({ "city": "Louisville" }))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused() {
    let stage = Stage::of(shopify()).await;
    let told = stage.refusal(&json!({ "apiKey": "shpat_00bad" })).await;
    assert!(told.contains("Invalid API key or access token"), "{told}");

    let wrong = json!({ "shop": "https://acme.myshopify.com" });
    let reply = stage.try_to_connect(&wrong).await.expect(400);
    assert_eq!(reply.fields(), ["shop"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let stage = with_orders().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    let refusal = answer(
        429,
        &json!({ "errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service." }),
    );
    stage.first_answer(refusal.insert_header("retry-after", "1.0"));
    stage.run_due().await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.rows("orders").await.len(), 660);
}
