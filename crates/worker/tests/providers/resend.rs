//! Resend: a list without filters, read from the newest message back to the end of the lookback.
//!
//! Source of the shapes: the OpenAPI description, <https://github.com/resend/resend-openapi/blob/main/resend.yaml>
//! (`ListEmailsResponse`, `ListDomainsResponse` and `ListContactsResponseSuccess`), with times from its examples.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, ok, part, response};

fn resend() -> FakeProvider {
    FakeProvider {
        provider: "resend",
        fields: json!({ "apiKey": "re_good" }),
        authorization: ("authorization", "Bearer re_good".to_owned()),
        refusal: error(400, "invalid_api_key", "API key is invalid"),
        respond,
    }
}

fn error(status: u16, name: &str, message: &str) -> ResponseTemplate {
    response(
        status,
        &json!({ "statusCode": status, "name": name, "message": message }),
    )
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.only(&["limit", "after"]);
    let list_name = ["emails", "domains", "contacts"]
        .into_iter()
        .find(|list_name| request.path() == format!("/{list_name}"))?;
    let all = request.records(list_name);
    let start = request.parameter("after").map_or(0, |id| {
        1 + all.iter().position(|record| record["id"] == *id).unwrap()
    });
    let limit = request.number("limit").unwrap();
    request.require(limit <= 100, "a page has 100 records at most");
    let data = part(&all, start, limit);
    ok(&json!({ "object": "list", "has_more": start + data.len() < all.len(), "data": data }))
}

fn email(number: i64, created: i64) -> Json {
    let created = Timestamp::from_micros(created * 1_000_000)
        .to_chrono()
        // See the vendor's OpenAPI document (resend/resend-openapi, pull request 83).
        .format("%Y-%m-%d %H:%M:%S.674981+00");
    json!({
        "id": format!("4ef9a417-02e9-4d39-ad75-{number:012}"),
        "to": ["delivered@resend.dev"],
        "from": "Acme <onboarding@resend.dev>",
        "created_at": created.to_string(),
        "subject": "Hello World",
        "bcc": null,
        "cc": null,
        "reply_to": null,
        "last_event": "sent",
        "scheduled_at": null,
    })
}

/// Returns how many pages of lists were requested, including refused ones.
async fn pages_requested(setup: &Setup) -> usize {
    let mut pages = 0;
    for list in ["/emails", "/domains", "/contacts"] {
        pages += setup.queries(list).await.len();
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_back_to_the_end_of_the_lookback() {
    let setup = Setup::of(resend()).await;
    setup.change_records("emails", |list| {
        list.extend((0..250).map(|n| email(n, NOW - 60 - n * 86_400)));
    });
    setup.change_records("domains", |list| list.push(json!({ "id": "d91cd9bd", "name": "example.com", "status": "verified", "region": "us-east-1", "created_at": "2023-04-26 20:21:26.347412+00" })));
    setup.connect().await;

    let rows = setup.rows("emails").await;
    assert_eq!(
        (rows.len(), &rows[0]["to"]),
        (250, &json!(["delivered@resend.dev"]))
    );
    assert_eq!(rows[0]["created_at"], "2026-11-04T11:59:00.674981Z");
    assert_eq!(
        setup.rows("domains").await[0]["created_at"],
        "2023-04-26T20:21:26.347412Z"
    );
    let queries = setup.queries("/emails").await;
    let after = |n: i64| format!("limit=100&after=4ef9a417-02e9-4d39-ad75-{n:012}");
    assert_eq!(
        queries,
        [
            "limit=100".to_owned(),
            after(99),
            after(199),
            "limit=100".to_owned()
        ],
        "the last month is one page"
    );

    let before = pages_requested(&setup).await;
    setup.change_records("emails", |list| {
        list[1]["last_event"] = json!("delivered");
        list.insert(0, email(900, NOW + 30));
    });
    setup.change_records("domains", Vec::clear);
    let limited = error(
        429,
        "rate_limit_exceeded",
        "Too many requests. You can only make 2 requests per second.",
    );
    setup.respond_next(
        limited
            .insert_header("ratelimit-remaining", "0")
            .insert_header("ratelimit-reset", "1"),
    );
    setup.advance_and_run(Duration::from_mins(67)).await;
    assert!(setup.waited() >= Duration::from_secs(1));
    let rows = setup.rows("emails").await;
    assert_eq!((rows.len(), &rows[2]["last_event"]), (251, &json!("delivered")));
    assert_eq!(
        pages_requested(&setup).await,
        before + 5,
        "a page of each list, of the last days, the one that was refused again, and the domains that are missing twice"
    );
    assert!(setup.rows("domains").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_wrong_or_may_only_send_is_refused() {
    let setup = Setup::of(resend()).await;
    let reported = setup.refusal(&json!({ "apiKey": "re_bad" })).await;
    assert!(
        reported.contains("API key is invalid") && reported.contains("Create a new one"),
        "{reported}"
    );

    for _ in 0..2 {
        setup.respond_next(error(
            401,
            "restricted_api_key",
            "This API key is restricted to only send emails",
        ));
    }
    let reported = setup.refusal(&json!({})).await;
    assert!(reported.contains("can only send"), "{reported}");
}
