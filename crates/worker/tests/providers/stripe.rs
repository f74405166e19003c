//! Stripe: pages by the last record's id, ranges of creation, amounts in the smallest unit.
//!
//! Source of the shapes: the API reference, <https://docs.stripe.com/api/customers/list>, <https://docs.stripe.com/api/charges/list>,
//! <https://docs.stripe.com/api/subscriptions/list> and <https://docs.stripe.com/api/pagination>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

const DAY: i64 = 86_400;

fn stripe() -> FakeProvider {
    FakeProvider {
        provider: "stripe",
        fields: json!({ "apiKey": "rk_test_good" }),
        authorization: ("authorization", "Bearer rk_test_good".to_owned()),
        refusal: error(
            401,
            &json!({ "message": "Invalid API Key provided: rk_test_***bad", "type": "invalid_request_error" }),
        ),
        respond,
    }
}

fn error(status: u16, error: &Json) -> ResponseTemplate {
    response(status, &json!({ "error": error }))
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("stripe-version") == Some("2025-06-30.basil"),
        "the version is not requested",
    );
    let path = request.path().strip_prefix("/v1/")?;
    match path.split_once('/') {
        None if ["customers", "charges", "subscriptions"].contains(&path) => ok(&list(request, path)),
        Some((list_name, id)) => {
            let found = request
                .records(list_name)
                .into_iter()
                .find(|record| record["id"] == id);
            let missing = json!({ "code": "resource_missing", "message": format!("No such object: '{id}'"), "type": "invalid_request_error" });
            Some(found.map_or_else(|| error(404, &missing), |found| response(200, &found)))
        }
        None => None,
    }
}

/// Returns a page of a list, newest first; see <https://docs.stripe.com/api/pagination>.
fn list(request: &ReceivedRequest<'_>, list_name: &str) -> Json {
    request.only(&["limit", "starting_after", "created[gte]", "created[lt]", "status"]);
    let wants_all = request.parameter("status").as_deref() == Some("all");
    request.require(
        wants_all == (list_name == "subscriptions") || request.number("limit") == Some(1),
        "which status",
    );
    let bound = |name: &str| request.parameter(name).map(|bound| bound.parse::<i64>().unwrap());
    let (from, to) = (
        bound("created[gte]").unwrap_or(i64::MIN),
        bound("created[lt]").unwrap_or(i64::MAX),
    );
    let mut all = request.records(list_name);
    all.sort_by_key(|record| std::cmp::Reverse(record["created"].as_i64()));
    all.retain(|record| (from..to).contains(&record["created"].as_i64().unwrap()));
    let start = request.parameter("starting_after").map_or(0, |id| {
        let place = all.iter().position(|record| record["id"] == *id);
        request.require(place.is_some(), "starting_after names no object");
        place.map_or(all.len(), |place| place + 1)
    });
    let limit = request.number("limit").unwrap_or(10);
    let data = fake_provider::part(&all, start, limit);
    json!({ "object": "list", "url": request.path(), "has_more": start + data.len() < all.len(), "data": data })
}

fn customer(number: i64, created: i64) -> Json {
    json!({
        "id": format!("cus_{number:04}"),
        "object": "customer",
        "address": null,
        "balance": -number,
        "created": created,
        "currency": "usd",
        "delinquent": false,
        "description": null,
        "email": format!("{number}@example.com"),
        "invoice_prefix": "0759376C",
        "invoice_settings": { "custom_fields": null, "default_payment_method": null },
        "livemode": false,
        "metadata": { "plan": "gold" },
        "name": "Jenny Rosen",
        "phone": null,
    })
}

fn charge(number: i64, created: i64, status: &str) -> Json {
    json!({
        "id": format!("ch_{number:04}"),
        "object": "charge",
        "amount": 1099,
        "amount_captured": 1099,
        "amount_refunded": 0,
        "balance_transaction": "txn_1MiN3gLkdIwHu7ixxapQrznl",
        "captured": true,
        "created": created,
        "currency": "usd",
        "customer": "cus_0001",
        "disputed": false,
        "failure_code": null,
        "livemode": false,
        "metadata": {},
        "paid": true,
        "refunded": false,
        "status": status,
    })
}

async fn with_customers(setup: &Setup) {
    // One every ten hours, so that they fill more than a slice of the backfill, and the newest slice more than a page.
    setup.change_records("customers", |list| {
        list.extend((0..450).map(|n| customer(n, NOW - 60 - n * 6 * 3_600)));
    });
    setup.connect().await;
}

