//! Klaviyo: pages by a link in the answer, a revision in a header, what matters within `attributes`.
//!
//! Source of the shapes: the API reference, <https://developers.klaviyo.com/en/reference/get_profiles> and <https://developers.klaviyo.com/en/reference/get_lists>.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{self, Asked, Play, Stage, answer, ok};

fn klaviyo() -> Play {
    Play {
        provider: "klaviyo",
        fields: json!({ "apiKey": "pk_good" }),
        authorization: ("authorization", "Klaviyo-API-Key pk_good".to_owned()),
        refusal: error(
            401,
            "authentication_failed",
            "Incorrect authentication credentials.",
        ),
        answers,
    }
}

fn error(status: u16, code: &str, detail: &str) -> ResponseTemplate {
    let error = json!({ "id": "a1b2", "status": status, "code": code, "title": detail, "detail": detail, "source": { "pointer": "/data/" } });
    answer(status, &json!({ "errors": [error] }))
}

/// As <https://developers.klaviyo.com/en/reference/api_overview> tells.
fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.demand(asked.header("revision") == Some("2026-04-15"), "which revision");
    let (shelf, size) = match asked.path() {
        "/api/accounts" => return ok(&json!({ "data": [{ "type": "account", "id": "AbC123" }] })),
        "/api/profiles" => {
            asked.only(&["sort", "page[size]", "page[cursor]"]);
            ("profiles", asked.number("page[size]").unwrap_or(20))
        }
        "/api/lists" => {
            asked.only(&["sort", "page[cursor]"]);
            ("lists", 10)
        }
        _ => return None,
    };
    asked.demand(size <= 100, "page[size] is 100 at most");
    let all = asked.shelf(shelf);
    let start = asked.parameter("page[cursor]").map_or(0, |cursor| {
        cursor.strip_prefix("bmV4dDo").unwrap().parse().unwrap()
    });
    let data = stage::part(&all, start, size);
    let end = start + data.len();
    let mut parameters = asked.parameters();
    parameters.remove("page[cursor]");
    let encoded = |text: &str| text.replace('[', "%5B").replace(']', "%5D");
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={value}", encoded(name)))
        .collect();
    let query = query.join("&");
    let next = format!(
        "{}{}?{query}&page%5Bcursor%5D=bmV4dDo{end}",
        asked.origin(),
        asked.path()
    );
    let next = (end < all.len()).then_some(next);
    ok(&json!({ "data": data, "links": { "self": asked.path(), "next": next, "prev": null } }))
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

async fn with_profiles() -> Stage {
    let stage = Stage::of(klaviyo()).await;
    stage.shelve("profiles", |profiles| profiles.extend((0..250).map(profile)));
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_and_lists_are_kept_equal_to_the_account() {
    let stage = with_profiles().await;
    stage.shelve("lists", |lists| {
        lists.extend((0..25).map(|n| {
            json!({
                "type": "list", "id": format!("Y6nRL{n}"),
                "attributes": { "name": format!("List {n}"), "opt_in_process": "double_opt_in", "created": "2026-10-08T00:00:00+00:00", "updated": "2026-10-08T00:00:00+00:00" },
            })
        }));
    });
    stage.connect().await;
    let rows = stage.rows("profiles").await;
    assert_eq!((rows.len(), &rows[0]["email"]), (250, &json!("249@example.org")));
    let row = stage.row("profiles", "email", &json!("7@example.org")).await;
    assert_eq!(
        (&row["updated_at"], &row["properties"], &row["external_id"]),
        (
            &json!("2026-11-01T10:00:07Z"),
            &json!({ "pseudonym": "Dr. Octopus" }),
            &Json::Null
        )
    );
    assert_eq!(stage.rows("lists").await.len(), 25);
    let pages = stage.queries("/api/profiles").await;
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
    assert_eq!(stage.queries("/api/lists").await.len(), 3);

    let id = row["id"].clone();
    stage.change("profiles", "id", &id, |profile| {
        profile["attributes"]["first_name"] = json!("Sara");
    });
    stage.shelve("profiles", |profiles| {
        profiles.retain(|profile| profile["attributes"]["email"] != "8@example.org");
    });
    stage.pass(Duration::from_hours(13)).await;
    assert_eq!(stage.rows("profiles").await.len(), 249);
    assert_eq!(stage.row("profiles", "id", &id).await["first_name"], "Sara");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_and_a_public_one_without_a_request() {
    let stage = Stage::of(klaviyo()).await;
    let told = stage.refusal(&json!({ "apiKey": "pk_bad" })).await;
    assert!(
        told.contains("Incorrect authentication credentials") && told.contains("Copy it again"),
        "{told}"
    );
    let reply = stage
        .try_to_connect(&json!({ "apiKey": "AbC123" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["apiKey"], "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_read_the_account_is_verified_with_the_profiles() {
    let stage = Stage::of(klaviyo()).await;
    stage.first_answer(error(
        403,
        "permission_denied",
        "The API key specified does not have permission to perform this action.",
    ));
    stage.try_to_connect(&json!({})).await.expect(201);
    let queries = stage.queries_to_connect("/api/profiles").await;
    assert_eq!(queries.first().unwrap(), "page[size]=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_out() {
    let stage = with_profiles().await;
    stage.try_to_connect(&json!({})).await.expect(201);
    stage.first_answer(error(429, "throttled", "Request was throttled.").insert_header("retry-after", "1"));
    stage.run_due().await;
    assert!(stage.waited() >= Duration::from_secs(1));
    assert_eq!(stage.rows("profiles").await.len(), 250);
}
