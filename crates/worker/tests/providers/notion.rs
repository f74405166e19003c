//! Notion: pages by a cursor, a version in a header.
//!
//! Source of the shapes: the API reference, <https://developers.notion.com/reference/get-users> and <https://developers.notion.com/reference/status-codes>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

fn notion() -> FakeProvider {
    FakeProvider {
        provider: "notion",
        fields: json!({ "apiKey": "ntn_good" }),
        authorization: ("authorization", "Bearer ntn_good".to_owned()),
        refusal: error(401, "unauthorized", "API token is invalid."),
        respond,
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    response(
        status,
        &json!({ "object": "error", "status": status, "code": code, "message": message, "request_id": "8b2d" }),
    )
}

/// Returns a page; see <https://developers.notion.com/reference/intro#pagination>.
fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("notion-version") == Some("2022-06-28"),
        "which version",
    );
    if request.path() == "/v1/users/me" {
        return ok(&json!({ "object": "user", "id": "16d8", "type": "bot", "bot": {} }));
    }
    if request.path() != "/v1/users" {
        return None;
    }
    request.only(&["start_cursor", "page_size"]);
    let all = request.records("users");
    let start = request
        .parameter("start_cursor")
        .map_or(Some(0), |cursor| all.iter().position(|user| user["id"] == cursor));
    let Some(start) = start else {
        return Some(error(
            400,
            "validation_error",
            "The start_cursor provided is invalid.",
        ));
    };
    let size = request.number("page_size").unwrap_or(100);
    request.require(size <= 100, "page_size is 100 at most");
    let results = fake_provider::part(&all, start, size);
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

async fn with_users() -> Setup {
    let setup = Setup::of(notion()).await;
    setup.change_records("users", |users| {
        users.extend((0..249).map(person));
        users.push(json!({
            "object": "user", "id": "9a3b", "type": "bot", "name": "Robot",
            "avatar_url": "https://example.org/robot.png",
            "bot": { "owner": { "type": "workspace", "workspace": true } },
        }));
    });
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_kept_equal_to_the_workspace() {
    let setup = with_users().await;
    setup.connect().await;
    assert_eq!(setup.rows("users").await.len(), 250);
    let row = setup.row("users", "name", &json!("Person 7")).await;
    assert_eq!(
        (&row["email"], &row["type"], &row["avatar_url"]),
        (&json!("7@example.org"), &json!("person"), &Json::Null)
    );
    let robot = setup.row("users", "id", &json!("9a3b")).await;
    assert_eq!((&robot["email"], &robot["type"]), (&Json::Null, &json!("bot")));
    let pages = setup.queries("/v1/users").await;
    assert_eq!(
        pages,
        [
            "page_size=100",
            "page_size=100&start_cursor=d40e767c-d7af-4b18-a86d-000000000100",
            "page_size=100&start_cursor=d40e767c-d7af-4b18-a86d-000000000200",
        ]
    );

    setup.change("users", "name", &json!("Person 7"), |user| {
        user["person"]["email"] = json!("seven@example.org");
    });
    setup.change_records("users", |users| users.retain(|user| user["name"] != "Person 8"));
    setup.advance_and_run(Duration::from_mins(62)).await;
    assert_eq!(setup.rows("users").await.len(), 249);
    let row = setup.row("users", "name", &json!("Person 7")).await;
    assert_eq!(row["email"], "seven@example.org");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_list_users_is_reported_with_the_needed_capability() {
    let setup = with_users().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    setup.respond_next(error(
        403,
        "restricted_resource",
        "Insufficient permissions for this endpoint.",
    ));
    let run = setup.advance_to_failure(Duration::ZERO).await;
    let hint = run["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("personal access token"), "{hint}");
    assert_eq!(run["error"]["code"], "restricted_resource", "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_a_token_that_cannot_list_users_says_so() {
    let fake = FakeProvider {
        respond: |request| match request.path() {
            "/v1/users" => Some(error(
                403,
                "restricted_resource",
                "Insufficient permissions for this endpoint.",
            )),
            _ => respond(request),
        },
        ..notion()
    };
    let setup = Setup::of(fake).await;
    let reply = setup.try_to_connect(&json!({})).await.expect(201).json();
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
    let setup = Setup::of(notion()).await;
    let reported = setup.refusal(&json!({ "apiKey": "ntn_bad" })).await;
    assert!(reported.contains("API token is invalid"), "{reported}");
    assert!(reported.contains("Copy it again"), "{reported}");

    let reply = setup
        .try_to_connect(&json!({ "apiKey": "bad" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_users().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = error(
        429,
        "rate_limited",
        "You have been rate limited. Please try again in a few minutes.",
    );
    setup.respond_next(refusal.insert_header("retry-after", "1"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("users").await.len(), 250);
}
