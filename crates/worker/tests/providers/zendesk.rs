//! Zendesk: changed tickets by a cursor that never ends, and other lists by one with an end flag.
//!
//! Source of the shapes: the API reference, <https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/>,
//! <https://developer.zendesk.com/api-reference/ticketing/organizations/organizations/#list-organizations> and
//! <https://developer.zendesk.com/api-reference/introduction/pagination/>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, ok, part, response};

fn zendesk() -> FakeProvider {
    FakeProvider {
        provider: "zendesk",
        fields: json!({ "subdomain": "acme", "email": "ann@example.com", "apiToken": "good" }),
        // `ann@example.com/token:good` in Base64.
        authorization: (
            "authorization",
            "Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOmdvb2Q=".to_owned(),
        ),
        refusal: response(401, &json!({ "error": "Couldn't authenticate you" })),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    match request.path() {
        "/api/v2/incremental/tickets/cursor.json" => changed(request, "tickets", |ticket| {
            ticket["generated_timestamp"].as_i64().unwrap()
        }),
        "/api/v2/incremental/users/cursor.json" => changed(request, "users", |user| {
            let updated: domain::Timestamp = user["updated_at"].as_str().unwrap().parse().unwrap();
            updated.as_micros() / 1_000_000
        }),
        // To verify the token.
        "/api/v2/users.json" => list(request, "users"),
        "/api/v2/organizations.json" => list(request, "organizations"),
        _ => None,
    }
}

/// Pages of 100 records; the last page has a next link, too.
fn changed(
    request: &ReceivedRequest<'_>,
    list_name: &str,
    time: fn(&Json) -> i64,
) -> Option<ResponseTemplate> {
    request.only(&["start_time", "per_page", "cursor"]);
    let (since, skip) = match (request.parameter("start_time"), request.parameter("cursor")) {
        (Some(start), None) => (start.parse::<i64>().unwrap(), 0),
        (None, Some(cursor)) => {
            let (since, skip) = cursor.split_once('.').unwrap();
            (since.parse().unwrap(), skip.parse().unwrap())
        }
        _ => {
            request.require(false, "either start_time or cursor");
            return None;
        }
    };
    request.require(since <= NOW + 3_600 * 48, "start_time is in the past");
    let mut records = request.records(list_name);
    records.retain(|record| time(record) >= since);
    records.sort_by_key(time);
    let shown = part(&records, skip, 100);
    let cursor = format!("{since}.{}", skip + shown.len());
    ok(&json!({
        "end_of_stream": skip + shown.len() == records.len(),
        "after_cursor": cursor,
        "after_url": format!("https://acme.zendesk.com{}?cursor={cursor}&per_page=1000", request.path()),
        "before_cursor": null,
        "before_url": null,
        list_name: shown,
    }))
}

fn list(request: &ReceivedRequest<'_>, list_name: &str) -> Option<ResponseTemplate> {
    request.only(&["page[size]", "page[after]"]);
    let size = request.number("page[size]").unwrap();
    request.require(size <= 100, "a page has 100 records at most");
    let (all, skip) = (
        request.records(list_name),
        request.number("page[after]").unwrap_or(0),
    );
    let shown = part(&all, skip, size);
    let end = skip + shown.len();
    let cursor = if shown.is_empty() {
        json!(null)
    } else {
        json!(end.to_string())
    };
    ok(
        &json!({ list_name: shown, "meta": { "has_more": end < all.len(), "after_cursor": cursor, "before_cursor": null }, "links": {} }),
    )
}

fn ticket(number: i64, changed: i64) -> Json {
    json!({
        "id": number,
        "subject": "Help, my printer is on fire!",
        "description": "The fire is very colorful.",
        "status": "open",
        "priority": "high",
        "type": "incident",
        "requester_id": 20_978_392,
        "assignee_id": null,
        "organization_id": 509_974,
        "tags": ["enterprise"],
        "via": { "channel": "web", "source": {} },
        "custom_fields": [{ "id": 27_642, "value": "745" }],
        "satisfaction_rating": { "score": "good" },
        "has_incidents": false,
        "due_at": null,
        "created_at": "2009-07-20T22:55:29Z",
        "updated_at": "2011-05-05T10:38:52Z",
        "generated_timestamp": changed,
    })
}

fn user(number: i64) -> Json {
    json!({ "id": number, "name": "Ann", "email": format!("{number}@example.com"), "role": "end-user", "active": true, "created_at": "2009-07-20T22:55:29Z", "updated_at": "2026-05-05T10:38:52Z" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_read_since_their_last_change() {
    let setup = Setup::of(zendesk()).await;
    setup.change_records("tickets", |list| {
        list.extend((0..250).map(|n| ticket(n, NOW - 90 * 86_400 + n)));
    });
    setup.connect().await;

    assert_eq!(setup.rows("tickets").await.len(), 250);
    let row = setup.row("tickets", "id", &json!("7")).await;
    assert_eq!(
        (
            &row["channel"],
            &row["requester_id"],
            &row["tags"],
            &row["generated_timestamp"]
        ),
        (
            &json!("web"),
            &json!("20978392"),
            &json!(["enterprise"]),
            &json!("2026-08-06T12:00:07Z")
        )
    );
    let path = "/api/v2/incremental/tickets/cursor.json";
    let first = setup.queries(path).await.len();
    assert_eq!(first, 4, "three pages, and then the last month in one");

    setup.change("tickets", "id", &json!(7), |ticket| {
        ticket["status"] = json!("deleted");
        ticket["generated_timestamp"] = json!(NOW + 5);
    });
    let limited =
        ResponseTemplate::new(429).set_body_string("Number of allowed API requests per minute exceeded");
    setup.respond_next(limited.insert_header("retry-after", "1"));
    setup.advance_and_run(Duration::from_mins(12)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.row("tickets", "id", &json!("7")).await["status"], "deleted");
    assert_eq!(
        setup.queries(path).await.len(),
        first + 2,
        "put off, and then answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_equal() {
    let setup = Setup::of(zendesk()).await;
    setup.change_records("users", |list| list.extend((0..250).map(user)));
    setup.change_records("organizations", |list| {
        list.push(json!({ "id": 1, "name": "Acme", "domain_names": ["acme.example"] }));
    });
    setup.connect().await;
    assert_eq!(setup.rows("users").await.len(), 250);
    assert_eq!(
        setup.rows("organizations").await[0]["domain_names"],
        json!(["acme.example"])
    );
    let path = "/api/v2/incremental/users/cursor.json";
    let first = setup.queries(path).await.len();

    setup.change("users", "id", &json!(0), |user| {
        user["active"] = json!(false);
        user["updated_at"] = json!("2026-11-04T12:30:00Z");
    });
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert_eq!(setup.rows("users").await.len(), 250);
    assert_eq!(
        setup.row("users", "id", &json!("0")).await["active"],
        false,
        "a deleted user is shown as deleted"
    );
    assert_eq!(setup.queries(path).await.len(), first + 1, "changes alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let setup = Setup::of(zendesk()).await;
    let reported = setup.refusal(&json!({ "apiToken": "bad" })).await;
    assert!(
        reported.contains("Couldn't authenticate you") && reported.contains("Admin Center"),
        "{reported}"
    );
    let connected = setup.try_to_connect(&json!({})).await.expect(201).json();
    assert!(
        connected["notice"].as_str().unwrap().contains("30 April 2027"),
        "{connected}"
    );
    let reply = setup
        .try_to_connect(&json!({ "subdomain": "acme.zendesk.com" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["subdomain"], "{}", reply.text);
}
