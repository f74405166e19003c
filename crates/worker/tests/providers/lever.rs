//! Lever: pages by a token, times in milliseconds, the key as a user name, a 429 without a wait.
//!
//! Source of the shapes: the API documentation, <https://hire.lever.co/developer/documentation#list-all-opportunities>, `#list-all-postings`,
//! `#list-all-users` and `#pagination`.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

const DAY: i64 = 86_400_000;
const NOW_MILLIS: i64 = NOW * 1_000;

fn lever() -> FakeProvider {
    FakeProvider {
        provider: "lever",
        fields: json!({ "apiKey": "good" }),
        // The key and an empty password: `good:`.
        authorization: ("authorization", "Basic Z29vZDo=".to_owned()),
        refusal: error(401, "Unauthorized", "Unauthorized"),
        respond,
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    response(status, &json!({ "code": code, "message": message }))
}

/// See <https://hire.lever.co/developer/documentation#pagination>.
fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let list_name = request.path().strip_prefix("/v1/")?;
    let mut all = request.records(list_name);
    match list_name {
        "opportunities" => {
            request.only(&[
                "limit",
                "offset",
                "updated_at_start",
                "updated_at_end",
                "confidentiality",
            ]);
            leave_out_confidential(request, &mut all);
            let bound = |name: &str| request.parameter(name).map(|bound| bound.parse::<i64>().unwrap());
            let from = bound("updated_at_start").unwrap_or(i64::MIN);
            let to = bound("updated_at_end").unwrap_or(i64::MAX);
            all.retain(|record| (from..=to).contains(&record["updatedAt"].as_i64().unwrap()));
        }
        "users" => {
            request.only(&["limit", "offset", "includeDeactivated"]);
            if request.parameter("includeDeactivated").as_deref() != Some("true") {
                all.retain(|user| user["deactivatedAt"].is_null());
            }
        }
        "postings" => {
            request.only(&["limit", "offset", "confidentiality"]);
            leave_out_confidential(request, &mut all);
        }
        _ => return None,
    }
    let start = match request.parameter("offset") {
        None => 0,
        Some(token) => {
            let place = token.strip_prefix("tok%").and_then(|place| place.parse().ok());
            let Some(place) = place else {
                return Some(error(
                    400,
                    "BadRequestError",
                    "Invalid offset token: Offset token is invalid for sort",
                ));
            };
            place
        }
    };
    let limit = request.number("limit").unwrap_or(100);
    request.require(limit <= 100, "limit is 100 at most");
    let data = fake_provider::part(&all, start, limit);
    let end = start + data.len();
    let mut body = json!({ "data": data, "hasNext": end < all.len() });
    if end < all.len() {
        body["next"] = json!(format!("tok%{end}"));
    }
    ok(&body)
}

/// "confidentiality: … If unspecified, defaults to non-confidential", says the documentation of both lists.
fn leave_out_confidential(request: &ReceivedRequest<'_>, all: &mut Vec<Json>) {
    if request.parameter("confidentiality").as_deref() != Some("all") {
        all.retain(|record| record["confidentiality"] != "confidential");
    }
}

fn opportunity(number: i64, updated: i64) -> Json {
    json!({
        "id": format!("250d8f03-738a-4bba-a671-{number:012}"),
        "name": format!("Person {number}"),
        "contact": "7f23e772-f2cb-4ebb-b33f-54b872999992",
        "headline": "Brickly LLC",
        "emails": ["shane@example.com"],
        "stage": "00922a60-7c15-422b-b086-f62000824fd7",
        "archived": null,
        "owner": "8d49b010-cc6a-4f40-ace5-e86061c677ed",
        "origin": "sourced",
        "tags": ["San Francisco"],
        "confidentiality": if number % 7 == 0 { "confidential" } else { "non-confidential" },
        "createdAt": updated - 1_000,
        "updatedAt": updated,
        "lastInteractionAt": updated,
        "isAnonymized": false,
    })
}