async fn customers_are_kept_equal(setup: Setup) {
    with_customers(&setup).await;

    let rows = setup.rows("customers").await;
    assert_eq!(rows.len(), 450);
    assert_eq!(rows[0]["id"], "cus_0000", "newest first");
    let row = setup.row("customers", "id", &json!("cus_0004")).await;
    assert_eq!(
        (
            &row["created"],
            &row["balance"],
            &row["delinquent"],
            &row["metadata"]
        ),
        (
            &json!("2026-11-03T11:59:00Z"),
            &json!(-4),
            &json!(false),
            &json!({ "plan": "gold" })
        )
    );

    setup.change("customers", "id", &json!("cus_0440"), |old| {
        old["email"] = json!("new@example.com");
    });
    setup.change_records("customers", |list| {
        list.retain(|customer| customer["id"] != "cus_0300");
        list.push(customer(9_000, NOW + 30));
    });
    setup.advance_and_run(Duration::from_hours(25)).await;
    let rows = setup.rows("customers").await;
    assert_eq!((rows.len(), &rows[0]["id"]), (450, &json!("cus_9000")));
    assert!(rows.iter().all(|row| row["id"] != "cus_0300"));
    assert_eq!(
        setup.row("customers", "id", &json!("cus_0440")).await["email"],
        "new@example.com"
    );
}

#[on_both_databases]
async fn customers_are_kept_equal_to_their_source(dialect: Dialect) {
    fake_provider::on(dialect, stripe(), customers_are_kept_equal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_begins_after_the_last_record_of_the_one_before() {
    let setup = Setup::of(stripe()).await;
    setup.change_records("subscriptions", |list| {
        list.extend((0..250).map(|n| {
            json!({
                "id": format!("sub_{n:04}"), "object": "subscription", "created": NOW - 60 - n, "status": "canceled",
                "customer": "cus_0001", "canceled_at": NOW - 30, "ended_at": null,
                "items": { "object": "list", "data": [{ "id": "si_1", "quantity": 2 }], "has_more": false },
            })
        }));
    });
    setup.connect().await;

    let rows = setup.rows("subscriptions").await;
    assert_eq!((rows.len(), &rows[0]["status"]), (250, &json!("canceled")));
    assert_eq!(
        (&rows[0]["items"], &rows[0]["canceled_at"]),
        (
            &json!([{ "id": "si_1", "quantity": 2 }]),
            &json!("2026-11-04T11:59:30Z")
        )
    );
    let places: Vec<_> = setup.queries("/v1/subscriptions").await;
    let after = |id: &str| {
        places
            .iter()
            .any(|query| query.contains(&format!("starting_after={id}")))
    };
    assert!(
        after("sub_0099") && after("sub_0199") && !after("sub_0249"),
        "{places:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_charge_is_rechecked_until_it_is_final() {
    let setup = Setup::of(stripe()).await;
    setup.change_records("charges", |list| {
        list.extend([
            charge(1, NOW - 20 * DAY, "pending"),
            charge(2, NOW - 20 * DAY - 1, "succeeded"),
        ]);
    });
    setup.connect().await;
    assert_eq!(setup.rows("charges").await.len(), 2);

    setup.change("charges", "id", &json!("ch_0001"), |charge| {
        charge["status"] = json!("failed");
    });
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(
        setup.row("charges", "id", &json!("ch_0001")).await["status"],
        "failed"
    );

    setup.change("charges", "id", &json!("ch_0002"), |charge| {
        charge["amount_refunded"] = json!(1099);
    });
    setup.advance_and_run(Duration::from_hours(25)).await;
    assert_eq!(
        setup.row("charges", "id", &json!("ch_0002")).await["amount_refunded"],
        1099
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused() {
    let setup = Setup::of(stripe()).await;
    let reported = setup.refusal(&json!({ "apiKey": "rk_test_bad" })).await;
    assert!(reported.contains("Invalid API Key provided"), "{reported}");

    let reply = setup
        .try_to_connect(&json!({ "apiKey": "pk_test_public" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_read_customers_is_verified_with_the_next_list() {
    let setup = Setup::of(stripe()).await;
    setup.respond_next(error(
        403,
        &json!({ "message": "The provided key 'rk_test_***good' does not have the required permissions for this endpoint.", "type": "invalid_request_error" }),
    ));
    setup.try_to_connect(&json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_retried() {
    let setup = Setup::of(stripe()).await;
    with_customers(&setup).await;
    let limited = json!({ "code": "rate_limit", "message": "Request rate limit exceeded.", "type": "invalid_request_error" });
    setup.respond_next(error(429, &limited).insert_header("Stripe-Rate-Limited-Reason", "global-rate"));
    setup.advance_and_run(Duration::from_mins(17)).await;
    setup.waited();
}
