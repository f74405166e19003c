//! Notion: pages by a cursor, a version in a header.
//!
//! Source of the shapes: the API reference, <https://developers.notion.com/reference/get-users> and <https://developers.notion.com/reference/status-codes>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, Play, Stage, answer, ok};

fn notion() -> Play {
    Play {
        provider: "notion",
        fields: json!({ "apiKey": "ntn_good" }),
        authorization: ("authorization", "Bearer ntn_good".to_owned()),
        refusal: error(401, "unauthorized", "API token is invalid."),
        answers,
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    answer(
        status,
        &json!({ "object": "error", "status": status, "code": code, "message": message, "request_id": "8b2d" }),
    )
}

/// A page, as <https://developers.notion.com/reference/intro#pagination> tells.
fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.demand(
        asked.header("notion-version") == Some("2022-06-28"),
        "which version",
    );
    if asked.path() == "/v1/users/me" {
        return ok(&json!({ "object": "user", "id": "16d8", "type": "bot", "bot": {} }));
    }
    if asked.path() != "/v1/users" {
        return None;
    }
    asked.only(&["start_cursor", "page_size"]);
    let all = asked.shelf("users");
    let start = asked
        .parameter("start_cursor")
        .map_or(Some(0), |cursor| all.iter().position(|user| user["id"] == cursor));
    let Some(start) = start else {
        return Some(error(
            400,
            "validation_error",
            "The start_cursor provided is invalid.",
        ));
    };
    let size = asked.number("page_size").unwrap_or(100);
    asked.demand(size <= 100, "page_size is 100 at most");
    let results = stage::part(&all, start, size);
    let next = all.get(start + results.len()).map(|user| user["id"].clone());
    ok(
        &json!({ "object": "list", "results": results, "has_more": next.is_some(), "next_cursor": next, "type": "user" }),
    )
}

fn person(number: usize) -> Json {
    json!({
        "object": "user",
        "id": format!("d40e767c-d7af-4b18-a86d-{number:012}"),
        "type": "person",
        "name": format!("Person {number}"),
        "avatar_url": null,
        "person": { "email": format!("{number}@example.org") },
    })
}

async fn with_users() -> Stage {
    let stage = Stage::of(notion()).await;
    stage.shelve("users", |users| {
        users.extend((0..249).map(person));
        users.push(json!({
            "object": "user", "id": "9a3b", "type": "bot", "name": "Robot",
            "avatar_url": "https://example.org/robot.png",
            "bot": { "owner": { "type": "workspace", "workspace": true } },
        }));
    });
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_kept_equal_to_the_workspace() {
    let stage = with_users().await;
    stage.connect().await;
    assert_eq!(stage.rows("users").await.len(), 250);
    let row = stage.row("users", "name", &json!("Person 7")).await;
    assert_eq!(
        (&row["email"], &row["type"], &row["avatar_url"]),
        (&json!("7@example.org"), &json!("person"), &Json::Null)
    );
    let robot = stage.row("users", "id", &json!("9a3b")).await;
    assert_eq!((&robot["email"], &robot["type"]), (&Json::Null, &json!("bot")));
    let pages = stage.queries("/v1/users").await;
    assert_eq!(
        pages,
        [
            "page_size=100",
            "page_size=100&start_cursor=d40e767c-d7af-4b18-a86d-000000000100",
            "page_size=100&start_cursor=d40e767c-d7af-4b18-a86d-000000000200",
        ]
    );

    stage.change("users", "name", &json!("Person 7"), |user| {
        user["person"]["email"] = json!("seven@example.org");
    });
    stage.shelve("users", |users| users.retain(|user| user["name"] != "Person 8"));
    stage.pass(Duration::from_mins(62)).await;
    assert_eq!(stage.rows("users").await.len(), 249);
    let row = stage.row("users", "name", &json!("Person 7")).await;
    assert_eq!(row["email"], "seven@example.org");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_list_users_is_reported_with_the_needed_capability() {
    let stage = with_users().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    stage.first_answer(error(
        403,
        "restricted_resource",
        "Insufficient permissions for this endpoint.",
    ));
    let run = stage.pass_to_failure(Duration::ZERO).await;
    let hint = run["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("personal access token"), "{hint}");
    assert_eq!(run["error"]["code"], "restricted_resource", "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_a_token_that_cannot_list_users_says_so() {
    let play = Play {
        answers: |asked| match asked.path() {
            "/v1/users" => Some(error(
                403,
                "restricted_resource",
                "Insufficient permissions for this endpoint.",
            )),
            _ => answers(asked),
        },
        ..notion()
    };
    let stage = Stage::of(play).await;
    let reply = stage.try_to_connect(&json!({})).await.expect(201).json();
    let [unreadable] = reply["unreadable_syncs"].as_array().unwrap().as_slice() else {
        panic!("{reply:#}");
    };
    assert_eq!(
        (&unreadable["sync"], &unreadable["code"]),
        (&json!("notion-users"), &json!("restricted_resource"))
    );
    let message = unreadable["message"].as_str().unwrap();
    assert!(
        message.starts_with("the key may not read notion-users: Notion refused with HTTP 403, code restricted_resource: \"Insufficient permissions for this endpoint.\". "),
        "{message}"
    );
    assert!(
        message.contains("connect with the secret of an internal integration"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_refused() {
    let stage = Stage::of(notion()).await;
    let told = stage.refusal(&json!({ "apiKey": "ntn_bad" })).await;
    assert!(told.contains("API token is invalid"), "{told}");
    assert!(told.contains("Copy it again"), "{told}");

    let reply = stage
        .try_to_connect(&json!({ "apiKey": "bad" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let stage = with_users().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    let refusal = error(
        429,
        "rate_limited",
        "You have been rate limited. Please try again in a few minutes.",
    );
    stage.first_answer(refusal.insert_header("retry-after", "1"));
    stage.run_due().await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.rows("users").await.len(), 250);
}
