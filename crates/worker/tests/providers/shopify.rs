//! Shopify: pages by a link in a header that must not hold the filters, ranges of the last change.
//!
//! Source of the shapes: the REST Admin reference, <https://shopify.dev/docs/api/admin-rest/latest/resources/order>,
//! <https://shopify.dev/docs/api/admin-rest/latest/resources/customer> and <https://shopify.dev/docs/api/admin-rest/usage/pagination>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

const DAY: i64 = 86_400;
const LIST: &str = "/admin/api/2026-10/orders.json";

fn shopify() -> FakeProvider {
    FakeProvider {
        provider: "shopify",
        fields: json!({ "apiKey": "shpat_00good", "shop": "acme" }),
        authorization: ("x-shopify-access-token", "shpat_00good".to_owned()),
        refusal: response(
            401,
            &json!({ "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)" }),
        ),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    match request.path() {
        "/admin/oauth/access_scopes.json" => {
            ok(&json!({ "access_scopes": [{ "handle": "read_orders" }, { "handle": "read_customers" }] }))
        }
        LIST => Some(list(request, "orders")),
        "/admin/api/2026-10/customers.json" => Some(list(request, "customers")),
        _ => None,
    }
}

/// Returns a page; see <https://shopify.dev/docs/api/admin-rest/usage/pagination>. Its `page_info` has the filters and the offset.
fn list(request: &ReceivedRequest<'_>, list_name: &str) -> ResponseTemplate {
    let limit = request.number("limit").unwrap_or(50);
    request.require(limit <= 250, "limit is 250 at most");
    let (from, to, start) = if let Some(info) = request.parameter("page_info") {
        request.only(&["page_info", "limit"]);
        let parts: Vec<i64> = info.split('.').map(|part| part.parse().unwrap()).collect();
        (parts[0], parts[1], usize::try_from(parts[2]).unwrap())
    } else {
        request.only(&["limit", "status", "updated_at_min", "updated_at_max"]);
        let any = request.parameter("status").as_deref() == Some("any");
        request.require(any == (list_name == "orders"), "orders of any status are wanted");
        let bound = |name| request.parameter(name).map(|time| seconds(&time));
        let (from, to) = (bound("updated_at_min"), bound("updated_at_max"));
        (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX), 0)
    };
    let all: Vec<Json> = request.records(list_name);
    let within = |record: &&Json| (from..=to).contains(&seconds(record["updated_at"].as_str().unwrap()));
    let shown: Vec<Json> = all.iter().filter(within).cloned().collect();
    let page = fake_provider::part(&shown, start, limit);
    let response = response(200, &json!({ list_name: page }));
    let next = start + page.len();
    if next >= shown.len() {
        return response;
    }
    let here = format!("{}{}?limit={limit}&page_info=", request.origin(), request.path());
    response.insert_header(
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

async fn with_orders() -> Setup {
    let setup = Setup::of(shopify()).await;
    // The newest 600 are in the newest slice, the others in older ones, one of them at the very end of a slice.
    setup.change_records("orders", |orders| {
        orders.extend((0..600).map(|n| order(n, NOW - 60 - n * 3_600)));
        orders.extend((600..660).map(|n| order(n, NOW - (n - 560) * DAY)));
    });
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_their_later_changes_are_read() {
    let setup = with_orders().await;
    setup.connect().await;
    let rows = setup.rows("orders").await;
    assert_eq!(rows.len(), 660);
    assert_eq!(rows[0]["name"], "#0", "newest first");
    let row = setup.row("orders", "name", &json!("#7")).await;
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
    let pages = setup.queries(LIST).await;
    let chain = pages.iter().filter(|page| page.contains("page_info")).count();
    assert!(chain >= 2, "{pages:#?}");

    setup.change("orders", "name", &json!("#650"), |order| {
        order["financial_status"] = json!("paid");
        order["updated_at"] = time(NOW + 30);
    });
    setup.change_records("orders", |orders| orders.insert(0, order(9_000, NOW + 60)));
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(setup.rows("orders").await.len(), 661);
    let row = setup.row("orders", "name", &json!("#650")).await;
    assert_eq!(row["financial_status"], "paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_are_read() {
    let setup = Setup::of(shopify()).await;
    setup.change_records("customers", |customers| {
        customers.push(json!({
            "id": 207_119_551, "email": "bob@example.com", "first_name": "Bob", "orders_count": 1, "state": "disabled",
            "total_spent": "199.65", "verified_email": true, "tags": "loyal", "updated_at": time(NOW - DAY),
            "created_at": time(NOW - 9 * DAY), "default_address": { "city": "Louisville" },
        }));
    });
    setup.connect().await;
    let row = setup.row("customers", "id", &json!("207119551")).await;
    assert_eq!(
        (&row["orders_count"], &row["total_spent"], &row["default_address"]),
        (&json!(1), &json!("199.65"), &json!({ "city": "Louisville" }))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused() {
    let setup = Setup::of(shopify()).await;
    let reported = setup.refusal(&json!({ "apiKey": "shpat_00bad" })).await;
    assert!(reported.contains("Invalid API key or access token"), "{reported}");

    let wrong = json!({ "shop": "https://acme.myshopify.com" });
    let reply = setup.try_to_connect(&wrong).await.expect(400);
    assert_eq!(reply.fields(), ["shop"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_orders().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = response(
        429,
        &json!({ "errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service." }),
    );
    setup.respond_next(refusal.insert_header("retry-after", "1.0"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("orders").await.len(), 660);
}
