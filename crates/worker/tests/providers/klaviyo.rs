//! Klaviyo: pages by a link in the response, a revision in a header, the fields within `attributes`.
//!
//! Source of the shapes: the API reference, <https://developers.klaviyo.com/en/reference/get_profiles> and <https://developers.klaviyo.com/en/reference/get_lists>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{self, FakeProvider, ReceivedRequest, Setup, ok, response};

fn klaviyo() -> FakeProvider {
    FakeProvider {
        provider: "klaviyo",
        fields: json!({ "apiKey": "pk_good" }),
        authorization: ("authorization", "Klaviyo-API-Key pk_good".to_owned()),
        refusal: error(
            401,
            "authentication_failed",
            "Incorrect authentication credentials.",
        ),
        respond,
    }
}

fn error(status: u16, code: &str, detail: &str) -> ResponseTemplate {
    let error = json!({ "id": "a1b2", "status": status, "code": code, "title": detail, "detail": detail, "source": { "pointer": "/data/" } });
    response(status, &json!({ "errors": [error] }))
}

/// See <https://developers.klaviyo.com/en/reference/api_overview>.
fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(request.header("revision") == Some("2026-04-15"), "which revision");
    let (list_name, size) = match request.path() {
        "/api/accounts" => return ok(&json!({ "data": [{ "type": "account", "id": "AbC123" }] })),
        "/api/profiles" => {
            request.only(&["sort", "page[size]", "page[cursor]"]);
            ("profiles", request.number("page[size]").unwrap_or(20))
        }
        "/api/lists" => {
            request.only(&["sort", "page[cursor]"]);
            ("lists", 10)
        }
        _ => return None,
    };
    request.require(size <= 100, "page[size] is 100 at most");
    let all = request.records(list_name);
    let start = request.parameter("page[cursor]").map_or(0, |cursor| {
        cursor.strip_prefix("bmV4dDo").unwrap().parse().unwrap()
    });
    let data = fake_provider::part(&all, start, size);
    let end = start + data.len();
    let mut parameters = request.parameters();
    parameters.remove("page[cursor]");
    let encoded = |text: &str| text.replace('[', "%5B").replace(']', "%5D");
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={value}", encoded(name)))
        .collect();
    let query = query.join("&");
    let next = format!(
        "{}{}?{query}&page%5Bcursor%5D=bmV4dDo{end}",
        request.origin(),
        request.path()
    );
    let next = (end < all.len()).then_some(next);
    ok(&json!({ "data": data, "links": { "self": request.path(), "next": next, "prev": null } }))
}

fn profile(number: usize) -> Json {
    json!({
        "type": "profile",
        "id": format!("01GDDKASAP8TKDDA2GRZDSVP{number:02}"),
        "attributes": {
            "email": format!("{number}@example.org"),
            "phone_number": "+15005550006",
            "external_id": null,
            "first_name": "Sarah",
            "last_name": "Mason",
            "created": "2026-10-08T00:00:00+00:00",
            "updated": format!("2026-11-01T10:{:02}:{:02}+00:00", number / 60, number % 60),
            "last_event_date": null,
            "location": { "city": "Boston" },
            "properties": { "pseudonym": "Dr. Octopus" },
        },
        "links": { "self": "https://a.klaviyo.com/api/profiles/01/" },
    })
}

async fn with_profiles() -> Setup {
    let setup = Setup::of(klaviyo()).await;
    setup.change_records("profiles", |profiles| profiles.extend((0..250).map(profile)));
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_and_lists_are_kept_equal_to_the_account() {
    let setup = with_profiles().await;
    setup.change_records("lists", |lists| {
        lists.extend((0..25).map(|n| {
            json!({
                "type": "list", "id": format!("Y6nRL{n}"),
                "attributes": { "name": format!("List {n}"), "opt_in_process": "double_opt_in", "created": "2026-10-08T00:00:00+00:00", "updated": "2026-10-08T00:00:00+00:00" },
            })
        }));
    });
    setup.connect().await;
    let rows = setup.rows("profiles").await;
    assert_eq!((rows.len(), &rows[0]["email"]), (250, &json!("249@example.org")));
    let row = setup.row("profiles", "email", &json!("7@example.org")).await;
    assert_eq!(
        (&row["updated_at"], &row["properties"], &row["external_id"]),
        (
            &json!("2026-11-01T10:00:07Z"),
            &json!({ "pseudonym": "Dr. Octopus" }),
            &Json::Null
        )
    );
    assert_eq!(setup.rows("lists").await.len(), 25);
    let pages = setup.queries("/api/profiles").await;
    let cursors: Vec<_> = pages
        .iter()
        .map(|page| page.split_once("cursor%5D=").map(|(_, cursor)| cursor))
        .collect();
    assert_eq!(
        cursors,
        [None, Some("bmV4dDo100"), Some("bmV4dDo200")],
        "{pages:#?}"
    );
    assert!(
        pages
            .iter()
            .all(|page| page.contains("page%5Bsize%5D=100") && page.contains("sort=id")),
        "{pages:#?}"
    );
    assert_eq!(setup.queries("/api/lists").await.len(), 3);

    let id = row["id"].clone();
    setup.change("profiles", "id", &id, |profile| {
        profile["attributes"]["first_name"] = json!("Sara");
    });
    setup.change_records("profiles", |profiles| {
        profiles.retain(|profile| profile["attributes"]["email"] != "8@example.org");
    });
    setup.advance_and_run(Duration::from_hours(13)).await;
    assert_eq!(setup.rows("profiles").await.len(), 249);
    assert_eq!(setup.row("profiles", "id", &id).await["first_name"], "Sara");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_and_a_public_one_without_a_request() {
    let setup = Setup::of(klaviyo()).await;
    let reported = setup.refusal(&json!({ "apiKey": "pk_bad" })).await;
    assert!(
        reported.contains("Incorrect authentication credentials") && reported.contains("Copy it again"),
        "{reported}"
    );
    let reply = setup
        .try_to_connect(&json!({ "apiKey": "AbC123" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_read_the_account_is_verified_with_the_profiles() {
    let setup = Setup::of(klaviyo()).await;
    setup.respond_next(error(
        403,
        "permission_denied",
        "The API key specified does not have permission to perform this action.",
    ));
    setup.try_to_connect(&json!({})).await.expect(201);
    let queries = setup.queries_to_connect("/api/profiles").await;
    assert_eq!(queries.first().unwrap(), "page[size]=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let setup = with_profiles().await;
    setup.try_to_connect(&json!({})).await.expect(201);
    setup.respond_next(error(429, "throttled", "Request was throttled.").insert_header("retry-after", "1"));
    setup.run_due().await;
    assert!(setup.waited() >= Duration::from_secs(1));
    assert_eq!(setup.rows("profiles").await.len(), 250);
}
