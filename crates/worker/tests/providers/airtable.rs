//! Airtable: a token for the next page, and a sync that needs a base and a table before it starts.
//!
//! Source of the shapes: the Web API reference, <https://airtable.com/developers/web/api/list-bases>, <https://airtable.com/developers/web/api/list-records> and
//! <https://airtable.com/developers/web/api/errors>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, ReceivedRequest, Setup, ok, part, response};

fn airtable() -> FakeProvider {
    FakeProvider {
        provider: "airtable",
        fields: json!({ "apiKey": "patgood.good", "baseId": "appAcme", "tableId": "Open deals" }),
        authorization: ("authorization", "Bearer patgood.good".to_owned()),
        refusal: error(401, "AUTHENTICATION_REQUIRED", "Authentication required"),
        respond,
    }
}

fn error(status: u16, kind: &str, message: &str) -> ResponseTemplate {
    response(status, &json!({ "error": { "type": kind, "message": message } }))
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let (list_name, size) = match request.path() {
        "/v0/meta/whoami" => return ok(&json!({ "id": "usrL2PNC5o3H4lBEi" })),
        "/v0/meta/bases" => ("bases", 1_000),
        "/v0/appAcme/Open%20deals" => {
            request.only(&["pageSize", "offset"]);
            request.require(request.number("pageSize") == Some(100), "100 records a page");
            ("records", 100)
        }
        _ => return None,
    };
    let all = request.records(list_name);
    let skip = request
        .parameter("offset")
        .map_or(0, |offset| offset.strip_prefix("itr/").unwrap().parse().unwrap());
    let shown = part(&all, skip, size);
    let end = skip + shown.len();
    let mut page = json!({ list_name: shown });
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
    let setup = Setup::of(airtable()).await;
    setup.change_records("bases", |list| {
        list.push(json!({ "id": "appAcme", "name": "Deals", "permissionLevel": "create" }));
    });
    setup.change_records("records", |list| list.extend((0..250).map(record)));
    setup.connect().await;
    assert_eq!(setup.rows("bases").await[0]["permission_level"], "create");
    assert!(setup.rows("records").await.is_empty(), "not started");

    setup.start("airtable-records").await;
    assert_eq!(setup.rows("records").await.len(), 250);
    let row = setup.row("records", "id", &json!("rec0007")).await;
    assert_eq!(
        (&row["fields"], &row["created_time"]),
        (
            &json!({ "Name": "Union Square 7", "Visited": true }),
            &json!("2022-09-12T21:03:48Z")
        )
    );
    let path = "/v0/appAcme/Open%20deals";
    assert_eq!(
        setup.queries(path).await,
        [
            "pageSize=100",
            "pageSize=100&offset=itr%2F100",
            "pageSize=100&offset=itr%2F200"
        ]
    );

    setup.change_records("records", |list| list.truncate(249));
    setup.change("records", "id", &json!("rec0007"), |record| {
        record["fields"] = json!({});
    });
    setup.respond_next(error(
        429,
        "RATE_LIMIT_REACHED",
        "Rate limit exceeded. Please try again later",
    ));
    setup.advance_and_run(Duration::from_mins(12 * 60 + 2)).await;
    setup.waited();
    assert_eq!(setup.rows("records").await.len(), 249);
    assert_eq!(
        setup.row("records", "id", &json!("rec0007")).await["fields"],
        json!({})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_a_full_base_keeps_within_the_free_plan() {
    let setup = Setup::of(airtable()).await;
    setup.change_records("bases", |list| {
        list.push(json!({ "id": "appAcme", "name": "Deals", "permissionLevel": "create" }));
    });
    // A base of the Free plan holds 1000 records.
    setup.change_records("records", |list| list.extend((0..1_000).map(record)));
    setup.connect().await;
    setup.start("airtable-records").await;
    let before = calls(&setup).await;
    for _ in 0..4 {
        setup.advance_and_run(Duration::from_mins(12 * 60 + 2)).await;
    }
    let two_days = calls(&setup).await - before;
    assert!(
        two_days >= 40 && two_days * 15 < 1_000,
        "{two_days} requests in two days"
    );
}

/// Returns the number of requests that count against the monthly quota.
async fn calls(setup: &Setup) -> usize {
    let (bases, records) = (
        setup.queries("/v0/meta/bases").await,
        setup.queries("/v0/appAcme/Open%20deals").await,
    );
    bases.len() + records.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hint_mentions_the_monthly_quota() {
    let setup = Setup::of(airtable()).await;
    setup.connect().await;
    // Airtable documents only the status of the monthly limit. The wait is longer than a run waits.
    setup.respond_next(response(429, &json!({})).insert_header("retry-after", "3600"));
    let run = setup.advance_to_failure(Duration::from_hours(25)).await;
    let hint = run["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("quota of this month"), "{hint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let setup = Setup::of(airtable()).await;
    let reported = setup.refusal(&json!({ "apiKey": "patbad.bad" })).await;
    assert!(
        reported.contains("AUTHENTICATION_REQUIRED") && reported.contains("create/tokens"),
        "{reported}"
    );
}
