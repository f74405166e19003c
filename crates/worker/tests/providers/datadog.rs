//! Datadog: two keys in separate headers, pages by number, a response that is the list itself.
//!
//! Source of the shapes: the API reference, <https://docs.datadoghq.com/api/latest/monitors/#get-all-monitors> and
//! <https://docs.datadoghq.com/api/latest/users/#list-all-users>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

const API_KEY: &str = "0123456789abcdef0123456789abcdef";
const APPLICATION_KEY: &str = "0123456789abcdef0123456789abcdef01234567";
const LIST: &str = "/api/v1/monitor";

fn datadog() -> FakeProvider {
    FakeProvider {
        provider: "datadog",
        fields: json!({ "apiKey": API_KEY, "applicationKey": APPLICATION_KEY }),
        authorization: ("dd-api-key", API_KEY.to_owned()),
        refusal: forbidden(),
        respond,
    }
}

fn forbidden() -> ResponseTemplate {
    response(403, &json!({ "errors": ["Forbidden"] }))
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("authorization").is_none(),
        "keys go into their own headers alone",
    );
    if request.header("dd-application-key") != Some(APPLICATION_KEY) {
        return Some(forbidden());
    }
    match request.path() {
        "/api/v2/validate_keys" => ok(&json!({ "status": "ok" })),
        LIST => {
            request.only(&["page", "page_size"]);
            let page = page(request, "monitors", "page", "page_size");
            ok(&json!(page))
        }
        "/api/v2/users" => {
            request.only(&["page[number]", "page[size]"]);
            let page = page(request, "users", "page[number]", "page[size]");
            ok(&json!({ "data": page, "meta": { "page": {} } }))
        }
        _ => None,
    }
}

fn page(request: &ReceivedRequest<'_>, list_name: &str, number: &str, size: &str) -> Vec<Json> {
    let (number, size) = (request.number(number), request.number(size));
    request.require(number.is_some() && size.is_some(), "pages are requested");
    let size = size.unwrap_or(100);
    fake_provider::part(&request.records(list_name), number.unwrap_or(0) * size, size)
}

fn monitor(number: usize) -> Json {
    json!({
        "id": number,
        "name": format!("Monitor {number}"),
        "type": "metric alert",
        "query": "avg(last_5m):avg:system.cpu.user{*} > 80",
        "message": "@ops",
        "overall_state": "OK",
        "priority": null,
        "multi": false,
        "tags": ["team:web"],
        "options": { "thresholds": { "critical": 80 } },
        "creator": { "email": "ops@example.com", "name": "Ops" },
        "created": "2026-10-01T10:00:00.123456+00:00",
        "modified": format!("2026-10-02T10:{:02}:{:02}.000000+00:00", number / 60, number % 60),
    })
}

async fn with_monitors() -> Setup {
    let setup = Setup::of(datadog()).await;
    setup.change_records("monitors", |monitors| monitors.extend((0..250).map(monitor)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_are_kept_equal_to_the_organization() {
    let setup = with_monitors().await;
    setup.change_records("users", |users| {
        users.push(json!({
            "type": "users", "id": "00000000-0000-9999-0000-000000000000",
            "attributes": { "handle": "ops@example.com", "email": "ops@example.com", "status": "Active", "disabled": false, "created_at": "2026-01-01T00:00:00+00:00" },
        }));
    });
    setup.connect().await;
    let rows = setup.rows("monitors").await;
    assert_eq!((rows.len(), &rows[0]["name"]), (250, &json!("Monitor 249")));
    let row = setup.row("monitors", "id", &json!("7")).await;
    assert_eq!(
        (
            &row["multi"],
            &row["priority"],
            &row["tags"],
            &row["creator_email"],
            &row["created"]
        ),
        (
            &json!(false),
            &Json::Null,
            &json!(["team:web"]),
            &json!("ops@example.com"),
            &json!("2026-10-01T10:00:00.123456Z")
        )
    );
    let user = &setup.rows("users").await[0];
    assert_eq!(
        (&user["status"], &user["disabled"]),
        (&json!("Active"), &json!(false))
    );
    let pages = setup.queries(LIST).await;
    assert_eq!(
        pages,
        [
            "page_size=100&page=0",
            "page_size=100&page=1",
            "page_size=100&page=2",
            "page_size=100&page=3"
        ]
    );

    setup.change("monitors", "id", &json!(7), |monitor| {
        monitor["overall_state"] = json!("Alert");
    });
    setup.change_records("monitors", |monitors| {
        monitors.retain(|monitor| monitor["id"] != 8);
    });
    setup.advance_and_run(Duration::from_mins(17)).await;
    assert_eq!(setup.rows("monitors").await.len(), 249);
    assert_eq!(
        setup.row("monitors", "id", &json!("7")).await["overall_state"],
        "Alert"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_record_deletes_no_row() {
    let setup = with_monitors().await;
    setup.connect().await;
    setup.change("monitors", "id", &json!(8), |monitor| monitor["id"] = Json::Null);

    setup.advance_and_run(Duration::from_mins(17)).await;

    assert_eq!(setup.rows("monitors").await.len(), 250);
    let last = &setup.runs().await[0];
    assert_eq!(
        (&last["status"], &last["skipped"], &last["deleted"]),
        (&json!("succeeded"), &json!(1), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_key_is_refused_if_it_is_wrong() {
    let setup = Setup::of(datadog()).await;
    let wrong = "f".repeat(40);
    for field in ["apiKey", "applicationKey"] {
        let reported = setup.refusal(&json!({ field: wrong })).await;
        assert!(reported.contains("Forbidden"), "{reported}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out_until_the_reset() {
    let setup = with_monitors().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = response(429, &json!({ "errors": ["Too many requests"] }));
    setup.respond_next(
        refusal
            .insert_header("x-ratelimit-reset", "1")
            .insert_header("x-ratelimit-remaining", "0"),
    );
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("monitors").await.len(), 250);
}
