//! Mailgun: lists that end with an empty page, and syncs that need a domain before they start.
//!
//! Source of the shapes: the API reference, <https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/domains> and, for lists of addresses,
//! `/bounces`, `/complaints` and `/unsubscribe` beside it.

use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, ReceivedRequest, Setup, ok, part, response};

/// `api:key-good` in Base64.
const GOOD: &str = "Basic YXBpOmtleS1nb29k";

fn mailgun() -> FakeProvider {
    FakeProvider {
        provider: "mailgun",
        fields: json!({ "apiKey": "key-good", "domain": "mg.example.com", "hostname": "api.eu.mailgun.net" }),
        authorization: ("authorization", GOOD.to_owned()),
        refusal: response(401, &json!({ "message": "Invalid private key" })),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    match request.path() {
        "/v4/domains" => {
            request.only(&["limit", "skip", "sort"]);
            let domains = request.records("domains");
            let shown = part(
                &domains,
                request.number("skip").unwrap_or(0),
                request.number("limit").unwrap_or(100),
            );
            ok(&json!({ "total_count": domains.len(), "items": shown }))
        }
        "/v3/mg.example.com/bounces" => addresses(request, "bounces"),
        "/v3/mg.example.com/complaints" => addresses(request, "complaints"),
        "/v3/mg.example.com/unsubscribes" => addresses(request, "unsubscribes"),
        _ => None,
    }
}

/// Returns the page after an address. There is always a next one.
fn addresses(request: &ReceivedRequest<'_>, list_name: &str) -> Option<ResponseTemplate> {
    request.only(&["limit", "page", "address"]);
    request.require(
        matches!(request.number("limit"), Some(1 | 1_000)),
        "the page is as large as may be, or one record",
    );
    let all = request.records(list_name);
    let pivot = request.parameter("address");
    let start = pivot.as_ref().map_or(0, |pivot| {
        1 + all
            .iter()
            .position(|record| record["address"] == *pivot.as_str())
            .unwrap()
    });
    let shown = part(&all, start, 1_000);
    let last = shown
        .last()
        .map_or(pivot, |record| record["address"].as_str().map(str::to_owned));
    let address = last.unwrap_or_default();
    let page = |page: &str| {
        format!(
            "https://api.eu.mailgun.net{}?page={page}&address={address}&limit=1000",
            request.path()
        )
    };
    ok(
        &json!({ "items": shown, "paging": { "first": page("first"), "next": page("next"), "last": page("last") } }),
    )
}

fn domain(number: u32) -> Json {
    json!({
        "created_at": "Wed, 10 Jul 2013 19:26:52 GMT",
        "id": format!("{number:024}"),
        "is_disabled": false,
        "name": format!("d{number:04}.example.com"),
        "require_tls": true,
        "spam_action": "disabled",
        "state": "active",
        "type": "custom",
        "web_prefix": "email",
    })
}

fn bounce(number: u32) -> Json {
    json!({
        "address": format!("{number:05}@example.org"),
        "code": "550",
        "error": "No such mailbox",
        "created_at": "Fri, 21 Oct 2011 11:02:55 UTC",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_are_kept_equal() {
    let setup = Setup::of(mailgun()).await;
    setup.change_records("domains", |list| list.extend((0..2_100).map(domain)));
    setup.connect().await;
    assert_eq!(setup.rows("domains").await.len(), 2_100);
    let row = setup.row("domains", "name", &json!("d0007.example.com")).await;
    assert_eq!(
        (&row["state"], &row["require_tls"], &row["created_at"]),
        (&json!("active"), &json!(true), &json!("2013-07-10T19:26:52Z"))
    );
    assert_eq!(setup.queries("/v4/domains").await.len(), 3);
    assert!(
        setup.queries("/v3/mg.example.com/bounces").await.is_empty(),
        "not started"
    );

    setup.change_records("domains", |list| list.truncate(2_099));
    setup.change("domains", "name", &json!("d0007.example.com"), |domain| {
        domain["state"] = json!("disabled");
    });
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert_eq!(setup.rows("domains").await.len(), 2_099);
    assert_eq!(
        setup.row("domains", "name", &json!("d0007.example.com")).await["state"],
        "disabled"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsubscribes_are_kept_equal() {
    let setup = Setup::of(mailgun()).await;
    let unsubscribe = |address: &str, tag: &str| json!({ "address": address, "tags": [tag], "created_at": "Thu, 13 Oct 2011 18:02:00 UTC" });
    setup.change_records("unsubscribes", |list| {
        list.extend([
            unsubscribe("alice@example.com", "*"),
            unsubscribe("bob@example.com", "newsletter"),
        ]);
    });
    setup.connect().await;
    setup.start("mailgun-unsubscribes").await;
    let row = setup
        .row("unsubscribes", "address", &json!("bob@example.com"))
        .await;
    assert_eq!(
        (&row["tags"], &row["created_at"]),
        (&json!(["newsletter"]), &json!("2011-10-13T18:02:00Z"))
    );

    setup.change_records("unsubscribes", |list| list.truncate(1));
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert_eq!(setup.rows("unsubscribes").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_addresses_ends_with_an_empty_page() {
    let setup = Setup::of(mailgun()).await;
    setup.change_records("bounces", |list| list.extend((0..2_500).map(bounce)));
    setup.connect().await;
    setup.start("mailgun-bounces").await;
    assert_eq!(setup.rows("bounces").await.len(), 2_500);
    let row = setup.row("bounces", "address", &json!("00042@example.org")).await;
    assert_eq!(
        (&row["code"], &row["created_at"]),
        (&json!("550"), &json!("2011-10-21T11:02:55Z"))
    );
    assert_eq!(setup.queries("/v3/mg.example.com/bounces").await.len(), 4);

    setup.change_records("bounces", |list| {
        list.retain(|bounce| bounce["address"] != "00042@example.org");
    });
    setup.respond_next(response(429, &json!({ "message": "Too many requests" })));
    setup.advance_and_run(Duration::from_mins(67)).await;
    setup.waited();
    assert_eq!(setup.rows("bounces").await.len(), 2_499);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_with_advice() {
    let setup = Setup::of(mailgun()).await;
    let reported = setup.refusal(&json!({ "apiKey": "key-bad" })).await;
    assert!(
        reported.contains("Invalid private key") && reported.contains("other region"),
        "{reported}"
    );
    let reply = setup
        .try_to_connect(&json!({ "hostname": "api.example.com" }))
        .await
        .expect(400);
    assert_eq!(reply.fields(), ["hostname"], "{}", reply.text);
}
