//! ActiveCampaign: pages by id and pages by offset, numbers as text, a base URL for each account.
//!
//! Source of the shapes: the API reference, <https://developers.activecampaign.com/reference/list-all-contacts> and <https://developers.activecampaign.com/reference/list-all-deals>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

fn activecampaign() -> FakeProvider {
    FakeProvider {
        provider: "activecampaign",
        fields: json!({ "apiKey": "00good", "apiUrl": "https://acme.api-us1.com" }),
        authorization: ("api-token", "00good".to_owned()),
        refusal: response(
            403,
            &json!({ "message": "The request could not be authenticated or the authenticated user is not authorized to access the requested resource." }),
        ),
        respond,
    }
}

/// See <https://developers.activecampaign.com/reference/pagination>.
fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    let limit = request.number("limit").unwrap_or(20);
    request.require(limit <= 100, "limit is 100 at most");
    match request.path() {
        "/api/3/users/me" => ok(&json!({ "user": { "id": "1", "email": "me@example.com" } })),
        "/api/3/contacts" => {
            request.only(&["limit", "id_greater", "orders[id]"]);
            request.require(
                request.parameter("orders[id]").as_deref() == Some("ASC"),
                "which order",
            );
            let after = request.number("id_greater").unwrap_or(0);
            let mut all = request.records("contacts");
            let id = |contact: &Json| contact["id"].as_str().unwrap().parse::<usize>().unwrap();
            all.retain(|contact| id(contact) > after);
            all.sort_by_key(id);
            let page = fake_provider::part(&all, 0, limit);
            ok(
                &json!({ "scoreValues": [], "contacts": page, "meta": { "total": all.len().to_string(), "sortable": true } }),
            )
        }
        "/api/3/deals" => {
            request.only(&["limit", "offset"]);
            let all = request.records("deals");
            let page = fake_provider::part(&all, request.number("offset").unwrap_or(0), limit);
            ok(&json!({ "deals": page, "meta": { "total": all.len() } }))
        }
        _ => None,
    }
}

fn contact(number: usize) -> Json {
    json!({
        "id": number.to_string(),
        "email": format!("{number}@example.org"),
        "phone": "",
        "firstName": "Jane",
        "lastName": "Doe",
        "bounced_hard": "0",
        "bounced_soft": "2",
        "deleted": "0",
        "cdate": "2026-09-12T16:53:50-05:00",
        "udate": "2026-10-12T16:53:50-05:00",
        "links": { "deals": "https://acme.api-us1.com/api/3/contacts/1/deals" },
    })
}

fn deal(number: usize) -> Json {
    json!({
        "id": number.to_string(), "title": "AC Deal", "value": "45600", "currency": "usd", "status": "0", "percent": null,
        "contact": "51", "account": "45", "owner": "1", "group": "1", "stage": "3",
        "cdate": "2026-09-12T16:53:50-05:00", "mdate": "2026-10-12T16:53:50-05:00",
    })
}

async fn with_contacts() -> Setup {
    let setup = Setup::of(activecampaign()).await;
    setup.change_records("contacts", |contacts| contacts.extend((1..=250).map(contact)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_are_paged_by_id() {
    let setup = with_contacts().await;
    setup.connect().await;
    assert_eq!(setup.rows("contacts").await.len(), 250);
    let row = setup.row("contacts", "id", &json!("7")).await;
    assert_eq!(
        (&row["first_name"], &row["bounced_soft"], &row["created_at"]),
        (&json!("Jane"), &json!(2), &json!("2026-09-12T21:53:50Z"))
    );
    let pages = setup.queries("/api/3/contacts").await;
    let ids: Vec<_> = pages
        .iter()
        .map(|page| page.split_once("id_greater=").map(|(_, id)| id))
        .collect();
    assert_eq!(ids, [None, Some("100"), Some("200"), Some("250")], "{pages:#?}");

    setup.change("contacts", "id", &json!("7"), |contact| {
        contact["lastName"] = json!("Roe");
    });
    setup.change_records("contacts", |contacts| {
        contacts.retain(|contact| contact["id"] != "8");
    });
    setup.advance_and_run(Duration::from_hours(7)).await;
    assert_eq!(setup.rows("contacts").await.len(), 249);
    assert_eq!(setup.row("contacts", "id", &json!("7")).await["last_name"], "Roe");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deals_are_paged_by_offset() {
    let setup = Setup::of(activecampaign()).await;
    setup.change_records("deals", |deals| deals.extend((1..=210).map(deal)));
    setup.connect().await;
    assert_eq!(setup.rows("deals").await.len(), 210);
    let row = setup.row("deals", "id", &json!("7")).await;
    assert_eq!(
        (
            &row["value"],
            &row["percent"],
            &row["pipeline"],
            &row["updated_at"]
        ),
        (
            &json!(45_600),
            &Json::Null,
            &json!("1"),
            &json!("2026-10-12T21:53:50Z")
        )
    );
    let pages = setup.queries("/api/3/deals").await;
    assert_eq!(
        pages,
        [
            "limit=100&offset=0",
            "limit=100&offset=100",
            "limit=100&offset=200"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_an_address_that_is_not_only_a_host_are_refused() {
    let setup = Setup::of(activecampaign()).await;
    let reported = setup.refusal(&json!({ "apiKey": "00bad" })).await;
    assert!(reported.contains("could not be authenticated"), "{reported}");
    for wrong in [
        "acme.api-us1.com",
        "https://acme.api-us1.com/api/3",
        "http://acme.api-us1.com",
    ] {
        let reply = setup
            .try_to_connect(&json!({ "apiUrl": wrong }))
            .await
            .expect(400);
        assert_eq!(reply.fields(), ["apiUrl"], "{}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_contacts().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = response(429, &json!({ "message": "Too many requests" }));
    setup.respond_next(refusal.insert_header("retry-after", "1"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("contacts").await.len(), 250);
}
