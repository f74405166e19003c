//! Lists, the change feed and the keys to recheck.

use domain::{TableName, Timestamp, Value};
use serde_json::json;
use store::Dialect;
use store::records::{self, Bound, ChangeQuery, KeyQuery, KeyRange, RecordQuery};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, Stream, name, record};

fn at(day: u32) -> Timestamp {
    format!("2026-11-{day:02}").parse().unwrap()
}

/// Ten rows: sent on days 1 to 4, one created on the fifth and not sent, two of the third, three without a date.
async fn filled(dialect: Dialect) -> Option<(Fixture, Stream)> {
    let fixture = Fixture::new(dialect).await?;
    let stream = fixture.stream().await;
    let mut rows: Vec<_> = (1..=4)
        .map(|n| json!({"sid": format!("k{n}"), "from": "x", "status": "sent", "parts": n, "sent_at": format!("2026-11-{n:02}"), "made_at": "2026-01-01"}))
        .collect();
    rows.push(
        json!({"sid": "k5", "from": "y", "status": "queued", "made_at": "2026-11-05", "price": "0.50"}),
    );
    rows.push(json!({"sid": "k3b", "from": "y", "status": "queued", "sent_at": "2026-11-03", "read": true}));
    rows.extend((1..=3).map(|n| json!({"sid": format!("n{n}"), "status": "failed"})));
    stream.write(rows.iter().map(record).collect()).await.unwrap();
    stream
        .write(vec![record(
            &json!({"sid": "gone", "from": "x", "sent_at": "2026-11-02"}),
        )])
        .await
        .unwrap();
    stream.delete(&["gone"]).await.unwrap();
    Some((fixture, stream))
}

async fn list(stream: &Stream, query: RecordQuery) -> Vec<String> {
    let rows = stream
        .read(move |c, s| records::list(c, &s.table, s.connection, &query))
        .await;
    rows.into_iter().map(|row| row.position.key).collect()
}

#[on_both_databases]
async fn a_list_is_newest_first_and_pages_through_rows_without_a_date(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let expected = ["k5", "k4", "k3b", "k3", "k2", "k1", "n3", "n2", "n1"];
    for limit in 1..=10_usize {
        let mut keys = Vec::new();
        let mut position = None;
        loop {
            let query = RecordQuery {
                position,
                limit: i64::try_from(limit).unwrap(),
                ..RecordQuery::default()
            };
            let page = stream
                .read(move |c, s| records::list(c, &s.table, s.connection, &query))
                .await;
            position = page.last().map(|row| row.position.clone());
            keys.extend(page.iter().map(|row| row.position.key.clone()));
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(keys, expected, "limit {limit}");
    }
    assert_eq!(
        list(
            &stream,
            RecordQuery {
                deleted: true,
                limit: 9,
                ..RecordQuery::default()
            }
        )
        .await,
        ["gone"]
    );
}

#[on_both_databases]
async fn filters_are_exact_and_ranges_include_only_their_lower_bound(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let equal = |column: &str, value: Value| RecordQuery {
        equals: vec![(name(column), value)],
        limit: 10,
        ..RecordQuery::default()
    };
    assert_eq!(
        list(&stream, equal("from", Value::Text("y".to_owned()))).await,
        ["k5", "k3b"]
    );
    assert_eq!(
        list(&stream, equal("from", Value::Null)).await,
        ["n3", "n2", "n1"]
    );
    assert_eq!(list(&stream, equal("parts", Value::Integer(2))).await, ["k2"]);
    assert_eq!(list(&stream, equal("read", Value::Boolean(true))).await, ["k3b"]);
    assert_eq!(
        list(&stream, equal("price", Value::Decimal("0.50".to_owned()))).await,
        ["k5"]
    );
    assert_eq!(
        list(&stream, equal("sent_at", Value::Timestamp(at(1)))).await,
        ["k1"]
    );
    let range = |column: &str, after, before| RecordQuery {
        ranges: vec![
            (name(column), Bound::From, after),
            (name(column), Bound::Until, before),
        ],
        limit: 10,
        ..RecordQuery::default()
    };
    assert_eq!(
        list(&stream, range("sent_at", at(1), at(4))).await,
        ["k3b", "k3", "k2", "k1"]
    );
    assert_eq!(list(&stream, range("made_at", at(4), at(6))).await, ["k5"]);
}

fn changes_after(after: i64) -> ChangeQuery {
    ChangeQuery {
        after,
        limit: 2,
        ..ChangeQuery::default()
    }
}

#[on_both_databases]
async fn the_change_feed_continues_after_a_change_number_and_shows_deletions(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let rows = stream
        .read(|c, s| records::changes(c, &s.table, s.connection, &changes_after(7)))
        .await;
    assert_eq!(rows.iter().map(|row| row.cursor).collect::<Vec<_>>(), [8, 9]);
    let rows = stream
        .read(|c, s| records::changes(c, &s.table, s.connection, &changes_after(9)))
        .await;
    assert_eq!(
        (rows.len(), rows[0].cursor, rows[0].deleted_at),
        (1, 11, Some(NOW))
    );
}

#[on_both_databases]
async fn live_keys_come_in_order_within_the_range_and_up_to_a_change_number(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let keys =
        async |range: Option<(TableName, u32, u32)>, up_to: i64, after: Option<&'static str>, limit| {
            stream
                .read(move |c, s| {
                    let range = range.as_ref().map(|(column, from, to)| KeyRange {
                        column,
                        from: at(*from),
                        to: at(*to),
                    });
                    let query = KeyQuery {
                        up_to: Some(up_to),
                        range,
                        after,
                        limit,
                        ..KeyQuery::default()
                    };
                    records::live_keys(c, &s.table, s.connection, &query)
                })
                .await
        };
    let later = i64::MAX;
    assert_eq!(keys(None, later, None, 3).await, ["k1", "k2", "k3"]);
    assert_eq!(keys(None, later, Some("k4"), 9).await, ["k5", "n1", "n2", "n3"]);
    assert!(keys(None, 0, None, 9).await.is_empty());
    assert_eq!(
        keys(Some((name("sent_at"), 2, 4)), later, None, 9).await,
        ["k2", "k3", "k3b"]
    );
    assert_eq!(keys(Some((name("made_at"), 5, 6)), later, None, 9).await, ["k5"]);
}

