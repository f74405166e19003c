//! Sentry: a next link on every page that says whether there is more, an organization in the path.
//!
//! Source of the shapes: the API reference, <https://docs.sentry.io/api/events/list-an-organizations-issues/>,
//! <https://docs.sentry.io/api/organizations/list-an-organizations-projects/> and <https://docs.sentry.io/api/pagination/>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

const ISSUES: &str = "/api/0/organizations/acme/issues/";

fn sentry() -> FakeProvider {
    FakeProvider {
        provider: "sentry",
        fields: json!({ "apiKey": "good", "organization": "acme" }),
        authorization: ("authorization", "Bearer good".to_owned()),
        refusal: response(401, &json!({ "detail": "Invalid token" })),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let Some(below) = request.path().strip_prefix("/api/0/organizations/acme/") else {
        return Some(response(
            404,
            &json!({ "detail": "The requested resource does not exist" }),
        ));
    };
    match below {
        "projects/" => Some(list(request, "projects", "per_page")),
        "issues/" => {
            if request.number("limit") != Some(1) {
                let all = ["query=", "project=-1", "sort=new", "statsPeriod=90d"];
                let said = |part: &&str| {
                    let (name, value) = part.split_once('=').unwrap();
                    request.parameter(name).as_deref() == Some(value)
                };
                request.require(all.iter().all(said), "all issues are wanted");
            }
            Some(list(request, "issues", "limit"))
        }
        _ => {
            let id = below.strip_prefix("issues/")?.strip_suffix('/')?;
            // A request for a merged issue returns the other issue.
            let merged = request
                .records("merged")
                .into_iter()
                .find(|merge| merge["id"] == id);
            let id = merged.map_or(json!(id), |merge| merge["into"].clone());
            let known = request
                .records("kept")
                .into_iter()
                .chain(request.records("issues"));
            let found = known.into_iter().find(|issue| issue["id"] == id);
            match found {
                Some(issue) => ok(&issue),
                None => Some(response(
                    404,
                    &json!({ "detail": "The requested resource does not exist" }),
                )),
            }
        }
    }
}

/// Returns a page with previous and next links; see <https://docs.sentry.io/api/pagination/>.
fn list(request: &ReceivedRequest<'_>, list_name: &str, size: &str) -> ResponseTemplate {
    request.only(&["cursor", "query", "project", "sort", "statsPeriod", size]);
    let all = request.records(list_name);
    let size_of_page = request.number(size).unwrap_or(100);
    request.require(size_of_page <= 100, "100 a page at most");
    let cursor = request.parameter("cursor").unwrap_or_else(|| "0:0:0".to_owned());
    let start: usize = cursor.split(':').nth(1).unwrap().parse().unwrap();
    let page = fake_provider::part(&all, start, size_of_page);
    let end = start + page.len();
    request.require(
        start == 0 || start < all.len(),
        "a page with results=false was requested",
    );
    let mut parameters = request.parameters();
    parameters.remove("cursor");
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = query.join("&");
    let here = format!("{}{}?{query}&cursor=", request.origin(), request.path());
    let link = format!(
        "<{here}0:0:1>; rel=\"previous\"; results=\"{}\"; cursor=\"0:0:1\", <{here}0:{end}:0>; rel=\"next\"; results=\"{}\"; cursor=\"0:{end}:0\"",
        start > 0,
        end < all.len(),
    );
    response(200, &json!(page)).insert_header("link", link)
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

async fn with_issues() -> Setup {
    let setup = Setup::of(sentry()).await;
    setup.change_records("issues", |issues| issues.extend((0..250).map(issue)));
    setup.change_records("projects", |projects| {
        projects.push(json!({ "id": "2", "slug": "web", "name": "Web", "platform": "javascript", "dateCreated": "2026-01-01T00:00:00Z", "firstEvent": null, "teams": [] }));
    });
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issues_are_kept_equal_to_the_organization() {
    let setup = with_issues().await;
    setup.connect().await;
    let rows = setup.rows("issues").await;
    assert_eq!((rows.len(), &rows[0]["short_id"]), (250, &json!("WEB-249")));
    let row = setup.row("issues", "id", &json!("7")).await;
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
    assert_eq!(setup.rows("projects").await[0]["slug"], "web");
    let pages = setup.queries(ISSUES).await;
    let cursors: Vec<_> = pages
        .iter()
        .map(|page| page.split_once("cursor=").map(|(_, cursor)| cursor))
        .collect();
    assert_eq!(cursors, [None, Some("0:100:0"), Some("0:200:0")], "{pages:#?}");

    // One is resolved, one deleted, and one has no recent events.
    setup.change("issues", "id", &json!("7"), |issue| {
        issue["status"] = json!("resolved");
    });
    setup.change_records("issues", |issues| {
        issues.retain(|issue| issue["id"] != "8" && issue["id"] != "9");
    });
    setup.change_records("kept", |issues| issues.push(issue(9)));
    setup.advance_and_run(Duration::from_mins(32)).await;
    let rows = setup.rows("issues").await;
    assert_eq!(rows.len(), 249);
    assert!(rows.iter().all(|row| row["id"] != "8"));
    assert_eq!(setup.row("issues", "id", &json!("7")).await["status"], "resolved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_was_merged_into_another_is_marked_deleted() {
    let setup = with_issues().await;
    setup.connect().await;
    setup.change_records("issues", |issues| issues.retain(|issue| issue["id"] != "8"));
    setup.change_records("merged", |merged| merged.push(json!({ "id": "8", "into": "10" })));

    setup.advance_and_run(Duration::from_mins(32)).await;

    let rows = setup.rows("issues").await;
    assert_eq!(rows.len(), 249);
    assert!(rows.iter().all(|row| row["id"] != "8"));
    assert!(setup.runs().await.iter().all(|run| run["status"] == "succeeded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_and_a_wrong_organization_are_refused() {
    let setup = Setup::of(sentry()).await;
    let reported = setup.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(reported.contains("Invalid token"), "{reported}");
    let reported = setup.refusal(&json!({ "organization": "globex" })).await;
    assert!(reported.contains("does not exist"), "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out_until_the_reset() {
    let setup = with_issues().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = response(
        429,
        &json!({ "detail": "You are attempting to use this endpoint too frequently. Limit is 40 requests in 1 seconds" }),
    );
    setup.respond_next(refusal.insert_header("x-sentry-rate-limit-reset", (NOW + 1).to_string().as_str()));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("issues").await.len(), 250);
}
