//! PagerDuty: ranges of at most six months, 10000 incidents in each, and single incidents until they are resolved.
//!
//! Source of the shapes: the API reference, <https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents> and
//! <https://developer.pagerduty.com/docs/pagination>.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, ok, part, response};

fn pagerduty() -> FakeProvider {
    FakeProvider {
        provider: "pagerduty",
        fields: json!({ "apiKey": "y_NbAkKc66ryYTWUXYEu" }),
        authorization: ("authorization", "Token token=y_NbAkKc66ryYTWUXYEu".to_owned()),
        refusal: response(
            401,
            &json!({ "error": { "message": "Unauthorized", "code": 2006 } }),
        ),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("accept") == Some("application/vnd.pagerduty+json;version=2"),
        "which version",
    );
    match request.path() {
        "/abilities" => ok(&json!({ "abilities": ["sso", "teams"] })),
        "/incidents" => incidents(request),
        "/services" => page(request, "services", &request.records("services")),
        "/users" => page(request, "users", &request.records("users")),
        path => {
            let id = path.strip_prefix("/incidents/")?;
            let found = request
                .records("incidents")
                .into_iter()
                .find(|incident| incident["id"] == id);
            ok(&json!({ "incident": found.unwrap() }))
        }
    }
}

fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_micros() / 1_000_000
}

fn incidents(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.only(&["sort_by", "since", "until", "limit", "offset"]);
    request.require(
        request.parameter("sort_by").as_deref() == Some("created_at:desc"),
        "the newest first",
    );
    let since = seconds(&request.parameter("since").unwrap());
    let until = request
        .parameter("until")
        .map_or(i64::MAX, |until| seconds(&until));
    request.require(
        until.min(NOW + 7 * 86_400) - since <= 180 * 86_400,
        "a range is six months wide at most",
    );
    let created = |incident: &Json| seconds(incident["created_at"].as_str().unwrap());
    let mut found = request.records("incidents");
    found.retain(|incident| (since..until).contains(&created(incident)));
    found.sort_by_key(|incident| std::cmp::Reverse(created(incident)));
    page(request, "incidents", &found)
}

fn page(request: &ReceivedRequest<'_>, name: &str, list: &[Json]) -> Option<ResponseTemplate> {
    let (limit, offset) = (
        request.number("limit").unwrap(),
        request.number("offset").unwrap_or(0),
    );
    request.require(
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
    let setup = Setup::of(pagerduty()).await;
    setup.change_records("incidents", |list| {
        list.extend((0..250).map(|n| incident(n, NOW - 60 - n)));
        list.extend((300..330).map(|n| incident(n, NOW - (n - 299) * 50 * 86_400)));
    });
    setup.change("incidents", "incident_number", &json!(310), |open| {
        open["status"] = json!("triggered");
    });
    setup.change_records("services", |list| list.push(json!({ "id": "PIJ90N7", "name": "My Mail Service", "status": "active", "escalation_policy": { "id": "PT20YPA" } })));
    setup.connect().await;

    assert_eq!(setup.rows("incidents").await.len(), 280);
    let row = setup.row("incidents", "incident_number", &json!(7)).await;
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
    assert_eq!(setup.rows("services").await[0]["escalation_policy_id"], "PT20YPA");
    let queries = setup.queries("/incidents").await;
    for offset in ["offset=100", "offset=200"] {
        assert!(
            queries.iter().any(|query| query.ends_with(offset)),
            "{queries:#?}"
        );
    }

    setup.change("incidents", "incident_number", &json!(310), |open| {
        open["status"] = json!("resolved");
    });
    setup.change_records("services", Vec::clear);
    let limited = response(
        429,
        &json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } }),
    );
    setup.respond_next(
        limited
            .insert_header("ratelimit-remaining", "0")
            .insert_header("ratelimit-reset", "1"),
    );
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(
        setup.row("incidents", "incident_number", &json!(310)).await["status"],
        "resolved"
    );
    assert!(setup.rows("services").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_with_advice() {
    let setup = Setup::of(pagerduty()).await;
    let reported = setup.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(
        reported.contains("Unauthorized") && reported.contains("API Access Keys"),
        "{reported}"
    );
}