#[on_both_databases]
async fn unfinished_rows_are_found_by_value_by_missing_date_and_by_age(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let keys = async |undated: Option<&'static str>,
                      before: Option<(&'static str, u32)>,
                      after: Option<&'static str>| {
        stream
            .read(move |c, s| {
                let (status, undated) = (name("status"), undated.map(name));
                let before = before.map(|(column, day)| (name(column), at(day)));
                let values = ["queued".to_owned(), "failed".to_owned()];
                let range = before.as_ref().map(|(column, to)| KeyRange {
                    column,
                    from: Timestamp::from_micros(0),
                    to: *to,
                });
                let query = KeyQuery {
                    values: Some((&status, &values)),
                    undated: undated.as_ref(),
                    range,
                    after,
                    limit: 9,
                    ..KeyQuery::default()
                };
                records::live_keys(c, &s.table, s.connection, &query)
            })
            .await
    };
    assert_eq!(keys(None, None, None).await, ["k3b", "k5", "n1", "n2", "n3"]);
    assert_eq!(keys(None, None, Some("k5")).await, ["n1", "n2", "n3"]);
    assert_eq!(keys(Some("sent_at"), None, None).await, ["k5", "n1", "n2", "n3"]);
    assert_eq!(keys(None, Some(("sent_at", 4)), None).await, ["k3b"]);
    assert!(keys(None, Some(("sent_at", 3)), None).await.is_empty());
}

#[on_both_databases]
async fn undated_rows_are_found_by_their_position_whatever_their_status(dialect: Dialect) {
    let Some((_fixture, stream)) = filled(dialect).await else {
        return;
    };
    let keys = async |since: u32, after: Option<&'static str>| {
        stream
            .read(move |c, s| {
                let sent_at = name("sent_at");
                let query = KeyQuery {
                    undated: Some(&sent_at),
                    since: Some(at(since)),
                    after,
                    limit: 9,
                    ..KeyQuery::default()
                };
                records::live_keys(c, &s.table, s.connection, &query)
            })
            .await
    };
    assert_eq!(keys(5, None).await, ["k5"]);
    assert!(keys(6, None).await.is_empty());
    assert!(keys(5, Some("k5")).await.is_empty());
}
