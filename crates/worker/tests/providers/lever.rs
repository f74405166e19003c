//! Lever: pages by a token, times in milliseconds, the key as a user name, a 429 that does not say how long to wait.
//!
//! Source of the shapes: the API documentation, <https://hire.lever.co/developer/documentation#list-all-opportunities>, `#list-all-postings`,
//! `#list-all-users` and `#pagination`.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, NOW, Play, Stage, answer, ok};

const DAY: i64 = 86_400_000;
const NOW_MILLIS: i64 = NOW * 1_000;

fn lever() -> Play {
    Play {
        provider: "lever",
        fields: json!({ "apiKey": "good" }),
        // The key and an empty password: `good:`.
        authorization: ("authorization", "Basic Z29vZDo=".to_owned()),
        refusal: error(401, "Unauthorized", "Unauthorized"),
        answers,
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    answer(status, &json!({ "code": code, "message": message }))
}

/// As <https://hire.lever.co/developer/documentation#pagination> tells.
fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    let shelf = asked.path().strip_prefix("/v1/")?;
    let mut all = asked.shelf(shelf);
    match shelf {
        "opportunities" => {
            asked.only(&[
                "limit",
                "offset",
                "updated_at_start",
                "updated_at_end",
                "confidentiality",
            ]);
            leave_out_confidential(asked, &mut all);
            let bound = |name: &str| asked.parameter(name).map(|bound| bound.parse::<i64>().unwrap());
            let from = bound("updated_at_start").unwrap_or(i64::MIN);
            let to = bound("updated_at_end").unwrap_or(i64::MAX);
            all.retain(|record| (from..=to).contains(&record["updatedAt"].as_i64().unwrap()));
        }
        "users" => {
            asked.only(&["limit", "offset", "includeDeactivated"]);
            if asked.parameter("includeDeactivated").as_deref() != Some("true") {
                all.retain(|user| user["deactivatedAt"].is_null());
            }
        }
        "postings" => {
            asked.only(&["limit", "offset", "confidentiality"]);
            leave_out_confidential(asked, &mut all);
        }
        _ => return None,
    }
    let start = match asked.parameter("offset") {
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
    let limit = asked.number("limit").unwrap_or(100);
    asked.demand(limit <= 100, "limit is 100 at most");
    let data = stage::part(&all, start, limit);
    let end = start + data.len();
    let mut body = json!({ "data": data, "hasNext": end < all.len() });
    if end < all.len() {
        body["next"] = json!(format!("tok%{end}"));
    }
    ok(&body)
}

/// "confidentiality: … If unspecified, defaults to non-confidential", as the parameters of both lists are described.
fn leave_out_confidential(asked: &Asked<'_>, all: &mut Vec<Json>) {
    if asked.parameter("confidentiality").as_deref() != Some("all") {
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

async fn with_opportunities() -> Stage {
    let stage = Stage::of(lever()).await;
    stage.shelve("opportunities", |list| {
        list.extend((0..350).map(|n| opportunity(n, NOW_MILLIS - 60_000 - n * 3_600_000)));
        list.extend((350..400).map(|n| opportunity(n, NOW_MILLIS - n * DAY)));
    });
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opportunities_and_their_later_changes_are_read() {
    let stage = with_opportunities().await;
    stage.connect().await;
    let rows = stage.rows("opportunities").await;
    assert_eq!((rows.len(), &rows[0]["name"]), (400, &json!("Person 0")));
    let row = stage.row("opportunities", "name", &json!("Person 7")).await;
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
    let pages = stage.queries("/v1/opportunities").await;
    for token in ["offset=tok%25100", "offset=tok%25200", "offset=tok%25300"] {
        assert!(
            pages.iter().any(|page| page.contains(token)),
            "{token}: {pages:#?}"
        );
    }

    stage.change("opportunities", "name", &json!("Person 390"), |record| {
        record["archived"] = json!({ "reason": "63dd55b2", "archivedAt": NOW_MILLIS + 30_000 });
        record["updatedAt"] = json!(NOW_MILLIS + 30_000);
    });
    stage.shelve("opportunities", |list| {
        list.push(opportunity(9_000, NOW_MILLIS + 60_000));
    });
    stage.pass(Duration::from_mins(17)).await;
    assert_eq!(stage.rows("opportunities").await.len(), 401);
    let row = stage.row("opportunities", "name", &json!("Person 390")).await;
    assert_eq!(
        (&row["archived_reason"], &row["archived_at"]),
        (&json!("63dd55b2"), &json!("2026-11-04T12:00:30Z"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postings_and_users_are_kept_equal_to_the_account() {
    let stage = Stage::of(lever()).await;
    stage.shelve("postings", |list| {
        list.extend((0..210).map(|n| {
            json!({
                "id": format!("posting-{n}"), "text": "Engineer", "state": "published", "createdAt": NOW_MILLIS - n, "updatedAt": NOW_MILLIS,
                "confidentiality": if n % 7 == 0 { "confidential" } else { "non-confidential" },
                "categories": { "team": "Platform", "location": "Remote", "commitment": "Full-time" }, "tags": [],
            })
        }));
    });
    stage.shelve("users", |list| {
        list.extend([
            json!({ "id": "u1", "name": "Chandler", "email": "c@example.com", "accessRole": "super admin", "createdAt": NOW_MILLIS, "deactivatedAt": null }),
            json!({ "id": "u2", "name": "Rachel", "email": "r@example.com", "accessRole": "interviewer", "createdAt": NOW_MILLIS, "deactivatedAt": NOW_MILLIS }),
        ]);
    });
    stage.connect().await;
    assert_eq!(stage.rows("postings").await.len(), 210);
    let row = stage.row("postings", "id", &json!("posting-9")).await;
    assert_eq!(
        (&row["title"], &row["team"], &row["department"]),
        (&json!("Engineer"), &json!("Platform"), &Json::Null)
    );
    let row = stage.row("users", "id", &json!("u2")).await;
    assert_eq!(row["deactivated_at"], "2026-11-04T12:00:00Z");

    stage.change("postings", "id", &json!("posting-9"), |posting| {
        posting["state"] = json!("closed");
    });
    stage.shelve("postings", |list| {
        list.retain(|posting| posting["id"] != "posting-8");
    });
    stage.pass(Duration::from_mins(62)).await;
    assert_eq!(stage.rows("postings").await.len(), 209);
    assert_eq!(
        stage.row("postings", "id", &json!("posting-9")).await["state"],
        "closed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_and_one_for_opportunities_alone_is_accepted() {
    let stage = Stage::of(lever()).await;
    let told = stage.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(told.contains("Unauthorized"), "{told}");

    stage.first_answer(error(403, "Forbidden", "Forbidden"));
    stage.try_to_connect(&json!({})).await.expect(201);
    assert_eq!(
        stage
            .queries_to_connect("/v1/opportunities")
            .await
            .first()
            .unwrap(),
        "limit=1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_requests_are_retried() {
    let stage = with_opportunities().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    stage.first_answer(error(
        429,
        "TooManyRequests",
        "Your account has exceeded the rate limit.",
    ));
    stage.run_due().await;
    // Lever does not say how long: the random wait of every call.
    let _ = stage.waited();
    assert_eq!(stage.rows("opportunities").await.len(), 400);
}
