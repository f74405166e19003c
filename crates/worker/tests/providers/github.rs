//! GitHub: pages by the `Link` header, issues since a date, and a quota in the headers of a 403.
//!
//! Source of the shapes: the REST reference, <https://docs.github.com/en/rest/repos/repos#list-repositories-for-the-authenticated-user>,
//! <https://docs.github.com/en/rest/issues/issues#list-issues-assigned-to-the-authenticated-user> and
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, linked, ok, response};

const ORIGIN: &str = "https://api.github.com";

fn github() -> FakeProvider {
    FakeProvider {
        provider: "github",
        fields: json!({ "apiKey": "github_pat_good" }),
        authorization: ("authorization", "Bearer github_pat_good".to_owned()),
        refusal: error(401, "Bad credentials"),
        respond,
    }
}

fn error(status: u16, message: &str) -> ResponseTemplate {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    response(status, &body)
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("x-github-api-version") == Some("2022-11-28"),
        "which version",
    );
    request.require(
        request.header("user-agent").is_some(),
        "a request without User-Agent is refused",
    );
    match request.path() {
        "/user" => ok(&json!({ "login": "octocat", "id": 1 })),
        "/user/repos" => {
            request.only(&["sort", "per_page", "page"]);
            linked(request, ORIGIN, &request.records("repos"))
        }
        "/issues" => {
            request.only(&[
                "filter",
                "state",
                "sort",
                "direction",
                "since",
                "per_page",
                "page",
            ]);
            let is = |name: &str, value: &str| request.parameter(name).as_deref() == Some(value);
            request.require(is("filter", "all") && is("state", "all"), "all issues");
            request.require(
                is("sort", "updated") && is("direction", "desc"),
                "the newest change first",
            );
            let since = request.parameter("since").unwrap();
            let mut issues = request.records("issues");
            issues.retain(|issue| issue["updated_at"].as_str().unwrap() >= since.as_str());
            issues.sort_by_key(|issue| std::cmp::Reverse(issue["updated_at"].to_string()));
            linked(request, ORIGIN, &issues)
        }
        _ => None,
    }
}

fn repository(number: u32) -> Json {
    json!({
        "id": 1_296_269 + number,
        "node_id": "MDEwOlJlcG9zaXRvcnkxMjk2MjY5",
        "name": format!("repo-{number:03}"),
        "full_name": format!("octocat/repo-{number:03}"),
        "owner": { "login": "octocat", "id": 1, "type": "User" },
        "private": number % 2 == 1,
        "description": "This your first repo!",
        "fork": false,
        "topics": ["octocat", "api"],
        "stargazers_count": 80,
        "created_at": "2011-01-26T19:01:12Z",
        "updated_at": "2011-01-26T19:14:43Z",
        "pushed_at": null,
    })
}

fn time(seconds: i64) -> String {
    Timestamp::from_micros(seconds * 1_000_000)
        .to_chrono()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn issue(number: i64, updated: i64) -> Json {
    json!({
        "id": 5_000 + number,
        "number": number,
        "state": "open",
        "title": "Found a bug",
        "user": { "login": "octocat", "id": 1 },
        "labels": [{ "id": 208_045_946, "name": "bug" }],
        "assignees": [],
        "milestone": null,
        "locked": false,
        "comments": 0,
        "pull_request": { "url": "https://api.github.com/repos/octocat/Hello-World/pulls/1347" },
        "repository": { "id": 1, "full_name": "octocat/Hello-World" },
        "created_at": time(updated - 3_600),
        "updated_at": time(updated),
        "closed_at": null,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_are_kept_equal_and_a_used_up_quota_is_waited_for() {
    let setup = Setup::of(github()).await;
    setup.change_records("repos", |list| list.extend((0..250).map(repository)));
    setup.connect().await;

    assert_eq!(setup.rows("repositories").await.len(), 250);
    let row = setup
        .row("repositories", "full_name", &json!("octocat/repo-001"))
        .await;
    assert_eq!(
        (
            &row["id"],
            &row["owner"],
            &row["private"],
            &row["topics"],
            &row["created_at"]
        ),
        (
            &json!("1296270"),
            &json!("octocat"),
            &json!(true),
            &json!(["octocat", "api"]),
            &json!("2011-01-26T19:01:12Z")
        )
    );
    assert_eq!(
        setup.queries("/user/repos").await,
        [
            "sort=full_name&per_page=100",
            "page=2&per_page=100&sort=full_name",
            "page=3&per_page=100&sort=full_name"
        ]
    );

    setup.change_records("repos", |list| list.truncate(249));
    setup.change("repos", "name", &json!("repo-000"), |old| {
        old["archived"] = json!(true);
    });
    let reset = setup.now() + 67 * 60 + 1;
    setup.respond_next(
        error(403, "API rate limit exceeded for user ID 1.")
            .insert_header("x-ratelimit-remaining", "0")
            .insert_header("x-ratelimit-reset", reset.to_string().as_str()),
    );
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("repositories").await.len(), 249);
    assert_eq!(
        setup.row("repositories", "name", &json!("repo-000")).await["archived"],
        true
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_requests_issues_that_changed_since_yesterday() {
    let setup = Setup::of(github()).await;
    setup.change_records("issues", |list| {
        list.extend((0..250).map(|n| issue(n, NOW - 60 - n * 86_400)));
    });
    setup.connect().await;

    assert_eq!(setup.rows("issues").await.len(), 250);
    let row = setup.row("issues", "number", &json!(3)).await;
    assert_eq!(
        (&row["id"], &row["repository"], &row["author"], &row["closed_at"]),
        (
            &json!("5003"),
            &json!("octocat/Hello-World"),
            &json!("octocat"),
            &json!(null)
        )
    );
    let first = setup.queries("/issues").await.len();
    assert_eq!(first, 4, "three pages, and then the last month in one");

    setup.change("issues", "number", &json!(249), |issue| {
        issue["state"] = json!("closed");
        issue["updated_at"] = json!(time(NOW + 60));
    });
    setup.change_records("issues", |list| list.push(issue(900, NOW + 61)));
    setup.advance_and_run(Duration::from_mins(12)).await;

    assert_eq!(
        setup.row("issues", "number", &json!(249)).await["state"],
        "closed"
    );
    assert_eq!(setup.rows("issues").await.len(), 251);
    let since = format!("since={}", time(NOW + 12 * 60 - 86_400).replace(':', "%3A"));
    let last = setup.queries("/issues").await.split_off(first);
    assert!(last.len() == 1 && last[0].contains(&since), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_pauses_as_long_as_a_403_says() {
    let setup = Setup::of(github()).await;
    setup.connect().await;
    setup.respond_next(
        error(403, "You have exceeded a secondary rate limit.")
            .insert_header("retry-after", "1")
            .insert_header("x-ratelimit-remaining", "4000")
            .insert_header("x-ratelimit-reset", (NOW + 7_200).to_string().as_str()),
    );
    setup.advance_and_run(Duration::from_mins(12)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let setup = Setup::of(github()).await;
    let reported = setup.refusal(&json!({ "apiKey": "ghp_bad" })).await;
    assert!(
        reported.contains("Bad credentials") && reported.contains("Personal access tokens"),
        "{reported}"
    );
}
