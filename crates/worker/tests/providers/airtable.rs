//! Airtable: a token for the next page, and a sync that waits for a base and a table.
//!
//! Source of the shapes: the Web API reference, <https://airtable.com/developers/web/api/list-bases>, <https://airtable.com/developers/web/api/list-records> and
//! <https://airtable.com/developers/web/api/errors>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{Asked, Play, Stage, answer, ok, part};

fn airtable() -> Play {
    Play {
        provider: "airtable",
        fields: json!({ "apiKey": "patgood.good", "baseId": "appAcme", "tableId": "Open deals" }),
        authorization: ("authorization", "Bearer patgood.good".to_owned()),
        refusal: error(401, "AUTHENTICATION_REQUIRED", "Authentication required"),
        answers,
    }
}

fn error(status: u16, kind: &str, message: &str) -> ResponseTemplate {
    answer(status, &json!({ "error": { "type": kind, "message": message } }))
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    let (shelf, size) = match asked.path() {
        "/v0/meta/whoami" => return ok(&json!({ "id": "usrL2PNC5o3H4lBEi" })),
        "/v0/meta/bases" => ("bases", 1_000),
        "/v0/appAcme/Open%20deals" => {
            asked.only(&["pageSize", "offset"]);
            asked.demand(asked.number("pageSize") == Some(100), "100 records a page");
            ("records", 100)
        }
        _ => return None,
    };
    let all = asked.shelf(shelf);
    let skip = asked
        .parameter("offset")
        .map_or(0, |offset| offset.strip_prefix("itr/").unwrap().parse().unwrap());
    let shown = part(&all, skip, size);
    let end = skip + shown.len();
    let mut page = json!({ shelf: shown });
    if end < all.len() {
        page["offset"] = json!(format!("itr/{end}"));
    }
    ok(&page)
}

fn record(number: u32) -> Json {
    json!({
        "id": format!("rec{number:04}"),
        "createdTime": "2022-09-12T21:03:48.000Z",
        "fields": { "Name": format!("Union Square {number}"), "Visited": true },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_kept_equal_once_their_sync_is_started() {
    let stage = Stage::of(airtable()).await;
    stage.shelve("bases", |list| {
        list.push(json!({ "id": "appAcme", "name": "Deals", "permissionLevel": "create" }));
    });
    stage.shelve("records", |list| list.extend((0..250).map(record)));
    stage.connect().await;
    assert_eq!(stage.rows("bases").await[0]["permission_level"], "create");
    assert!(stage.rows("records").await.is_empty(), "not started");

    stage.start("airtable-records").await;
    assert_eq!(stage.rows("records").await.len(), 250);
    let row = stage.row("records", "id", &json!("rec0007")).await;
    assert_eq!(
        (&row["fields"], &row["created_time"]),
        (
            &json!({ "Name": "Union Square 7", "Visited": true }),
            &json!("2022-09-12T21:03:48Z")
        )
    );
    let path = "/v0/appAcme/Open%20deals";
    assert_eq!(
        stage.queries(path).await,
        [
            "pageSize=100",
            "pageSize=100&offset=itr%2F100",
            "pageSize=100&offset=itr%2F200"
        ]
    );

    stage.shelve("records", |list| list.truncate(249));
    stage.change("records", "id", &json!("rec0007"), |record| {
        record["fields"] = json!({});
    });
    stage.first_answer(error(
        429,
        "RATE_LIMIT_REACHED",
        "Rate limit exceeded. Please try again later",
    ));
    stage.pass(Duration::from_mins(12 * 60 + 2)).await;
    stage.waited();
    assert_eq!(stage.rows("records").await.len(), 249);
    assert_eq!(
        stage.row("records", "id", &json!("rec0007")).await["fields"],
        json!({})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_a_full_base_keeps_within_the_free_plan() {
    let stage = Stage::of(airtable()).await;
    stage.shelve("bases", |list| {
        list.push(json!({ "id": "appAcme", "name": "Deals", "permissionLevel": "create" }));
    });
    // A base of the Free plan holds 1000 records.
    stage.shelve("records", |list| list.extend((0..1_000).map(record)));
    stage.connect().await;
    stage.start("airtable-records").await;
    let before = calls(&stage).await;
    for _ in 0..4 {
        stage.pass(Duration::from_mins(12 * 60 + 2)).await;
    }
    let two_days = calls(&stage).await - before;
    assert!(
        two_days >= 40 && two_days * 15 < 1_000,
        "{two_days} calls in two days"
    );
}

/// Calls that count against the month's.
async fn calls(stage: &Stage) -> usize {
    let (bases, records) = (
        stage.queries("/v0/meta/bases").await,
        stage.queries("/v0/appAcme/Open%20deals").await,
    );
    bases.len() + records.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hint_mentions_the_monthly_quota() {
    let stage = Stage::of(airtable()).await;
    stage.connect().await;
    // Of the month's limit Airtable documents the status alone. The wait is longer than a run waits.
    stage.first_answer(answer(429, &json!({})).insert_header("retry-after", "3600"));
    let run = stage.pass_to_failure(Duration::from_hours(25)).await;
    let hint = run["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("quota of this month"), "{hint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let stage = Stage::of(airtable()).await;
    let told = stage.refusal(&json!({ "apiKey": "patbad.bad" })).await;
    assert!(
        told.contains("AUTHENTICATION_REQUIRED") && told.contains("create/tokens"),
        "{told}"
    );
}
