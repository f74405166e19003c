//! Intercom: pages by a cursor in the response, times in seconds, a version in a header.
//!
//! Source of the shapes: the API reference, <https://developers.intercom.com/docs/references/2.11/rest-api/api.intercom.io/contacts/listcontacts> and
//! <https://developers.intercom.com/docs/references/2.11/rest-api/api.intercom.io/conversations/listconversations>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, NOW, ReceivedRequest, Setup, ok, response};

fn intercom() -> FakeProvider {
    FakeProvider {
        provider: "intercom",
        fields: json!({ "apiKey": "good" }),
        authorization: ("authorization", "Bearer good".to_owned()),
        refusal: error(401, "unauthorized", "Access Token Invalid"),
        respond,
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    response(
        status,
        &json!({ "type": "error.list", "request_id": "b2f7", "errors": [{ "code": code, "message": message }] }),
    )
}

/// See <https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/pagination>.
fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(
        request.header("intercom-version") == Some("2.11"),
        "which version",
    );
    let (list_name, field) = match request.path() {
        "/me" => return ok(&json!({ "type": "admin", "id": "991267459", "email": "admin@example.com" })),
        "/contacts" => ("contacts", "data"),
        "/conversations" => ("conversations", "conversations"),
        path => return conversation(request, path.strip_prefix("/conversations/")?),
    };
    request.only(&["per_page", "starting_after"]);
    let all = request.records(list_name);
    let size = request.number("per_page").unwrap_or(50);
    request.require(size <= 150, "per_page is 150 at most");
    let start = match request.parameter("starting_after") {
        None => 0,
        Some(cursor) => {
            let place = cursor
                .strip_prefix("WzE3+")
                .and_then(|rest| rest.strip_suffix("=="));
            let Some(place) = place.and_then(|place| place.parse().ok()) else {
                return Some(error(400, "client_error", "Invalid starting_after param."));
            };
            place
        }
    };
    let page = fake_provider::part(&all, start, size);
    let end = start + page.len();
    let mut pages = json!({ "type": "pages", "page": start / size + 1, "per_page": size, "total_pages": all.len().div_ceil(size) });
    if end < all.len() {
        pages["next"] = json!({ "page": start / size + 2, "starting_after": format!("WzE3+{end}==") });
    }
    ok(&json!({ "type": "list", field: page, "total_count": all.len(), "pages": pages }))
}

/// See <https://developers.intercom.com/docs/references/2.11/rest-api/api.intercom.io/conversations/retrieveconversation>.
fn conversation(request: &ReceivedRequest<'_>, id: &str) -> Option<ResponseTemplate> {
    let mut known = request.records("conversations");
    known.extend(request.records("hidden"));
    match known.iter().find(|conversation| conversation["id"] == id) {
        Some(conversation) => ok(conversation),
        None => Some(error(404, "not_found", "Resource Not Found")),
    }
}

fn contact(number: i64) -> Json {
    json!({
        "type": "contact",
        "id": format!("6657add4{number:04}"),
        "external_id": number.to_string(),
        "role": "user",
        "email": format!("{number}@example.org"),
        "phone": null,
        "name": "Joe Bloggs",
        "owner_id": 127,
        "has_hard_bounced": false,
        "unsubscribed_from_emails": true,
        "location": { "type": "location", "country": "Ireland", "region": null, "city": "Dublin" },
        "custom_attributes": { "plan": "gold" },
        "created_at": NOW - 1_000,
        "updated_at": NOW - number,
        "last_seen_at": null,
    })
}

async fn with_contacts() -> Setup {
    let setup = Setup::of(intercom()).await;
    setup.change_records("contacts", |contacts| contacts.extend((0..400).map(contact)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_and_conversations_are_kept_equal_to_the_workspace() {
    let setup = with_contacts().await;
    setup.change_records("conversations", |list| {
        list.push(json!({
            "type": "conversation", "id": "471", "title": null, "state": "open", "open": true, "read": false, "priority": "priority",
            "admin_assignee_id": null, "created_at": NOW - 60, "updated_at": NOW - 30, "snoozed_until": null,
            "source": { "type": "conversation", "body": "<p>Hello</p>" },
        }));
    });
    setup.connect().await;
    let rows = setup.rows("contacts").await;
    assert_eq!((rows.len(), &rows[0]["external_id"]), (400, &json!("0")));
    let row = setup.row("contacts", "external_id", &json!("7")).await;
    assert_eq!(
        (
            &row["owner_id"],
            &row["unsubscribed_from_emails"],
            &row["updated_at"],
            &row["last_seen_at"]
        ),
        (
            &json!("127"),
            &json!(true),
            &json!("2026-11-04T11:59:53Z"),
            &Json::Null
        )
    );
    let row = setup.row("conversations", "id", &json!("471")).await;
    assert_eq!(
        (&row["open"], &row["source"]["body"]),
        (&json!(true), &json!("<p>Hello</p>"))
    );
    let pages = setup.queries("/contacts").await;
    assert_eq!(
        pages,
        [
            "per_page=150",
            "per_page=150&starting_after=WzE3%2B150%3D%3D",
            "per_page=150&starting_after=WzE3%2B300%3D%3D"
        ]
    );

    setup.change("contacts", "external_id", &json!("7"), |contact| {
        contact["name"] = json!("Jane");
    });
    setup.change_records("contacts", |contacts| {
        contacts.retain(|contact| contact["external_id"] != "8");
    });
    setup.advance_and_run(Duration::from_hours(7)).await;
    assert_eq!(setup.rows("contacts").await.len(), 399);
    assert_eq!(
        setup.row("contacts", "external_id", &json!("7")).await["name"],
        "Jane"
    );

    // The list did not show this conversation, because it moved meanwhile.
    setup.change_records("hidden", |list| list.push(json!({ "id": "471", "open": false })));
    setup.change_records("conversations", Vec::clear);
    setup.advance_and_run(Duration::from_hours(7)).await;
    let row = setup.row("conversations", "id", &json!("471")).await;
    assert_eq!(row["open"], json!(false));
    setup.change_records("hidden", Vec::clear);
    setup.advance_and_run(Duration::from_hours(7)).await;
    assert_eq!(setup.rows("conversations").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_and_an_unknown_region_are_refused() {
    let setup = Setup::of(intercom()).await;
    let reported = setup.refusal(&json!({ "apiKey": "bad" })).await;
    assert!(
        reported.contains("Access Token Invalid") && reported.contains("another region"),
        "{reported}"
    );
    let wrong = json!({ "hostname": "evil.example" });
    let reply = setup.try_to_connect(&wrong).await.expect(400);
    assert_eq!(reply.fields(), ["hostname"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out_until_the_reset() {
    let setup = with_contacts().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    let refusal = error(429, "rate_limit_exceeded", "You have exceeded the rate limit.");
    setup.respond_next(refusal.insert_header("x-ratelimit-reset", (NOW + 1).to_string().as_str()));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("contacts").await.len(), 400);
}
