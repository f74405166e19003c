//! Both databases behave alike: odd records are written to both, and all results are compared.

use std::cmp::Reverse;
use std::sync::OnceLock;

use domain::{JsonReader, Record, RecordReader, StoredRecord, Timestamp, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::Dialect;
use store::records::{self, Bound, ChangeQuery, RecordQuery};
use store::testing::run_sql;

use crate::fixture::{Fixture, Stream, model, name};

/// Returns the model, with a filter on each column that can have one.
fn odd_model() -> domain::Model {
    let mut model = model();
    model.filters = ["from", "status", "parts", "read", "price", "sent_at"]
        .map(name)
        .to_vec();
    model
}

/// Texts as written in JSON, with quotes.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            r#""""#,
            r#""a""#,
            r#""B""#,
            r#""A""#,
            r#""b""#,
            r#""é""#,
            r#""e\u0301""#,
            r#""ä""#,
            r#""z""#,
            r#""Z""#,
            r#""_""#,
            r#"" a ""#,
            r#""a ""#,
            r#""ß""#,
            r#""\ud83d\ude00""#,
            r#""\uffff""#,
            r#""cut \ud83d""#,
            r#""\ude00\ud83d""#,
            r#""nul \u0000""#,
            r#""literal \\u0000 \\ufffd""#,
            r#""%_\\'?$1""#,
            r#""\n\t\r""#,
            r#""{\"a\": 1}""#,
            r#""NaN""#,
            r#""null""#,
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        ("[a-zé\u{1f600}]{1,3}", 300_usize..3_000)
            .prop_map(|(text, times)| format!("\"{}\"", text.repeat(times))),
        (any::<u64>(), 900_usize..1_200).prop_map(|(seed, length)| {
            let mut state = seed;
            let digit = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from_digit(u32::try_from(state >> 40).unwrap() % 36, 36).unwrap()
            };
            format!("\"{}\"", (0..length).map(digit).collect::<String>())
        }),
    ]
}

fn numbers() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "0",
            "-0",
            "-0.00",
            "1",
            "1.0",
            "1.10",
            "1.1",
            "1e3",
            "1E+5",
            "-1.5e-7",
            "1e400",
            "1e-400",
            "12345678901234567890123",
            "1234567890123456.78",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "007.50",
            "NaN",
        ])
        .prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,60})?".prop_map(|number| number),
        any::<f64>().prop_filter_map("JSON has no others", |number| {
            number
                .is_finite()
                .then(|| serde_json::to_string(&number).unwrap())
        }),
    ]
}

fn times() -> impl Strategy<Value = String> {
    let written = |text: &str| format!("\"{text}\"");
    prop_oneof![
        prop::sample::select(vec![
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01",
            "2016-12-31T23:59:60Z",
            "2023-10-06 23:47:56.678+00",
            "2000-01-01T00:00:00+14:00",
            "0000-01-01T00:00:00Z",
            "soon",
            "",
        ])
        .prop_map(written),
        (0_u32..3, 0_u32..60)
            .prop_map(|(day, second)| format!("\"2026-11-0{}T10:00:{second:02}.{second}Z\"", day + 1)),
    ]
}

/// Values of every kind.
fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        texts(),
        numbers(),
        times(),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned())
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((texts(), inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    })
}

/// Records as JSON text.
fn records_text() -> impl Strategy<Value = Vec<String>> {
    let keys = prop_oneof![texts(), numbers()];
    let of_kind = (texts(), numbers(), times(), times());
    let record = (keys, of_kind, prop::collection::vec(values(), 9)).prop_map(|(key, (status, price, sent, made), any)| {
        let [from, parts, read, links, extra, odd_status, odd_price, odd_sent, name] = &any[..] else {
            unreachable!()
        };
        // Usually a value of the column's own kind.
        let pick = |own: &str, odd: &str| if odd.len().is_multiple_of(4) { odd.to_owned() } else { own.to_owned() };
        let name = serde_json::to_string(&format!("x{}", name.chars().take(5).collect::<String>())).unwrap();
        format!(
            r#"{{"sid": {key}, "from": {from}, "status": {}, "parts": {parts}, "read": {read}, "price": {}, "sent_at": {},
                "made_at": {made}, "links": {links}, "extra": {extra}, {name}: 1}}"#,
            pick(&status, odd_status),
            pick(&price, odd_price),
            pick(&sent, odd_sent)
        )
    });
    prop::collection::vec(record, 1..12)
}

fn read(texts: &[String]) -> Vec<Record> {
    let reader = RecordReader::new(&odd_model());
    let mut records = Vec::new();
    for text in texts {
        records.extend(reader.read_next(&mut JsonReader::new(text)).unwrap().ok());
    }
    records
}

/// Everything that a database returns about its rows.
#[derive(Debug, PartialEq)]
struct Out {
    feed: Vec<StoredRecord>,
    list: Vec<StoredRecord>,
    walked: Vec<StoredRecord>,
    filtered: Vec<(String, Value, Vec<String>)>,
    ranges: Vec<(Timestamp, Vec<String>, Vec<String>)>,
    by_id: Vec<Vec<String>>,
}

async fn list(stream: &Stream, query: RecordQuery) -> Vec<StoredRecord> {
    stream
        .read(move |c, s| records::list(c, &s.table, s.connection, &query))
        .await
}

