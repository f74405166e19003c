//! Postmark: pages by offset within days, for a search shows 10000 at most.
//!
//! Source of the shapes: the API reference, <https://postmarkapp.com/developer/api/bounce-api#bounces> and
//! <https://postmarkapp.com/developer/api/messages-api#outbound-message-search>.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value as Json, json};
use wiremock::ResponseTemplate;

use crate::stage::{Asked, NOW, Play, Stage, answer, ok, part};

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

fn postmark() -> Play {
    let refusal = json!({ "ErrorCode": 10, "Message": "The Server Token you provided in the X-Postmark-Server-Token request header was invalid. Please verify that you are using a valid token." });
    Play {
        provider: "postmark",
        fields: json!({ "apiKey": TOKEN }),
        authorization: ("x-postmark-server-token", TOKEN.to_owned()),
        refusal: answer(401, &refusal),
        answers,
    }
}

fn answers(asked: &Asked<'_>) -> Option<ResponseTemplate> {
    asked.demand(asked.header("accept") == Some("application/json"), "Accept");
    match asked.path() {
        "/server" => ok(&json!({ "ID": 1, "Name": "Staging" })),
        "/bounces" => search(asked, "Bounces", "BouncedAt"),
        "/messages/outbound" => search(asked, "Messages", "ReceivedAt"),
        _ => None,
    }
}

/// The newest first, both days included.
fn search(asked: &Asked<'_>, shelf: &str, date: &str) -> Option<ResponseTemplate> {
    asked.only(&["count", "offset", "fromdate", "todate", "messagestream"]);
    let (count, offset) = (asked.number("count").unwrap(), asked.number("offset").unwrap());
    asked.demand(
        count <= 500 && count + offset <= 10_000,
        "a search shows 10000 at most",
    );
    let (from, to) = (asked.parameter("fromdate").unwrap(), asked.parameter("todate"));
    let mut found = asked.shelf(shelf);
    let stream = asked
        .parameter("messagestream")
        .unwrap_or_else(|| "outbound".to_owned());
    found.retain(|record| record["MessageStream"] == *stream);
    found.retain(|record| {
        let day = record[date].as_str().unwrap().split('T').next().unwrap();
        day >= from.as_str() && to.as_deref().is_none_or(|to| day <= to)
    });
    found.sort_by_key(|record| std::cmp::Reverse(record[date].to_string()));
    ok(&json!({ "TotalCount": found.len(), shelf: part(&found, offset, count) }))
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
    let play = Play {
        fields: json!({ "apiKey": TOKEN, "messageStream": "broadcast" }),
        ..postmark()
    };
    let stage = Stage::of(play).await;
    stage.shelve("Bounces", |list| {
        list.push(bounce(1, NOW - 60));
        let mut broadcast = bounce(2, NOW - 60);
        broadcast["MessageStream"] = json!("broadcast");
        list.push(broadcast);
    });
    stage.connect().await;
    let rows = stage.rows("bounces").await;
    assert_eq!((rows.len(), &rows[0]["email"]), (1, &json!("2@example.com")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounces_are_read_by_days_and_offset() {
    let stage = Stage::of(postmark()).await;
    stage.shelve("Bounces", |list| {
        list.extend((0..1_200).map(|n| bounce(n, NOW - 60 - n)));
        list.extend((2_000..2_100).map(|n| bounce(n, NOW - (n - 1_990) * 86_400)));
    });
    stage.shelve("Messages", |list| {
        list.push(json!({ "MessageID": "0ac29aee", "MessageStream": "outbound", "Status": "Sent", "Recipients": ["a@example.com"], "Metadata": { "color": "blue" }, "ReceivedAt": "2026-11-03T11:59:00.0000000-05:00" }));
    });
    stage.connect().await;

    let rows = stage.rows("bounces").await;
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
    let message = &stage.rows("messages").await[0];
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
    let queries = stage.queries("/bounces").await;
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

    stage.change("Bounces", "Email", &json!("700@example.com"), |bounce| {
        bounce["Inactive"] = json!(false);
    });
    stage.shelve("Bounces", |list| list.push(bounce(9_000, NOW + 60)));
    stage.first_answer(answer(
        429,
        &json!({ "ErrorCode": 429, "Message": "Rate Limit Exceeded" }),
    ));
    stage.pass(Duration::from_mins(12)).await;
    stage.waited();
    assert_eq!(stage.rows("bounces").await.len(), 1_301);
    assert_eq!(
        stage.row("bounces", "email", &json!("700@example.com")).await["inactive"],
        false
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_with_advice() {
    let stage = Stage::of(postmark()).await;
    let told = stage
        .refusal(&json!({ "apiKey": "00000000-2222-3333-4444-555555555555" }))
        .await;
    assert!(told.contains("code 10") && told.contains("API Tokens"), "{told}");
}
