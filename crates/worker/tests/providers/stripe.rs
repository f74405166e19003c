//! Stripe: pages by the last record's id, ranges of creation, amounts in the smallest unit.
//!
//! Source of the shapes: the API reference, <https://docs.stripe.com/api/customers/list>, <https://docs.stripe.com/api/charges/list>,
//! <https://docs.stripe.com/api/subscriptions/list> and <https://docs.stripe.com/api/pagination>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, NOW, Play, Stage, answer, ok};

const DAY: i64 = 86_400;

fn stripe() -> Play {
    Play {
        provider: "stripe",
        fields: json!({ "apiKey": "rk_test_good" }),
        authorization: ("authorization", "Bearer rk_test_good".to_owned()),
        refusal: error(
            401,
            &json!({ "message": "Invalid API Key provided: rk_test_***bad", "type": "invalid_request_error" }),
        ),
        answers,
    }
}

fn error(status: u16, error: &Json) -> ResponseTemplate {
    answer(status, &json!({ "error": error }))
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.demand(
        asked.header("stripe-version") == Some("2025-06-30.basil"),
        "the version is not asked for",
    );
    let path = asked.path().strip_prefix("/v1/")?;
    match path.split_once('/') {
        None if ["customers", "charges", "subscriptions"].contains(&path) => ok(&list(asked, path)),
        Some((shelf, id)) => {
            let found = asked.shelf(shelf).into_iter().find(|record| record["id"] == id);
            let missing = json!({ "code": "resource_missing", "message": format!("No such object: '{id}'"), "type": "invalid_request_error" });
            Some(found.map_or_else(|| error(404, &missing), |found| answer(200, &found)))
        }
        None => None,
    }
}

/// A page of a list, newest first, as <https://docs.stripe.com/api/pagination> tells.
fn list(asked: &Asked<'_>, shelf: &str) -> Json {
    asked.only(&["limit", "starting_after", "created[gte]", "created[lt]", "status"]);
    let wants_all = asked.parameter("status").as_deref() == Some("all");
    asked.demand(
        wants_all == (shelf == "subscriptions") || asked.number("limit") == Some(1),
        "which status",
    );
    let bound = |name: &str| asked.parameter(name).map(|bound| bound.parse::<i64>().unwrap());
    let (from, to) = (
        bound("created[gte]").unwrap_or(i64::MIN),
        bound("created[lt]").unwrap_or(i64::MAX),
    );
    let mut all = asked.shelf(shelf);
    all.sort_by_key(|record| std::cmp::Reverse(record["created"].as_i64()));
    all.retain(|record| (from..to).contains(&record["created"].as_i64().unwrap()));
    let start = asked.parameter("starting_after").map_or(0, |id| {
        let place = all.iter().position(|record| record["id"] == *id);
        asked.demand(place.is_some(), "starting_after names no object");
        place.map_or(all.len(), |place| place + 1)
    });
    let limit = asked.number("limit").unwrap_or(10);
    let data = stage::part(&all, start, limit);
    json!({ "object": "list", "url": asked.path(), "has_more": start + data.len() < all.len(), "data": data })
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

async fn with_customers(stage: &Stage) {
    // One every ten hours, so that they fill more than a slice of the first reading, and the newest slice more than a page.
    stage.shelve("customers", |list| {
        list.extend((0..450).map(|n| customer(n, NOW - 60 - n * 6 * 3_600)));
    });
    stage.connect().await;
}

async fn customers_are_kept_equal(stage: Stage) {
    with_customers(&stage).await;

    let rows = stage.rows("customers").await;
    assert_eq!(rows.len(), 450);
    assert_eq!(rows[0]["id"], "cus_0000", "newest first");
    let row = stage.row("customers", "id", &json!("cus_0004")).await;
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

    stage.change("customers", "id", &json!("cus_0440"), |old| {
        old["email"] = json!("new@example.com");
    });
    stage.shelve("customers", |list| {
        list.retain(|customer| customer["id"] != "cus_0300");
        list.push(customer(9_000, NOW + 30));
    });
    stage.pass(Duration::from_hours(25)).await;
    let rows = stage.rows("customers").await;
    assert_eq!((rows.len(), &rows[0]["id"]), (450, &json!("cus_9000")));
    assert!(rows.iter().all(|row| row["id"] != "cus_0300"));
    assert_eq!(
        stage.row("customers", "id", &json!("cus_0440")).await["email"],
        "new@example.com"
    );
}

#[on_both_databases]
async fn customers_are_kept_equal_to_their_source(dialect: Dialect) {
    stage::on(dialect, stripe(), customers_are_kept_equal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_begins_after_the_last_record_of_the_one_before() {
    let stage = Stage::of(stripe()).await;
    stage.shelve("subscriptions", |list| {
        list.extend((0..250).map(|n| {
            json!({
                "id": format!("sub_{n:04}"), "object": "subscription", "created": NOW - 60 - n, "status": "canceled",
                "customer": "cus_0001", "canceled_at": NOW - 30, "ended_at": null,
                "items": { "object": "list", "data": [{ "id": "si_1", "quantity": 2 }], "has_more": false },
            })
        }));
    });
    stage.connect().await;

    let rows = stage.rows("subscriptions").await;
    assert_eq!((rows.len(), &rows[0]["status"]), (250, &json!("canceled")));
    assert_eq!(
        (&rows[0]["items"], &rows[0]["canceled_at"]),
        (
            &json!([{ "id": "si_1", "quantity": 2 }]),
            &json!("2026-11-04T11:59:30Z")
        )
    );
    let places: Vec<_> = stage.queries("/v1/subscriptions").await;
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
    let stage = Stage::of(stripe()).await;
    stage.shelve("charges", |list| {
        list.extend([
            charge(1, NOW - 20 * DAY, "pending"),
            charge(2, NOW - 20 * DAY - 1, "succeeded"),
        ]);
    });
    stage.connect().await;
    assert_eq!(stage.rows("charges").await.len(), 2);

    stage.change("charges", "id", &json!("ch_0001"), |charge| {
        charge["status"] = json!("failed");
    });
    stage.pass(Duration::from_mins(17)).await;
    assert_eq!(
        stage.row("charges", "id", &json!("ch_0001")).await["status"],
        "failed"
    );

    stage.change("charges", "id", &json!("ch_0002"), |charge| {
        charge["amount_refunded"] = json!(1099);
    });
    stage.pass(Duration::from_hours(25)).await;
    assert_eq!(
        stage.row("charges", "id", &json!("ch_0002")).await["amount_refunded"],
        1099
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused() {
    let stage = Stage::of(stripe()).await;
    let told = stage.refusal(&json!({ "apiKey": "rk_test_bad" })).await;
    assert!(told.contains("Invalid API Key provided"), "{told}");

    let reply = stage
        .try_to_connect(&json!({ "apiKey": "pk_test_public" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_read_customers_is_verified_with_the_next_list() {
    let stage = Stage::of(stripe()).await;
    stage.first_answer(error(
        403,
        &json!({ "message": "The provided key 'rk_test_***good' does not have the required permissions for this endpoint.", "type": "invalid_request_error" }),
    ));
    stage.try_to_connect(&json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_retried() {
    let stage = Stage::of(stripe()).await;
    with_customers(&stage).await;
    let limited = json!({ "code": "rate_limit", "message": "Request rate limit exceeded.", "type": "invalid_request_error" });
    stage.first_answer(error(429, &limited).insert_header("Stripe-Rate-Limited-Reason", "global-rate"));
    stage.pass(Duration::from_mins(17)).await;
    stage.waited();
}
