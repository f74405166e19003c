//! Sentry: a next link that is always there and says whether it leads to anything, an organization in the path.
//!
//! Source of the shapes: the API reference, <https://docs.sentry.io/api/events/list-an-organizations-issues/>,
//! <https://docs.sentry.io/api/organizations/list-an-organizations-projects/> and <https://docs.sentry.io/api/pagination/>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, NOW, Play, Stage, answer, ok};

const ISSUES: &str = "/api/0/organizations/acme/issues/";

fn sentry() -> Play {
    Play {
        provider: "sentry",
        fields: json!({ "apiKey": "good", "organization": "acme" }),
        authorization: ("authorization", "Bearer good".to_owned()),
        refusal: answer(401, &json!({ "detail": "Invalid token" })),
        answers,
    }
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    let Some(below) = asked.path().strip_prefix("/api/0/organizations/acme/") else {
        return Some(answer(
            404,
            &json!({ "detail": "The requested resource does not exist" }),
        ));
    };
    match below {
        "projects/" => Some(list(asked, "projects", "per_page")),
        "issues/" => {
            if asked.number("limit") != Some(1) {
                let all = ["query=", "project=-1", "sort=new", "statsPeriod=90d"];
                let said = |part: &&str| {
                    let (name, value) = part.split_once('=').unwrap();
                    asked.parameter(name).as_deref() == Some(value)
                };
                asked.demand(all.iter().all(said), "all issues are wanted");
            }
            Some(list(asked, "issues", "limit"))
        }
        _ => {
            let id = below.strip_prefix("issues/")?.strip_suffix('/')?;
            // An issue that was merged into another is answered by that one.
            let merged = asked.shelf("merged").into_iter().find(|merge| merge["id"] == id);
            let id = merged.map_or(json!(id), |merge| merge["into"].clone());
            let known = asked.shelf("kept").into_iter().chain(asked.shelf("issues"));
            let found = known.into_iter().find(|issue| issue["id"] == id);
            match found {
                Some(issue) => ok(&issue),
                None => Some(answer(
                    404,
                    &json!({ "detail": "The requested resource does not exist" }),
                )),
            }
        }
    }
}

/// A page, as <https://docs.sentry.io/api/pagination/> tells: previous and next are always named.
fn list(asked: &Asked<'_>, shelf: &str, size: &str) -> ResponseTemplate {
    asked.only(&["cursor", "query", "project", "sort", "statsPeriod", size]);
    let all = asked.shelf(shelf);
    let size_of_page = asked.number(size).unwrap_or(100);
    asked.demand(size_of_page <= 100, "100 a page at most");
    let cursor = asked.parameter("cursor").unwrap_or_else(|| "0:0:0".to_owned());
    let start: usize = cursor.split(':').nth(1).unwrap().parse().unwrap();
    let page = stage::part(&all, start, size_of_page);
    let end = start + page.len();
    asked.demand(
        start == 0 || start < all.len(),
        "a page with results=false was asked for",
    );
    let mut parameters = asked.parameters();
    parameters.remove("cursor");
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = query.join("&");
    let here = format!("{}{}?{query}&cursor=", asked.origin(), asked.path());
    let link = format!(
        "<{here}0:0:1>; rel=\"previous\"; results=\"{}\"; cursor=\"0:0:1\", <{here}0:{end}:0>; rel=\"next\"; results=\"{}\"; cursor=\"0:{end}:0\"",
        start > 0,
        end < all.len(),
    );
    answer(200, &json!(page)).insert_header("link", link)
}

fn issue(number: usize) -> Json {
    json!({
        "id": number.to_string(),
        "shortId": format!("WEB-{number}"),
        "title": "TypeError: undefined is not a function",
        "culprit": "app/checkout",
        "level": "error",
        "status": "unresolved",
        "substatus": "ongoing",
        "project": { "id": "2", "name": "Web", "slug": "web" },
        "assignedTo": null,
        "count": "327",
        "userCount": 12,
        "firstSeen": "2026-10-01T10:00:00.000000Z",
        "lastSeen": format!("2026-11-01T10:{:02}:{:02}.000000Z", number / 60, number % 60),
    })
}

async fn with_issues() -> Stage {
    let stage = Stage::of(sentry()).await;
    stage.shelve("issues", |issues| issues.extend((0..250).map(issue)));
    stage.shelve("projects", |projects| {
        projects.push(json!({ "id": "2", "slug": "web", "name": "Web", "platform": "javascript", "dateCreated": "2026-01-01T00:00:00Z", "firstEvent": null, "teams": [] }));
    });
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issues_are_kept_equal_to_the_organization() {
    let stage = with_issues().await;
    stage.connect().await;
    let rows = stage.rows("issues").await;
    assert_eq!((rows.len(), &rows[0]["short_id"]), (250, &json!("WEB-249")));
    let row = stage.row("issues", "id", &json!("7")).await;
    assert_eq!(
        (
            &row["events"],
            &row["users"],
            &row["project_slug"],
            &row["last_seen"]
        ),
        (
            &json!(327),
            &json!(12),
            &json!("web"),
            &json!("2026-11-01T10:00:07Z")
        )
    );
    assert_eq!(stage.rows("projects").await[0]["slug"], "web");
    let pages = stage.queries(ISSUES).await;
    let cursors: Vec<_> = pages
        .iter()
        .map(|page| page.split_once("cursor=").map(|(_, cursor)| cursor))
        .collect();
    assert_eq!(cursors, [None, Some("0:100:0"), Some("0:200:0")], "{pages:#?}");

    // One is resolved, one deleted, and one has no events of late.
    stage.change("issues", "id", &json!("7"), |issue| {
        issue["status"] = json!("resolved");
    });
    stage.shelve("issues", |issues| {
        issues.retain(|issue| issue["id"] != "8" && issue["id"] != "9");
    });
    stage.shelve("kept", |issues| issues.push(issue(9)));
    stage.pass(Duration::from_mins(32)).await;
    let rows = stage.rows("issues").await;
    assert_eq!(rows.len(), 249);
    assert!(rows.iter().all(|row| row["id"] != "8"));
    assert_eq!(stage.row("issues", "id", &json!("7")).await["status"], "resolved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_was_merged_into_another_is_marked_deleted() {
    let stage = with_issues().await;
    stage.connect().await;
    stage.shelve("issues", |issues| issues.retain(|issue| issue["id"] != "8"));
    stage.shelve("merged", |merged| merged.push(json!({ "id": "8", "into": "10" })));

    stage.pass(Duration::from_mins(32)).await;

    let rows = stage.rows("issues").await;
    assert_eq!(rows.len(), 249);
    assert!(rows.iter().all(|row| row["id"] != "8"));
    assert!(stage.runs().await.iter().all(|run| run["status"] == "succeeded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_and_a_wrong_organization_are_refused() {
    let stage = Stage::of(sentry()).await;
    let told = stage.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(told.contains("Invalid token"), "{told}");
    let told = stage.refusal(&json!({ "organization": "globex" })).await;
    assert!(told.contains("does not exist"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out_until_the_reset() {
    let stage = with_issues().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    let refusal = answer(
        429,
        &json!({ "detail": "You are attempting to use this endpoint too frequently. Limit is 40 requests in 1 seconds" }),
    );
    stage.first_answer(refusal.insert_header("x-sentry-rate-limit-reset", (NOW + 1).to_string().as_str()));
    stage.run_due().await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.rows("issues").await.len(), 250);
}
