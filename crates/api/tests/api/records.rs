//! Synced records: pages, filters and streams.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value as Json};
use store::Dialect;
use testkit::{TestApp, on_both_databases};
use twilio_sim::{NewMessage, Status};

/// Makes a connection whose table holds the simulator's messages and some that are hard to page, print or parse.
async fn synced(app: &TestApp) -> String {
    let now = app.simulator().now();
    for index in 0..12 {
        app.simulator().insert(NewMessage {
            body: Some(format!(
                "tie {index}, \"quoted\"\r\nand a second line; =1+1 \u{1f600}"
            )),
            date_created: Some(now - Duration::hours(2)),
            date_sent: Some(now - Duration::hours(1)),
            status: Some(Status::Delivered),
            price: Some("-0.00750".to_owned()),
            tags: (index == 0).then(|| Map::from_iter([("campaign".to_owned(), Json::from("b"))])),
            ..NewMessage::default()
        });
        // Canceled before it was sent, so `date_sent` stays empty.
        app.simulator().insert(NewMessage {
            date_created: Some(now - Duration::hours(3)),
            status: Some(Status::Canceled),
            ..NewMessage::default()
        });
    }
    let name = app.connect_twilio().await;
    app.run_due().await;
    testkit::assert_table_equals_truth(app, &name).await;
    name
}

async fn page(app: &TestApp, query: &str) -> Json {
    app.admin()
        .get(&format!("/twilio/messages?connectionId=my-twilio&{query}"))
        .await
        .expect(200)
        .json()
}

/// Returns all rows that match, read page by page.
async fn pages(app: &TestApp, query: &str, limit: usize) -> Vec<Json> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(app, &format!("limit={limit}&{query}{cursor}")).await;
        let found = page["messages"].as_array().unwrap();
        assert!(found.len() <= limit);
        rows.extend(found.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn text<'a>(row: &'a Json, field: &str) -> Option<&'a str> {
    row[field].as_str()
}

/// Returns the date that orders a row: when it was sent, or else created.
fn newest(row: &Json) -> DateTime<Utc> {
    let time = text(row, "date_sent").or(text(row, "date_created")).unwrap();
    time.parse().unwrap()
}

#[on_both_databases]
async fn pages_show_every_row_once_newest_first_with_ties_and_without_dates(app: TestApp) {
    synced(&app).await;

    for limit in [1_000, 7] {
        let rows = pages(&app, "", limit).await;
        let sids: BTreeSet<&str> = rows.iter().filter_map(|row| text(row, "sid")).collect();
        assert_eq!(
            (rows.len(), sids.len()),
            (usize::try_from(app.simulator().live_count()).unwrap(), rows.len())
        );
        assert!(
            rows.windows(2).all(|pair| newest(&pair[0]) >= newest(&pair[1])),
            "newest first"
        );
        assert!(rows.iter().filter(|row| row["date_sent"].is_null()).count() >= 12);
    }
    let default = page(&app, "").await;
    assert_eq!(default["messages"].as_array().unwrap().len(), 100);
}

#[on_both_databases]
async fn a_row_has_typed_values_and_the_rest_under_extra(app: TestApp) {
    synced(&app).await;

    let rows = pages(&app, "", 1_000).await;
    let tagged = rows
        .iter()
        .find(|row| row.pointer("/_extra/tags/campaign").is_some())
        .unwrap();
    let truth = app.simulator().message(text(tagged, "sid").unwrap()).unwrap();

    let model = app.gateway().registry.get("twilio").unwrap().syncs["twilio-messages"]
        .model
        .clone();
    let names: Vec<&str> = tagged.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted: Vec<&str> = model.columns.keys().map(domain::TableName::as_str).collect();
    wanted.push("_extra");
    assert_eq!(names, wanted);
    assert_eq!(tagged["price"], "-0.00750", "exact, and so text");
    assert_eq!(
        tagged["num_segments"],
        text(&truth, "num_segments").unwrap().parse::<i64>().unwrap()
    );
    assert_eq!(tagged["subresource_uris"], truth["subresource_uris"]);
    let sent = DateTime::parse_from_rfc2822(text(&truth, "date_sent").unwrap()).unwrap();
    assert_eq!(newest(tagged), sent);
    assert!(text(tagged, "date_sent").unwrap().ends_with('Z'));
    assert!(
        rows.iter().any(|row| row.get("_extra").is_none()),
        "left out where there is nothing"
    );
}

#[on_both_databases]
async fn a_filter_matches_exactly_its_value(app: TestApp) {
    synced(&app).await;
    let all = pages(&app, "", 1_000).await;

    for column in ["from", "to", "status", "direction"] {
        let value = all.iter().find_map(|row| text(row, column)).unwrap();
        let encoded = value.replace('+', "%2B");
        let found = pages(&app, &format!("{column}={encoded}"), 50).await;
        let wanted: Vec<&Json> = all
            .iter()
            .filter(|row| text(row, column) == Some(value))
            .collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{column}={value}");
        assert!(
            !wanted.is_empty() && wanted.len() < all.len(),
            "{column} tells rows apart"
        );
    }
    assert_eq!(pages(&app, "status=DELIVERED", 50).await.len(), 0, "exact");
    let both = pages(&app, "status=delivered&direction=inbound", 50).await;
    assert_eq!(
        both.len(),
        0,
        "all filters must pass: what comes in is not delivered"
    );
}

