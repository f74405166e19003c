//! Freshdesk: the key as user name, pages by the `Link` header, tickets since a date.
//!
//! Source of the shapes: the API reference, <https://developers.freshdesk.com/api/#list_all_tickets>, `#list_all_contacts`, `#list_all_companies`,
//! `#pagination` and `#ratelimit`.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, linked, ok, response};

const ORIGIN: &str = "https://acme.freshdesk.com";

fn freshdesk() -> FakeProvider {
    let refusal = json!({ "code": "invalid_credentials", "message": "You have to be logged in to perform this action." });
    FakeProvider {
        provider: "freshdesk",
        fields: json!({ "subdomain": "acme", "apiKey": "good" }),
        // `good:X` in Base64.
        authorization: ("authorization", "Basic Z29vZDpY".to_owned()),
        refusal: response(401, &refusal),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    match request.path() {
        "/api/v2/agents/me" => ok(&json!({ "id": 1, "contact": { "email": "ann@example.com" } })),
        "/api/v2/contacts" => {
            request.only(&["_updated_since", "per_page", "page"]);
            let mut contacts = request.records("contacts");
            if let Some(since) = request.parameter("_updated_since") {
                contacts.retain(|contact| contact["updated_at"].as_str().unwrap() >= since.as_str());
            }
            linked(request, ORIGIN, &contacts)
        }
        "/api/v2/companies" => linked(request, ORIGIN, &request.records("companies")),
        "/api/v2/tickets" => {
            request.only(&["updated_since", "order_by", "order_type", "per_page", "page"]);
            request.require(
                request.number("page").unwrap_or(1) <= 300,
                "there are 300 pages at most",
            );
            let is = |name: &str, value: &str| request.parameter(name).as_deref() == Some(value);
            request.require(
                is("order_by", "updated_at") && is("order_type", "desc"),
                "the newest change first",
            );
            let since = request.parameter("updated_since").unwrap();
            let mut tickets = request.records("tickets");
            tickets.retain(|ticket| ticket["updated_at"].as_str().unwrap() >= since.as_str());
            tickets.sort_by_key(|ticket| std::cmp::Reverse(ticket["updated_at"].to_string()));
            linked(request, ORIGIN, &tickets)
        }
        _ => None,
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_micros(seconds * 1_000_000)
        .to_chrono()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn ticket(number: i64, updated: i64) -> Json {
    json!({
        "id": number,
        "subject": "Support needed",
        "status": 2,
        "priority": 1,
        "source": 2,
        "type": null,
        "requester_id": 1_000_000_675,
        "responder_id": null,
        "spam": false,
        "tags": ["new"],
        "custom_fields": { "category": "Primary" },
        "due_by": "2026-11-14T13:08:06Z",
        "created_at": time(updated - 3_600),
        "updated_at": time(updated),
    })
}

fn contact(number: i64) -> Json {
    json!({ "id": number, "name": "Ann", "email": format!("{number}@example.com"), "active": true, "company_id": 23, "created_at": "2015-08-18T16:18:14Z", "updated_at": time(NOW - 60 - number * 86_400), "custom_fields": {} })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_read_since_their_last_change() {
    let setup = Setup::of(freshdesk()).await;
    setup.change_records("tickets", |list| {
        list.extend((0..250).map(|n| ticket(n, NOW - 60 - n * 86_400)));
    });
    setup.connect().await;
    assert_eq!(setup.rows("tickets").await.len(), 250);
    let row = setup.row("tickets", "id", &json!("0")).await;
    assert_eq!(
        (
            &row["status"],
            &row["requester_id"],
            &row["custom_fields"],
            &row["updated_at"]
        ),
        (
            &json!(2),
            &json!("1000000675"),
            &json!({ "category": "Primary" }),
            &json!("2026-11-04T11:59:00Z")
        )
    );
    let first = setup.queries("/api/v2/tickets").await;
    assert_eq!(first.len(), 4, "three pages, and then the last month in one");

    setup.change("tickets", "id", &json!(249), |ticket| {
        ticket["status"] = json!(5);
        ticket["updated_at"] = json!(time(NOW + 60));
    });
    setup.respond_next(ResponseTemplate::new(429).insert_header("Retry-After", "1"));
    setup.advance_and_run(Duration::from_mins(12)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.row("tickets", "id", &json!("249")).await["status"], 5);
    assert_eq!(
        setup.queries("/api/v2/tickets").await.len() - first.len(),
        2,
        "put off, and then answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_are_kept_equal() {
    let setup = Setup::of(freshdesk()).await;
    setup.change_records("contacts", |list| list.extend((0..250).map(contact)));
    setup.change_records("companies", |list| {
        list.push(json!({ "id": 23, "name": "Acme", "domains": ["acme.example"] }));
    });
    setup.connect().await;
    assert_eq!(setup.rows("contacts").await.len(), 250);
    assert_eq!(setup.rows("companies").await[0]["name"], "Acme");
    setup.advance_and_run(Duration::from_mins(67)).await;
    let before = setup.queries("/api/v2/contacts").await.len();

    setup.change_records("contacts", |list| list.truncate(249));
    setup.change("contacts", "id", &json!(7), |contact| {
        contact["name"] = json!("Bea");
        contact["updated_at"] = json!(time(NOW + 4_000));
    });
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert_eq!(setup.row("contacts", "id", &json!("7")).await["name"], "Bea");
    let queries = setup.queries("/api/v2/contacts").await.split_off(before);
    assert!(
        queries.len() == 1 && queries[0].contains("_updated_since=2026-11-03T"),
        "only the last day: {queries:?}"
    );

    // Once a day a full scan shows which ones were deleted.
    setup.advance_and_run(Duration::from_hours(24)).await;
    assert_eq!(setup.rows("contacts").await.len(), 249);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_with_advice() {
    let setup = Setup::of(freshdesk()).await;
    let reported = setup.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(
        reported.contains("You have to be logged in") && reported.contains("Profile settings"),
        "{reported}"
    );
}
