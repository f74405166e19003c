//! Records as providers send them, odd ones included.

use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

use super::dates::fixed_rfc2822;
use super::*;
use crate::{ColumnKind, Parse};

fn column(kind: ColumnKind, parse: Parse, path: &[&str]) -> Column {
    Column {
        kind,
        parse,
        path: path.iter().map(|&step| step.to_owned()).collect(),
        description: String::new(),
    }
}

fn model() -> Model {
    let columns = [
        ("sid", column(ColumnKind::Text, Parse::Plain, &["sid"])),
        (
            "sent",
            column(ColumnKind::Timestamp, Parse::Rfc2822, &["date_sent"]),
        ),
        (
            "segments",
            column(ColumnKind::Integer, Parse::Plain, &["num_segments"]),
        ),
        ("price", column(ColumnKind::Decimal, Parse::Plain, &["price"])),
        ("links", column(ColumnKind::Json, Parse::Plain, &["links"])),
        ("ok", column(ColumnKind::Boolean, Parse::Plain, &["ok"])),
        (
            "city",
            column(ColumnKind::Text, Parse::Plain, &["address", "city"]),
        ),
        ("at", column(ColumnKind::Timestamp, Parse::UnixSeconds, &["at"])),
    ];
    Model {
        name: "Message".parse().unwrap(),
        table: "test_messages".parse().unwrap(),
        plural: "messages".to_owned(),
        description: String::new(),
        key: "sid".parse().unwrap(),
        columns: columns
            .into_iter()
            .map(|(name, column)| (name.parse().unwrap(), column))
            .collect::<IndexMap<_, _>>(),
        filters: vec![],
        newest_by: vec!["sent".parse().unwrap()],
        sought_by: vec![],
    }
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better so")]
fn read(record: serde_json::Value) -> Result<Record, RecordError> {
    let reader = RecordReader::new(&model());
    let text = record.to_string();
    let from_text = (&reader)
        .deserialize(&mut serde_json::Deserializer::from_str(&text))
        .unwrap();
    assert_eq!(from_text, reader.read(&record), "text and value read alike");
    from_text
}

#[test]
fn each_kind_of_column_takes_its_form() {
    let record = read(json!({
        "sid": "SM1", "date_sent": "Fri, 24 May 2019 17:44:50 +0000", "num_segments": "3", "price": "-0.00750",
        "links": {"b": 1, "a": [2]}, "ok": "true", "address": {"city": "Köln"}, "at": 1_558_719_890,
    }))
    .unwrap();
    let moment = Value::Timestamp("2019-05-24T17:44:50Z".parse().unwrap());
    assert_eq!(
        record.values,
        [
            Value::Text("SM1".into()),
            moment.clone(),
            Value::Integer(3),
            Value::Decimal("-0.00750".into()),
            Value::Json(r#"{"a":[2],"b":1}"#.into()),
            Value::Boolean(true),
            Value::Text("Köln".into()),
            moment,
        ]
    );
    assert_eq!((record.key.as_str(), record.odd), ("SM1", 0));
}

#[test]
fn what_does_not_fit_or_is_not_declared_stays_in_extra() {
    let record = read(json!({"sid": "SM1", "date_sent": "soon", "num_segments": {}, "price": "1e3", "tags": {"z": 1, "y": 2}})).unwrap();
    assert_eq!(record.odd, 3);
    assert!(record.values.iter().skip(1).all(|value| *value == Value::Null));
    assert_eq!(
        record.extra.as_deref(),
        Some(r#"{"date_sent":"soon","num_segments":{},"price":"1e3","tags":{"y":2,"z":1}}"#)
    );
}

#[test]
fn a_record_without_its_key_or_that_is_no_object_is_refused() {
    assert_eq!(read(json!({"price": "1"})), Err(RecordError::NoKey("sid".into())));
    assert_eq!(read(json!({"sid": null})), Err(RecordError::NoKey("sid".into())));
    assert_eq!(read(json!([1])), Err(RecordError::NotAnObject));
    assert_eq!(read(json!(null)), Err(RecordError::NotAnObject));
}

#[test]
fn the_order_of_fields_is_no_change_and_a_value_is() {
    let one =
        read(json!({"sid": "SM1", "price": "1", "links": {"a": 1, "b": 2}, "x": {"c": 1, "d": 2}})).unwrap();
    let same =
        read(json!({"x": {"d": 2, "c": 1}, "links": {"b": 2, "a": 1}, "price": "1", "sid": "SM1"})).unwrap();
    let other = read(json!({"sid": "SM1", "price": "1.0", "links": {"a": 1, "b": 2}, "x": {"c": 1, "d": 2}}))
        .unwrap();
    assert_eq!(one.hash, same.hash);
    assert_ne!(one.hash, other.hash);
}

#[test]
fn nul_is_replaced_since_postgresql_cannot_hold_it() {
    let record = read(json!({"sid": "SM1\u{0}", "links": {"a": "\u{0}"}, "x": "\u{0}"})).unwrap();
    assert_eq!(record.key, "SM1\u{fffd}");
    assert!(!format!("{record:?}").contains("u0000"));
}

#[test]
fn a_decimal_sent_as_a_number_is_written_plainly() {
    let record = read(json!({"sid": "SM1", "price": 0.000_000_1})).unwrap();
    assert_eq!(record.values[3], Value::Decimal("0.0000001".into()));
}

#[test]
fn a_mail_date_may_end_in_any_name_of_utc() {
    for zone in ["+0000", "GMT", "UT", "UTC"] {
        let record =
            read(json!({"sid": "SM1", "date_sent": format!("Fri, 24 May 2019 17:44:50 {zone}")})).unwrap();
        assert!(
            format!("{record:?}").contains("1558719890000000"),
            "{zone}: {record:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_record_makes_reading_panic(text in "\\PC*", number in any::<f64>(), seconds in any::<i64>()) {
        let _ = read(json!({"sid": "k", "date_sent": text, "num_segments": text, "price": text, "ok": text, "at": number}));
        let _ = read(json!({"sid": "k", "at": seconds, "price": number}));
    }

    #[test]
    fn the_fast_date_reader_agrees_with_chrono(seconds in 0i64..4_102_444_800) {
        let text = Timestamp::from_micros(seconds * 1_000_000).to_chrono().format("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let fast = fixed_rfc2822(text.as_bytes());
        prop_assert_eq!(fast, Some(Timestamp::from_micros(seconds * 1_000_000)));
    }
}
