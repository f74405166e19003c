//! PagerDuty: ranges of at most six months, 10000 incidents in each, and single incidents until they are resolved.
//!
//! Source of the shapes: the API reference, <https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents> and
//! <https://developer.pagerduty.com/docs/pagination>.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{Asked, NOW, Play, Stage, answer, ok, part};

fn pagerduty() -> Play {
    Play {
        provider: "pagerduty",
        fields: json!({ "apiKey": "y_NbAkKc66ryYTWUXYEu" }),
        authorization: ("authorization", "Token token=y_NbAkKc66ryYTWUXYEu".to_owned()),
        refusal: answer(
            401,
            &json!({ "error": { "message": "Unauthorized", "code": 2006 } }),
        ),
        answers,
    }
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.demand(
        asked.header("accept") == Some("application/vnd.pagerduty+json;version=2"),
        "which version",
    );
    match asked.path() {
        "/abilities" => ok(&json!({ "abilities": ["sso", "teams"] })),
        "/incidents" => incidents(asked),
        "/services" => page(asked, "services", &asked.shelf("services")),
        "/users" => page(asked, "users", &asked.shelf("users")),
        path => {
            let id = path.strip_prefix("/incidents/")?;
            let found = asked
                .shelf("incidents")
                .into_iter()
                .find(|incident| incident["id"] == id);
            ok(&json!({ "incident": found.unwrap() }))
        }
    }
}

fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_micros() / 1_000_000
}

fn incidents(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.only(&["sort_by", "since", "until", "limit", "offset"]);
    asked.demand(
        asked.parameter("sort_by").as_deref() == Some("created_at:desc"),
        "the newest first",
    );
    let since = seconds(&asked.parameter("since").unwrap());
    let until = asked.parameter("until").map_or(i64::MAX, |until| seconds(&until));
    asked.demand(
        until.min(NOW + 7 * 86_400) - since <= 180 * 86_400,
        "a range is six months wide at most",
    );
    let created = |incident: &Json| seconds(incident["created_at"].as_str().unwrap());
    let mut found = asked.shelf("incidents");
    found.retain(|incident| (since..until).contains(&created(incident)));
    found.sort_by_key(|incident| std::cmp::Reverse(created(incident)));
    page(asked, "incidents", &found)
}

fn page(asked: &Asked<'_>, name: &str, list: &[Json]) -> Option<ResponseTemplate> {
    let (limit, offset) = (
        asked.number("limit").unwrap(),
        asked.number("offset").unwrap_or(0),
    );
    asked.demand(
        limit <= 100 && limit + offset <= 10_000,
        "offset and limit are 10000 at most",
    );
    let shown = part(list, offset, limit);
    ok(
        &json!({ name: shown, "limit": limit, "offset": offset, "more": offset + limit < list.len(), "total": null }),
    )
}

fn incident(number: i64, created: i64) -> Json {
    let created = Timestamp::from_micros(created * 1_000_000)
        .to_chrono()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    json!({
        "id": format!("PT4KHLK{number}"),
        "type": "incident",
        "summary": "[#1234] The server is on fire.",
        "incident_number": number,
        "title": "The server is on fire.",
        "status": "resolved",
        "urgency": "high",
        "priority": null,
        "service": { "id": "PIJ90N7", "type": "service_reference", "summary": "My Mail Service" },
        "escalation_policy": { "id": "PT20YPA", "summary": "Another Escalation Policy" },
        "assignments": [],
        "teams": [],
        "created_at": created,
        "updated_at": created,
        "resolved_at": null,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_are_read_by_ranges_and_rechecked_until_they_are_resolved() {
    let stage = Stage::of(pagerduty()).await;
    stage.shelve("incidents", |list| {
        list.extend((0..250).map(|n| incident(n, NOW - 60 - n)));
        list.extend((300..330).map(|n| incident(n, NOW - (n - 299) * 50 * 86_400)));
    });
    stage.change("incidents", "incident_number", &json!(310), |open| {
        open["status"] = json!("triggered");
    });
    stage.shelve("services", |list| list.push(json!({ "id": "PIJ90N7", "name": "My Mail Service", "status": "active", "escalation_policy": { "id": "PT20YPA" } })));
    stage.connect().await;

    assert_eq!(stage.rows("incidents").await.len(), 280);
    let row = stage.row("incidents", "incident_number", &json!(7)).await;
    assert_eq!(
        (
            &row["id"],
            &row["service_id"],
            &row["service"],
            &row["priority"],
            &row["created_at"]
        ),
        (
            &json!("PT4KHLK7"),
            &json!("PIJ90N7"),
            &json!("My Mail Service"),
            &json!(null),
            &json!("2026-11-04T11:58:53Z")
        )
    );
    assert_eq!(stage.rows("services").await[0]["escalation_policy_id"], "PT20YPA");
    let queries = stage.queries("/incidents").await;
    for offset in ["offset=100", "offset=200"] {
        assert!(
            queries.iter().any(|query| query.ends_with(offset)),
            "{queries:#?}"
        );
    }

    stage.change("incidents", "incident_number", &json!(310), |open| {
        open["status"] = json!("resolved");
    });
    stage.shelve("services", Vec::clear);
    let limited = answer(
        429,
        &json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } }),
    );
    stage.first_answer(
        limited
            .insert_header("ratelimit-remaining", "0")
            .insert_header("ratelimit-reset", "1"),
    );
    stage.pass(Duration::from_mins(67)).await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(
        stage.row("incidents", "incident_number", &json!(310)).await["status"],
        "resolved"
    );
    assert!(stage.rows("services").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_with_advice() {
    let stage = Stage::of(pagerduty()).await;
    let told = stage.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(
        told.contains("Unauthorized") && told.contains("API Access Keys"),
        "{told}"
    );
}
