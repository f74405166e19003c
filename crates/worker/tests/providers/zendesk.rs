//! Zendesk: changed tickets by a cursor that never ends, and other lists by one that says when it does.
//!
//! Source of the shapes: the API reference, <https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/>,
//! <https://developer.zendesk.com/api-reference/ticketing/organizations/organizations/#list-organizations> and
//! <https://developer.zendesk.com/api-reference/introduction/pagination/>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{Asked, NOW, Play, Stage, answer, ok, part};

fn zendesk() -> Play {
    Play {
        provider: "zendesk",
        fields: json!({ "subdomain": "acme", "email": "ann@example.com", "apiToken": "good" }),
        // `ann@example.com/token:good` in Base64.
        authorization: (
            "authorization",
            "Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOmdvb2Q=".to_owned(),
        ),
        refusal: answer(401, &json!({ "error": "Couldn't authenticate you" })),
        answers,
    }
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    match asked.path() {
        "/api/v2/incremental/tickets/cursor.json" => changed(asked, "tickets", |ticket| {
            ticket["generated_timestamp"].as_i64().unwrap()
        }),
        "/api/v2/incremental/users/cursor.json" => changed(asked, "users", |user| {
            let updated: domain::Timestamp = user["updated_at"].as_str().unwrap().parse().unwrap();
            updated.as_micros() / 1_000_000
        }),
        // To try the token.
        "/api/v2/users.json" => list(asked, "users"),
        "/api/v2/organizations.json" => list(asked, "organizations"),
        _ => None,
    }
}

/// Of 100 records a page; the last page has an address of the next one too.
fn changed(asked: &Asked<'_>, shelf: &str, time: fn(&Json) -> i64) -> Option<ResponseTemplate> {
    asked.only(&["start_time", "per_page", "cursor"]);
    let (since, skip) = match (asked.parameter("start_time"), asked.parameter("cursor")) {
        (Some(start), None) => (start.parse::<i64>().unwrap(), 0),
        (None, Some(cursor)) => {
            let (since, skip) = cursor.split_once('.').unwrap();
            (since.parse().unwrap(), skip.parse().unwrap())
        }
        _ => {
            asked.demand(false, "either start_time or cursor");
            return None;
        }
    };
    asked.demand(since <= NOW + 3_600 * 48, "start_time is in the past");
    let mut records = asked.shelf(shelf);
    records.retain(|record| time(record) >= since);
    records.sort_by_key(time);
    let shown = part(&records, skip, 100);
    let cursor = format!("{since}.{}", skip + shown.len());
    ok(&json!({
        "end_of_stream": skip + shown.len() == records.len(),
        "after_cursor": cursor,
        "after_url": format!("https://acme.zendesk.com{}?cursor={cursor}&per_page=1000", asked.path()),
        "before_cursor": null,
        "before_url": null,
        shelf: shown,
    }))
}

fn list(asked: &Asked<'_>, shelf: &str) -> Option<ResponseTemplate> {
    asked.only(&["page[size]", "page[after]"]);
    let size = asked.number("page[size]").unwrap();
    asked.demand(size <= 100, "a page has 100 records at most");
    let (all, skip) = (asked.shelf(shelf), asked.number("page[after]").unwrap_or(0));
    let shown = part(&all, skip, size);
    let end = skip + shown.len();
    let cursor = if shown.is_empty() {
        json!(null)
    } else {
        json!(end.to_string())
    };
    ok(
        &json!({ shelf: shown, "meta": { "has_more": end < all.len(), "after_cursor": cursor, "before_cursor": null }, "links": {} }),
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
    let stage = Stage::of(zendesk()).await;
    stage.shelve("tickets", |list| {
        list.extend((0..250).map(|n| ticket(n, NOW - 90 * 86_400 + n)));
    });
    stage.connect().await;

    assert_eq!(stage.rows("tickets").await.len(), 250);
    let row = stage.row("tickets", "id", &json!("7")).await;
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
    let first = stage.queries(path).await.len();
    assert_eq!(first, 4, "three pages, and then the last month in one");

    stage.change("tickets", "id", &json!(7), |ticket| {
        ticket["status"] = json!("deleted");
        ticket["generated_timestamp"] = json!(NOW + 5);
    });
    let limited =
        ResponseTemplate::new(429).set_body_string("Number of allowed API requests per minute exceeded");
    stage.first_answer(limited.insert_header("retry-after", "1"));
    stage.pass(Duration::from_mins(12)).await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.row("tickets", "id", &json!("7")).await["status"], "deleted");
    assert_eq!(
        stage.queries(path).await.len(),
        first + 2,
        "put off, and then answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_equal() {
    let stage = Stage::of(zendesk()).await;
    stage.shelve("users", |list| list.extend((0..250).map(user)));
    stage.shelve("organizations", |list| {
        list.push(json!({ "id": 1, "name": "Acme", "domain_names": ["acme.example"] }));
    });
    stage.connect().await;
    assert_eq!(stage.rows("users").await.len(), 250);
    assert_eq!(
        stage.rows("organizations").await[0]["domain_names"],
        json!(["acme.example"])
    );
    let path = "/api/v2/incremental/users/cursor.json";
    let first = stage.queries(path).await.len();

    stage.change("users", "id", &json!(0), |user| {
        user["active"] = json!(false);
        user["updated_at"] = json!("2026-11-04T12:30:00Z");
    });
    stage.pass(Duration::from_mins(67)).await;
    assert_eq!(stage.rows("users").await.len(), 250);
    assert_eq!(
        stage.row("users", "id", &json!("0")).await["active"],
        false,
        "a deleted user is told as such"
    );
    assert_eq!(stage.queries(path).await.len(), first + 1, "changes alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let stage = Stage::of(zendesk()).await;
    let told = stage.refusal(&json!({ "apiToken": "bad" })).await;
    assert!(
        told.contains("Couldn't authenticate you") && told.contains("Admin Center"),
        "{told}"
    );
    let connected = stage.try_to_connect(&json!({})).await.expect(201).json();
    assert!(
        connected["notice"].as_str().unwrap().contains("30 April 2027"),
        "{connected}"
    );
    let reply = stage
        .try_to_connect(&json!({ "subdomain": "acme.zendesk.com" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["subdomain"], "{}", reply.text);
}
