//! Postmark: pages by offset within days, because a search shows at most 10000.
//!
//! Source of the shapes: the API reference, <https://postmarkapp.com/developer/api/bounce-api#bounces> and
//! <https://postmarkapp.com/developer/api/messages-api#outbound-message-search>.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::fake_provider::{FakeProvider, NOW, ReceivedRequest, Setup, ok, part, response};

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

fn postmark() -> FakeProvider {
    let refusal = json!({ "ErrorCode": 10, "Message": "The Server Token you provided in the X-Postmark-Server-Token request header was invalid. Please verify that you are using a valid token." });
    FakeProvider {
        provider: "postmark",
        fields: json!({ "apiKey": TOKEN }),
        authorization: ("x-postmark-server-token", TOKEN.to_owned()),
        refusal: response(401, &refusal),
        respond,
    }
}

fn respond(request: &ReceivedRequest<'_>) -> Option<ResponseTemplate> {
    request.require(request.header("accept") == Some("application/json"), "Accept");
    match request.path() {
        "/server" => ok(&json!({ "ID": 1, "Name": "Staging" })),
        "/bounces" => search(request, "Bounces", "BouncedAt"),
        "/messages/outbound" => search(request, "Messages", "ReceivedAt"),
        _ => None,
    }
}

/// Newest first, both days included.
fn search(request: &ReceivedRequest<'_>, list_name: &str, date: &str) -> Option<ResponseTemplate> {
    request.only(&["count", "offset", "fromdate", "todate", "messagestream"]);
    let (count, offset) = (
        request.number("count").unwrap(),
        request.number("offset").unwrap(),
    );
    request.require(
        count <= 500 && count + offset <= 10_000,
        "a search shows 10000 at most",
    );
    let (from, to) = (
        request.parameter("fromdate").unwrap(),
        request.parameter("todate"),
    );
    let mut found = request.records(list_name);
    let stream = request
        .parameter("messagestream")
        .unwrap_or_else(|| "outbound".to_owned());
    found.retain(|record| record["MessageStream"] == *stream);
    found.retain(|record| {
        let day = record[date].as_str().unwrap().split('T').next().unwrap();
        day >= from.as_str() && to.as_deref().is_none_or(|to| day <= to)
    });
    found.sort_by_key(|record| std::cmp::Reverse(record[date].to_string()));
    ok(&json!({ "TotalCount": found.len(), list_name: part(&found, offset, count) }))
}

fn time(seconds: i64) -> String {
    Timestamp::from_micros(seconds * 1_000_000)
        .to_chrono()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn bounce(number: i64, at: i64) -> Json {
    json!({
        "ID": 692_560_000_i64 + number,
        "Type": "HardBounce",
        "TypeCode": 1,
        "Name": "Hard bounce",
        "Tag": "Invitation",
        "MessageID": "2c1b63fe-43f2-4db5-91b0-8bdfa44a9316",
        "ServerID": 23,
        "MessageStream": "outbound",
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "action: failed",
        "Email": format!("{number}@example.com"),
        "From": "sender@example.com",
        "BouncedAt": time(at),
        "DumpAvailable": false,
        "Inactive": true,
        "CanActivate": true,
        "Subject": "SC API5 Test",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_message_stream_can_be_read() {
    let fake = FakeProvider {
        fields: json!({ "apiKey": TOKEN, "messageStream": "broadcast" }),
        ..postmark()
    };
    let setup = Setup::of(fake).await;
    setup.change_records("Bounces", |list| {
        list.push(bounce(1, NOW - 60));
        let mut broadcast = bounce(2, NOW - 60);
        broadcast["MessageStream"] = json!("broadcast");
        list.push(broadcast);
    });
    setup.connect().await;
    let rows = setup.rows("bounces").await;
    assert_eq!((rows.len(), &rows[0]["email"]), (1, &json!("2@example.com")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounces_are_read_by_days_and_offset() {
    let setup = Setup::of(postmark()).await;
    setup.change_records("Bounces", |list| {
        list.extend((0..1_200).map(|n| bounce(n, NOW - 60 - n)));
        list.extend((2_000..2_100).map(|n| bounce(n, NOW - (n - 1_990) * 86_400)));
    });
    setup.change_records("Messages", |list| {
        list.push(json!({ "MessageID": "0ac29aee", "MessageStream": "outbound", "Status": "Sent", "Recipients": ["a@example.com"], "Metadata": { "color": "blue" }, "ReceivedAt": "2026-11-03T11:59:00.0000000-05:00" }));
    });
    setup.connect().await;

    let rows = setup.rows("bounces").await;
    assert_eq!(
        (rows.len(), &rows[0]["email"]),
        (1_300, &json!("0@example.com")),
        "newest first"
    );
    assert_eq!(
        (
            &rows[0]["id"],
            &rows[0]["type_code"],
            &rows[0]["inactive"],
            &rows[0]["bounced_at"]
        ),
        (
            &json!("692560000"),
            &json!(1),
            &json!(true),
            &json!("2026-11-04T11:59:00Z")
        )
    );
    let message = &setup.rows("messages").await[0];
    assert_eq!(
        (
            &message["recipients"],
            &message["metadata"],
            &message["received_at"]
        ),
        (
            &json!(["a@example.com"]),
            &json!({ "color": "blue" }),
            &json!("2026-11-03T16:59:00Z")
        )
    );
    let queries = setup.queries("/bounces").await;
    let newest: Vec<_> = queries
        .iter()
        .filter(|query| query.contains("fromdate=2026-11-02"))
        .collect();
    assert!(
        ["offset=0", "offset=500", "offset=1000"]
            .iter()
            .all(|offset| newest.iter().any(|query| query.ends_with(offset))),
        "{queries:#?}"
    );

    setup.change("Bounces", "Email", &json!("700@example.com"), |bounce| {
        bounce["Inactive"] = json!(false);
    });
    setup.change_records("Bounces", |list| list.push(bounce(9_000, NOW + 60)));
    setup.respond_next(response(
        429,
        &json!({ "ErrorCode": 429, "Message": "Rate Limit Exceeded" }),
    ));
    setup.advance_and_run(Duration::from_mins(12)).await;
    setup.waited();
    assert_eq!(setup.rows("bounces").await.len(), 1_301);
    assert_eq!(
        setup.row("bounces", "email", &json!("700@example.com")).await["inactive"],
        false
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let setup = Setup::of(postmark()).await;
    let reported = setup
        .refusal(&json!({ "apiKey": "00000000-2222-3333-4444-555555555555" }))
        .await;
    assert!(
        reported.contains("code 10") && reported.contains("API Tokens"),
        "{reported}"
    );
}