#[on_both_databases]
async fn a_time_range_includes_its_lower_bound_and_excludes_its_upper_bound(app: TestApp) {
    synced(&app).await;
    let all = pages(&app, "", 1_000).await;
    let tie = (app.simulator().now() - Duration::hours(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let count = |passes: &dyn Fn(&str) -> bool| {
        all.iter()
            .filter(|row| text(row, "date_sent").is_some_and(passes))
            .count()
    };

    let after = pages(&app, &format!("date_sent_after={tie}"), 100).await.len();
    let before = pages(&app, &format!("date_sent_before={tie}"), 100).await.len();
    let tied = count(&|sent| sent == tie);

    assert_eq!(
        (after, before),
        (
            count(&|sent| sent >= tie.as_str()),
            count(&|sent| sent < tie.as_str())
        )
    );
    assert!(tied >= 12, "{tied}");
    assert_eq!(
        after + before,
        count(&|_| true),
        "two that meet leave none out and share none"
    );
    let of_offset = tie.replace('Z', "+00:00");
    for written in [
        of_offset.as_str(),
        &of_offset.replace('+', "%2B"),
        &of_offset.replace('+', " "),
    ] {
        let found = pages(&app, &format!("date_sent_after={written}"), 100)
            .await
            .len();
        assert_eq!(found, after, "{written}");
    }
    let day = pages(&app, "date_sent_after=2020-01-01", 100).await.len();
    assert_eq!(
        day,
        count(&|_| true),
        "a day alone is its first moment, and rows without a date do not pass"
    );
}

#[on_both_databases]
async fn csv_and_ndjson_have_the_same_rows_as_json(app: TestApp) {
    synced(&app).await;
    let rows = pages(&app, "", 1_000).await;
    let path = "/twilio/messages?connectionId=my-twilio";

    let lines = app.admin().get_as(path, "application/x-ndjson").await.expect(200);
    let table = app.admin().get_as(path, "text/csv").await.expect(200);

    assert!(lines.text.ends_with('\n') && lines.header("content-type") == Some("application/x-ndjson"));
    let parsed: Vec<Json> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(parsed, rows);
    assert!(table.header("content-type").unwrap().starts_with("text/csv"));
    let mut reader = csv::ReaderBuilder::new().from_reader(table.text.as_bytes());
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), rows.len());
    for (record, row) in records.iter().zip(&rows) {
        for (name, field) in names.iter().zip(record) {
            let wanted = match row.get(name).unwrap_or(&Json::Null) {
                Json::Null => String::new(),
                Json::String(text) => text.clone(),
                other => {
                    assert_eq!(&serde_json::from_str::<Json>(field).unwrap(), other, "{name}");
                    continue;
                }
            };
            assert_eq!(field, wanted, "{name}");
        }
    }
    let limited = app
        .admin()
        .get_as(&format!("{path}&limit=3"), "application/x-ndjson")
        .await
        .expect(200);
    assert_eq!(limited.text.lines().count(), 3, "a limit that is given counts");
    let filtered = app
        .admin()
        .get_as(&format!("{path}&status=canceled"), "text/csv")
        .await
        .expect(200);
    assert!(filtered.text.starts_with("sid,account_sid,") && filtered.text.lines().count() >= 13);
    let empty = app
        .admin()
        .get_as(&format!("{path}&status=nothing"), "application/x-ndjson")
        .await
        .expect(200);
    assert_eq!(empty.text, "");
}

#[on_both_databases]
async fn a_deleted_message_is_no_longer_listed(app: TestApp) {
    synced(&app).await;
    let gone = text(&page(&app, "limit=1").await["messages"][0], "sid")
        .unwrap()
        .to_owned();
    app.simulator().delete(&gone);
    app.advance(std::time::Duration::from_hours(24));
    app.run_due().await;

    let rows = pages(&app, "", 1_000).await;

    assert!(rows.iter().all(|row| text(row, "sid") != Some(gone.as_str())));
    testkit::assert_table_equals_truth(&app, "my-twilio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_parameter_is_named() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let cases = [
        ("", "connectionId"),
        ("connectionId=my-twilio&limit=0", "limit"),
        ("connectionId=my-twilio&limit=1001", "limit"),
        ("connectionId=my-twilio&limit=x", "limit"),
        ("connectionId=my-twilio&cursor=x", "cursor"),
        ("connectionId=my-twilio&colour=red", "colour"),
        ("connectionId=my-twilio&to=+15551234567", "to"),
        (
            "connectionId=my-twilio&date_sent_after=yesterday",
            "date_sent_after",
        ),
        ("connectionId=my-twilio&status=a&status=b", "status"),
        ("connectionId=my-twilio&from=%00", "from"),
        ("connectionId=my-twilio&body=hello", "body"),
    ];
    for (query, field) in cases {
        for accept in ["application/json", "text/csv"] {
            let reply = app
                .admin()
                .get_as(&format!("/twilio/messages?{query}"), accept)
                .await
                .expect(400);
            assert_eq!(
                (reply.code().as_str(), reply.fields()),
                ("invalid_query_params", vec![field.to_owned()]),
                "{query}"
            );
        }
    }
    let cases = [
        ("/twilio/messages?connectionId=none", "unknown_connection"),
        ("/none/messages?connectionId=my-twilio", "unknown_provider_config"),
        ("/twilio/letters?connectionId=my-twilio", "not_found"),
    ];
    for (path, code) in cases {
        assert_eq!(app.admin().get(path).await.expect(404).code(), code, "{path}");
    }
}
