//! Records as providers send them, odd ones included.

use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

use super::dates::fixed_rfc2822;
use super::*;
use crate::{ColumnKind, Parse};

fn model() -> Model {
    use ColumnKind::{Boolean, Decimal, Integer, Json, Text, Timestamp};
    let columns = [
        ("sid", Text, Parse::Plain, &["sid"][..]),
        ("sent", Timestamp, Parse::Rfc2822, &["date_sent"]),
        ("segments", Integer, Parse::Plain, &["num_segments"]),
        ("price", Decimal, Parse::Plain, &["price"]),
        ("links", Json, Parse::Plain, &["links"]),
        ("ok", Boolean, Parse::Plain, &["ok"]),
        ("city", Text, Parse::Plain, &["address", "city"]),
        ("at", Timestamp, Parse::UnixSeconds, &["at"]),
    ];
    let columns = columns.map(|(name, kind, parse, path)| {
        let column = Column {
            kind,
            parse,
            path: path.iter().map(|&step| step.to_owned()).collect(),
            description: String::new(),
        };
        (name.parse().unwrap(), column)
    });
    Model {
        name: "Message".parse().unwrap(),
        table: "test_messages".parse().unwrap(),
        plural: "messages".to_owned(),
        description: String::new(),
        key: "sid".parse().unwrap(),
        columns: IndexMap::from(columns),
        filters: vec![],
        newest_by: vec!["sent".parse().unwrap()],
        selected_by: vec![],
    }
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better so")]
fn read(record: serde_json::Value) -> Result<Record, RecordError> {
    let reader = RecordReader::new(&model());
    let text = record.to_string();
    let from_text = reader.read_next(&mut JsonReader::new(&text)).unwrap();
    assert_eq!(from_text, reader.read(&record), "text and value read alike");
    from_text
}

#[test]
fn each_column_kind_accepts_its_form() {
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
    assert_eq!((record.key.as_str(), record.misfits.len()), ("SM1", 0));
}

/// Reads the record that the text holds.
fn read_text(text: &str) -> Record {
    let mut json = JsonReader::new(text);
    let record = RecordReader::new(&model()).read_next(&mut json).unwrap().unwrap();
    json.end().unwrap();
    record
}

fn reasons(record: &Record) -> Vec<(usize, &str)> {
    record
        .misfits
        .iter()
        .map(|misfit| (misfit.column, misfit.reason))
        .collect()
}

#[test]
fn misfits_and_undeclared_fields_stay_in_extra() {
    let record = read(json!({"sid": "SM1", "date_sent": "soon", "num_segments": {}, "price": "n/a", "ok": "maybe", "tags": {"z": 1, "y": 2}})).unwrap();
    let expected = [
        (1, "not a time of a known form"),
        (2, "a list or an object"),
        (3, "not a number"),
        (5, "neither true nor false"),
    ];
    assert_eq!(reasons(&record), expected);
    assert!(record.values.iter().skip(1).all(|value| *value == Value::Null));
    assert_eq!(
        record.extra.as_deref(),
        Some(r#"{"date_sent":"soon","num_segments":{},"ok":"maybe","price":"n/a","tags":{"y":2,"z":1}}"#)
    );
}

#[test]
fn digits_are_kept_as_they_were_sent() {
    let record = read_text(
        r#"{"sid": 12345678901234567890123, "price": 1234567890123456.780, "links": {"n": 1.10, "big": 1e400},
            "address": {"city": 1E+5, "zip": -0}, "x": [0.10, 12345678901234567890123]}"#,
    );
    assert_eq!(record.key, "12345678901234567890123");
    assert_eq!(record.values[3], Value::Decimal("1234567890123456.780".into()));
    assert_eq!(record.values[4], Value::Json(r#"{"big":1e400,"n":1.10}"#.into()));
    assert_eq!(record.values[6], Value::Text("1E+5".into()));
    assert_eq!(
        record.extra.as_deref(),
        Some(r#"{"address":{"city":1E+5,"zip":-0},"x":[0.10,12345678901234567890123]}"#)
    );
}

#[test]
fn integers_are_accepted_if_they_are_exact() {
    for written in ["3", "3.0", "\"3.00\"", "0.3e1", "\" 3 \"", "+3", "\"3\"", "30e-1"] {
        let record = read_text(&format!(r#"{{"sid": "k", "num_segments": {written}}}"#));
        assert_eq!(record.values[2], Value::Integer(3), "{written}");
        assert_eq!(record.misfits, []);
    }
    for (written, reason) in [
        ("3.5", "a number with a fraction"),
        ("1e-999999999999", "a number with a fraction"),
        ("1e400", "a number out of range"),
        ("9223372036854775808", "a number out of range"),
        ("\"\"", "not a number"),
        ("true", "not a number"),
        ("NaN", "not a number"),
    ] {
        let record = read_text(&format!(r#"{{"sid": "k", "num_segments": {written}}}"#));
        assert_eq!(reasons(&record), [(2, reason)], "{written}");
        assert_eq!(record.values[2], Value::Null);
        let kept = record.extra.unwrap();
        assert!(kept.contains(written.trim_matches('"')), "{kept}");
    }
}

#[test]
fn unix_times_are_numbers_or_digits_of_any_form() {
    let moment = Value::Timestamp("2023-11-14T22:13:20Z".parse().unwrap());
    for written in [
        "1700000000",
        "\"1700000000\"",
        "1.7e9",
        "1700000000.0000009",
        "\"2023-11-14T22:13:20Z\"",
    ] {
        let record = read_text(&format!(r#"{{"sid": "k", "at": {written}}}"#));
        assert_eq!(record.values[7], moment, "{written}");
    }
    let before = read_text(r#"{"sid": "k", "at": -1.5}"#);
    assert_eq!(
        before.values[7],
        Value::Timestamp(Timestamp::from_micros(-1_500_000))
    );
    for written in [
        "9223372036854775807",
        "-1e300",
        "1e99999999999999999999",
        "253402300800",
        "-62135596801",
    ] {
        let record = read_text(&format!(r#"{{"sid": "k", "at": {written}}}"#));
        assert_eq!(
            reasons(&record),
            [(7, "a time outside the years 1 to 9999")],
            "{written}"
        );
    }
}

#[test]
fn the_last_of_two_equal_names_wins() {
    let record = read_text(
        r#"{"sid": "a", "sid": "b", "price": "x", "price": "1", "num_segments": 1, "num_segments": "x",
            "address": {"city": "Rome", "city": "Bonn"}, "x": 1, "x": 2, "ok": "maybe", "ok": null}"#,
    );
    assert_eq!(record.key, "b");
    assert_eq!(
        (&record.values[2], &record.values[3], &record.values[6]),
        (
            &Value::Null,
            &Value::Decimal("1".into()),
            &Value::Text("Bonn".into())
        )
    );
    assert_eq!(
        record.extra.as_deref(),
        Some(r#"{"address":{"city":"Bonn"},"num_segments":"x","x":2}"#)
    );
    assert_eq!(reasons(&record), [(2, "not a number")]);
    let gone = read_text(r#"{"sid": "a", "address": {"city": "Rome"}, "address": 7}"#);
    assert_eq!(
        (&gone.values[6], gone.extra.as_deref()),
        (&Value::Null, Some(r#"{"address":7}"#))
    );
}

#[test]
fn a_long_key_is_stored_shortened_and_kept_complete() {
    let long = "é".repeat(3_000);
    let record = read(json!({"sid": long})).unwrap();
    assert_eq!(record.long_key.as_deref(), Some(long.as_str()));
    assert_eq!(record.values[0], Value::Text(record.key.clone()));
    assert_eq!(record.key, stored_key(&long));
    assert!(
        (MAX_KEY_BYTES + 1..1_100).contains(&record.key.len()),
        "{}",
        record.key.len()
    );
    assert_ne!(record.key, stored_key(&format!("{long}x")));
    assert!(is_shortened(&record.key));

    let longest = "k".repeat(MAX_KEY_BYTES);
    let record = read(json!({"sid": longest})).unwrap();
    assert_eq!((record.key, record.long_key), (longest, None));
}

#[test]
fn a_record_without_its_key_or_that_is_not_an_object_is_refused() {
    assert_eq!(read(json!({"price": "1"})), Err(RecordError::NoKey("sid".into())));
    assert_eq!(read(json!({"sid": null})), Err(RecordError::NoKey("sid".into())));
    assert_eq!(read(json!([1])), Err(RecordError::NotAnObject));
    assert_eq!(read(json!(null)), Err(RecordError::NotAnObject));
}

#[test]
fn a_changed_value_changes_the_hash_and_a_changed_order_does_not() {
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
    assert_eq!(record.values[4], Value::Json("{\"a\":\"\u{fffd}\"}".into()));
    assert_eq!(record.extra.as_deref(), Some("{\"x\":\"\u{fffd}\"}"));

    let literal =
        read_text(r#"{"sid": "a\\u0000", "links": {"\\u0000": "\\u0000", "\u0000": 1}, "x": "\\u0000"}"#);
    assert_eq!(literal.key, "a\\u0000");
    assert_eq!(
        literal.values[4],
        Value::Json("{\"\\\\u0000\":\"\\\\u0000\",\"\u{fffd}\":1}".into())
    );
    assert_eq!(literal.extra.as_deref(), Some(r#"{"x":"\\u0000"}"#));
}

#[test]
fn a_decimal_is_written_plainly() {
    let record = read_text(r#"{"sid": "SM1", "price": 1e-7}"#);
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
        let fast = fixed_rfc2822(&text);
        prop_assert_eq!(fast, Some(Timestamp::from_micros(seconds * 1_000_000)));
    }
}
