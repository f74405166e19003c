//! PostHog: pages by a link in the answer, a project in the path.
//!
//! Source of the shapes: the API reference, <https://posthog.com/docs/api/feature-flags> and <https://posthog.com/docs/api/cohorts>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, Play, Stage, answer, ok};

const LIST: &str = "/api/projects/12345/feature_flags/";

fn posthog() -> Play {
    Play {
        provider: "posthog",
        fields: json!({ "apiKey": "phx_good", "projectId": "12345" }),
        authorization: ("authorization", "Bearer phx_good".to_owned()),
        refusal: error(
            401,
            "authentication_error",
            "authentication_failed",
            "Invalid personal API key.",
        ),
        answers,
    }
}

fn error(status: u16, kind: &str, code: &str, detail: &str) -> ResponseTemplate {
    answer(
        status,
        &json!({ "type": kind, "code": code, "detail": detail, "attr": null }),
    )
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    let Some(below) = asked.path().strip_prefix("/api/projects/12345/") else {
        return Some(error(404, "invalid_request", "not_found", "Project not found."));
    };
    if !["feature_flags/", "cohorts/"].contains(&below) {
        return None;
    }
    asked.only(&["limit", "offset"]);
    let all = asked.shelf(below.trim_end_matches('/'));
    let (limit, offset) = (
        asked.number("limit").unwrap_or(100),
        asked.number("offset").unwrap_or(0),
    );
    let results = stage::part(&all, offset, limit);
    let end = offset + results.len();
    let here = format!("{}{}", asked.origin(), asked.path());
    let next = (end < all.len()).then(|| format!("{here}?limit={limit}&offset={end}"));
    ok(&json!({ "count": all.len(), "next": next, "previous": null, "results": results }))
}

fn flag(number: usize) -> Json {
    json!({
        "id": number,
        "key": format!("flag-{number}"),
        "name": "A flag",
        "active": true,
        "deleted": false,
        "filters": { "groups": [{ "properties": [], "rollout_percentage": 25 }] },
        "rollout_percentage": 25,
        "ensure_experience_continuity": null,
        "tags": ["beta"],
        "version": 3,
        "created_by": { "id": 1, "email": "me@example.com" },
        "created_at": format!("2026-10-01T10:{:02}:{:02}.250000Z", number / 60, number % 60),
    })
}

async fn with_flags() -> Stage {
    let stage = Stage::of(posthog()).await;
    stage.shelve("feature_flags", |flags| flags.extend((0..250).map(flag)));
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_are_kept_equal_to_the_project() {
    let stage = with_flags().await;
    stage.shelve("cohorts", |cohorts| {
        cohorts.push(json!({ "id": 7, "name": "Power users", "count": 42, "is_static": false, "last_calculation": null, "created_at": "2026-10-01T10:00:00Z" }));
    });
    stage.connect().await;
    let rows = stage.rows("feature-flags").await;
    assert_eq!((rows.len(), &rows[0]["key"]), (250, &json!("flag-249")));
    let row = stage.row("feature-flags", "key", &json!("flag-7")).await;
    assert_eq!(
        (
            &row["id"],
            &row["active"],
            &row["version"],
            &row["tags"],
            &row["created_at"]
        ),
        (
            &json!("7"),
            &json!(true),
            &json!(3),
            &json!(["beta"]),
            &json!("2026-10-01T10:00:07.250Z")
        )
    );
    let row = stage.row("cohorts", "id", &json!("7")).await;
    assert_eq!((&row["count"], &row["is_static"]), (&json!(42), &json!(false)));
    let pages = stage.queries(LIST).await;
    assert_eq!(
        pages,
        ["limit=100", "limit=100&offset=100", "limit=100&offset=200"]
    );

    stage.change("feature_flags", "id", &json!(7), |flag| {
        flag["active"] = json!(false);
    });
    stage.shelve("feature_flags", |flags| flags.retain(|flag| flag["id"] != 8));
    stage.pass(Duration::from_mins(17)).await;
    assert_eq!(stage.rows("feature-flags").await.len(), 249);
    assert_eq!(
        stage.row("feature-flags", "id", &json!("7")).await["active"],
        false
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_wrong_project_are_refused() {
    let stage = Stage::of(posthog()).await;
    let told = stage.refusal(&json!({ "apiKey": "phx_bad" })).await;
    assert!(
        told.contains("Invalid personal API key") && told.contains("other region"),
        "{told}"
    );
    let told = stage.refusal(&json!({ "projectId": "99" })).await;
    assert!(told.contains("Check the project id"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_the_scope_of_the_first_list_is_verified_with_the_next() {
    let stage = Stage::of(posthog()).await;
    stage.first_answer(error(
        403,
        "authentication_error",
        "permission_denied",
        "API key missing required scope 'feature_flag:read'",
    ));
    stage.try_to_connect(&json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let stage = with_flags().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    let refusal = error(
        429,
        "throttled_error",
        "throttled",
        "Request was throttled. Expected available in 1 second.",
    );
    stage.first_answer(refusal.insert_header("retry-after", "1"));
    stage.run_due().await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.rows("feature-flags").await.len(), 250);
}