async fn feed(stream: &Stream, keys: Option<Vec<String>>) -> Vec<StoredRecord> {
    let query = ChangeQuery {
        keys,
        limit: 1_000,
        ..ChangeQuery::default()
    };
    stream
        .read(move |c, s| records::changes(c, &s.table, s.connection, &query))
        .await
}

fn keys(rows: &[StoredRecord]) -> Vec<String> {
    rows.iter().map(|row| row.position.key.clone()).collect()
}

async fn write_and_read(stream: &Stream, records: Vec<Record>) -> Out {
    stream
        .store
        .write(|c| run_sql(c, "DELETE FROM test_messages; DELETE FROM counters"))
        .await
        .unwrap();
    let written = records.clone();
    let counts = stream.write(written).await.unwrap();
    let again = stream.write(records.clone()).await.unwrap();
    assert_eq!(
        again.unchanged, counts.added,
        "what was just written is unchanged"
    );
    let all = RecordQuery {
        limit: 1_000,
        ..RecordQuery::default()
    };
    let mut out = Out {
        feed: feed(stream, None).await,
        list: list(stream, all.clone()).await,
        walked: Vec::new(),
        filtered: Vec::new(),
        ranges: Vec::new(),
        by_id: Vec::new(),
    };
    loop {
        let query = RecordQuery {
            position: out.walked.last().map(|row| row.position.clone()),
            limit: 2,
            ..RecordQuery::default()
        };
        let page = list(stream, query).await;
        if page.is_empty() {
            break;
        }
        out.walked.extend(page);
    }
    for record in &records {
        for filter in &odd_model().filters {
            let index = odd_model().columns.get_index_of(filter).unwrap();
            let value = record.values[index].clone();
            let query = RecordQuery {
                equals: vec![(filter.clone(), value.clone())],
                ..all.clone()
            };
            let found = keys(&list(stream, query).await);
            out.filtered.push((filter.to_string(), value, found));
        }
        if let Value::Timestamp(at) = record.values[6] {
            let side = |bound| RecordQuery {
                ranges: vec![(name("sent_at"), bound, at)],
                ..all.clone()
            };
            let after = keys(&list(stream, side(Bound::From)).await);
            out.ranges
                .push((at, after, keys(&list(stream, side(Bound::Until)).await)));
        }
        let sent = record.long_key.clone().unwrap_or_else(|| record.key.clone());
        out.by_id.push(keys(&feed(stream, Some(vec![sent])).await));
    }
    out
}

fn odd() -> &'static domain::Model {
    static MODEL: OnceLock<domain::Model> = OnceLock::new();
    MODEL.get_or_init(odd_model)
}

/// Returns the rows that the records must become.
fn judge(out: &Out, records: &[Record]) {
    let mut last: Vec<&Record> = Vec::new();
    for record in records.iter().rev() {
        if last.iter().all(|later| later.key != record.key) {
            last.push(record);
        }
    }
    last.reverse();
    assert_eq!(out.feed.len(), last.len());
    for (row, record) in out.feed.iter().zip(&last) {
        let mut values = record.values.clone();
        if let Some(long) = &record.long_key {
            values[0] = Value::Text(long.clone());
        }
        assert_eq!((&row.values, &row.extra), (&values, &record.extra));
    }
    let newest = |record: &&Record| {
        [6, 7].into_iter().find_map(|index| match record.values[index] {
            Value::Timestamp(time) => Some(time),
            _ => None,
        })
    };
    last.sort_by_key(|record| Reverse((newest(record), record.key.clone())));
    let ordered: Vec<_> = last.iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys(&out.list), ordered);
    assert_eq!(out.walked, out.list);
    for (filter, value, found) in &out.filtered {
        let index = odd().columns.get_index_of(filter.as_str()).unwrap();
        let equal = |record: &&&Record| same(&record.values[index], value);
        let expected: Vec<_> = last
            .iter()
            .filter(equal)
            .map(|record| record.key.clone())
            .collect();
        assert_eq!(found, &expected, "{filter} = {value:?}");
    }
}

/// Returns whether two values are equal; decimals are compared as numbers.
fn same(one: &Value, other: &Value) -> bool {
    let shortest = |digits: &str| match digits.split_once('.') {
        Some(_) => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => digits.to_owned(),
    };
    match (one, other) {
        (Value::Decimal(one), Value::Decimal(other)) => shortest(one) == shortest(other),
        _ => one == other,
    }
}

#[test]
fn both_databases_return_what_was_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut streams = Vec::new();
    let mut fixtures = Vec::new();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(fixture) = runtime.block_on(Fixture::new(dialect)) else {
            return;
        };
        let stream = runtime.block_on(fixture.stream());
        let grown = runtime.block_on(stream.store.write(|c| store::tables::ensure(c, odd())));
        grown.unwrap();
        let table = std::sync::Arc::new(records::TableSql::new(std::sync::Arc::new(odd_model()), dialect));
        streams.push(Stream { table, ..stream });
        fixtures.push(fixture);
    }
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&records_text(), |texts| {
        let records = read(&texts);
        let out: Vec<Out> = streams
            .iter()
            .map(|stream| runtime.block_on(write_and_read(stream, records.clone())))
            .collect();
        judge(&out[0], &records);
        prop_assert_eq!(&out[0], &out[1]);
        Ok(())
    });
    outcome.unwrap();
}