async fn with_opportunities() -> Setup {
    let setup = Setup::of(lever()).await;
    setup.change_records("opportunities", |list| {
        list.extend((0..350).map(|n| opportunity(n, NOW_MILLIS - 60_000 - n * 3_600_000)));
        list.extend((350..400).map(|n| opportunity(n, NOW_MILLIS - n * DAY)));
    });
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opportunities_and_their_later_changes_are_read() {
    let setup = with_opportunities().await;
    setup.connect().await;
    let rows = setup.rows("opportunities").await;
    assert_eq!((rows.len(), &rows[0]["name"]), (400, &json!("Person 0")));
    let row = setup.row("opportunities", "name", &json!("Person 7")).await;
    assert_eq!(
        (
            &row["updated_at"],
            &row["emails"],
            &row["archived_at"],
            &row["stage"]
        ),
        (
            &json!("2026-11-04T04:59:00Z"),
            &json!(["shane@example.com"]),
            &Json::Null,
            &json!("00922a60-7c15-422b-b086-f62000824fd7")
        )
    );
    let pages = setup.queries("/v1/opportunities").await;
    for token in ["offset=tok%25100", "offset=tok%25200", "offset=tok%25300"] {
        assert!(
            pages.iter().any(|page| page.contains(token)),
            "{token}: {pages:#?}"
        );
    }

    setup.change("opportunities", "name", &json!("Person 390"), |record| {
        record["archived"] = json!({ "reason": "63dd55b2", "archivedAt": NOW_MILLIS + 30_000 });
        record["updatedAt"] = json!(NOW_MILLIS + 30_000);
    });
    setup.change_records("opportunities", |list| {
        list.push(opportunity(9_000, NOW_MILLIS + 60_000));
    });
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(setup.rows("opportunities").await.len(), 401);
    let row = setup.row("opportunities", "name", &json!("Person 390")).await;
    assert_eq!(
        (&row["archived_reason"], &row["archived_at"]),
        (&json!("63dd55b2"), &json!("2026-11-04T12:00:30Z"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postings_and_users_are_kept_equal_to_the_account() {
    let setup = Setup::of(lever()).await;
    setup.change_records("postings", |list| {
        list.extend((0..210).map(|n| {
            json!({
                "id": format!("posting-{n}"), "text": "Engineer", "state": "published", "createdAt": NOW_MILLIS - n, "updatedAt": NOW_MILLIS,
                "confidentiality": if n % 7 == 0 { "confidential" } else { "non-confidential" },
                "categories": { "team": "Platform", "location": "Remote", "commitment": "Full-time" }, "tags": [],
            })
        }));
    });
    setup.change_records("users", |list| {
        list.extend([
            json!({ "id": "u1", "name": "Chandler", "email": "c@example.com", "accessRole": "super admin", "createdAt": NOW_MILLIS, "deactivatedAt": null }),
            json!({ "id": "u2", "name": "Rachel", "email": "r@example.com", "accessRole": "interviewer", "createdAt": NOW_MILLIS, "deactivatedAt": NOW_MILLIS }),
        ]);
    });
    setup.connect().await;
    assert_eq!(setup.rows("postings").await.len(), 210);
    let row = setup.row("postings", "id", &json!("posting-9")).await;
    assert_eq!(
        (&row["title"], &row["team"], &row["department"]),
        (&json!("Engineer"), &json!("Platform"), &Json::Null)
    );
    let row = setup.row("users", "id", &json!("u2")).await;
    assert_eq!(row["deactivated_at"], "2026-11-04T12:00:00Z");

    setup.change("postings", "id", &json!("posting-9"), |posting| {
        posting["state"] = json!("closed");
    });
    setup.change_records("postings", |list| {
        list.retain(|posting| posting["id"] != "posting-8");
    });
    setup.advance_and_run(Duration::from_mins(62)).await;
    assert_eq!(setup.rows("postings").await.len(), 209);
    assert_eq!(
        setup.row("postings", "id", &json!("posting-9")).await["state"],
        "closed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_and_one_for_opportunities_alone_is_accepted() {
    let setup = Setup::of(lever()).await;
    let reported = setup.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(reported.contains("Unauthorized"), "{reported}");

    setup.respond_next(error(403, "Forbidden", "Forbidden"));
    setup.try_to_connect(&json!({})).await.expect(201);
    assert_eq!(
        setup
            .queries_to_connect("/v1/opportunities")
            .await
            .first()
            .unwrap(),
        "limit=1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_requests_are_retried() {
    let setup = with_opportunities().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    setup.respond_next(error(
        429,
        "TooManyRequests",
        "Your account has exceeded the rate limit.",
    ));
    setup.run_due().await;
    // Lever does not say how long to wait, so the usual backoff applies.
    let _ = setup.waited();
    assert_eq!(setup.rows("opportunities").await.len(), 400);
}
