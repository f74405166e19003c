//! PostHog: pages by a link in the response, a project in the path.
//!
//! Source of the shapes: the API reference, <https://posthog.com/docs/api/feature-flags> and <https://posthog.com/docs/api/cohorts>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

const LIST: &str = "/api/projects/12345/feature_flags/";

fn posthog() -> FakeProvider {
    FakeProvider {
        provider: "posthog",
        fields: json!({ "apiKey": "phx_good", "projectId": "12345" }),
        authorization: ("authorization", "Bearer phx_good".to_owned()),
        refusal: error(
            401,
            "authentication_error",
            "authentication_failed",
            "Invalid personal API key.",
        ),
        respond,
    }
}

fn error(status: u16, kind: &str, code: &str, detail: &str) -> ResponseTemplate {
    response(
        status,
        &json!({ "type": kind, "code": code, "detail": detail, "attr": null }),
    )
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let Some(below) = request.path().strip_prefix("/api/projects/12345/") else {
        return Some(error(404, "invalid_request", "not_found", "Project not found."));
    };
    if !["feature_flags/", "cohorts/"].contains(&below) {
        return None;
    }
    request.only(&["limit", "offset"]);
    let all = request.records(below.trim_end_matches('/'));
    let (limit, offset) = (
        request.number("limit").unwrap_or(100),
        request.number("offset").unwrap_or(0),
    );
    let results = fake_provider::part(&all, offset, limit);
    let end = offset + results.len();
    let here = format!("{}{}", request.origin(), request.path());
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

async fn with_flags() -> Setup {
    let setup = Setup::of(posthog()).await;
    setup.change_records("feature_flags", |flags| flags.extend((0..250).map(flag)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_are_kept_equal_to_the_project() {
    let setup = with_flags().await;
    setup.change_records("cohorts", |cohorts| {
        cohorts.push(json!({ "id": 7, "name": "Power users", "count": 42, "is_static": false, "last_calculation": null, "created_at": "2026-10-01T10:00:00Z" }));
    });
    setup.connect().await;
    let rows = setup.rows("feature-flags").await;
    assert_eq!((rows.len(), &rows[0]["key"]), (250, &json!("flag-249")));
    let row = setup.row("feature-flags", "key", &json!("flag-7")).await;
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
    let row = setup.row("cohorts", "id", &json!("7")).await;
    assert_eq!((&row["count"], &row["is_static"]), (&json!(42), &json!(false)));
    let pages = setup.queries(LIST).await;
    assert_eq!(
        pages,
        ["limit=100", "limit=100&offset=100", "limit=100&offset=200"]
    );

    setup.change("feature_flags", "id", &json!(7), |flag| {
        flag["active"] = json!(false);
    });
    setup.change_records("feature_flags", |flags| flags.retain(|flag| flag["id"] != 8));
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(setup.rows("feature-flags").await.len(), 249);
    assert_eq!(
        setup.row("feature-flags", "id", &json!("7")).await["active"],
        false
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_wrong_project_are_refused() {
    let setup = Setup::of(posthog()).await;
    let reported = setup.refusal(&json!({ "apiKey": "phx_bad" })).await;
    assert!(
        reported.contains("Invalid personal API key") && reported.contains("other region"),
        "{reported}"
    );
    let reported = setup.refusal(&json!({ "projectId": "99" })).await;
    assert!(reported.contains("Check the project id"), "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_the_scope_of_the_first_list_is_verified_with_the_next() {
    let setup = Setup::of(posthog()).await;
    setup.respond_next(error(
        403,
        "authentication_error",
        "permission_denied",
        "API key missing required scope 'feature_flag:read'",
    ));
    setup.try_to_connect(&json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_flags().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = error(
        429,
        "throttled_error",
        "throttled",
        "Request was throttled. Expected available in 1 second.",
    );
    setup.respond_next(refusal.insert_header("retry-after", "1"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("feature-flags").await.len(), 250);
}
