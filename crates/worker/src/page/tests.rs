//! Pages as providers send them, including odd and damaged ones.

use domain::{Column, ColumnKind, Model, Parse};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn reader() -> RecordReader {
    let column = |field: &str| Column {
        kind: ColumnKind::Text,
        parse: Parse::Plain,
        path: vec![field.to_owned()],
        description: String::new(),
    };
    RecordReader::new(&Model {
        name: "Thing".parse().unwrap(),
        table: "things".parse().unwrap(),
        plural: "things".to_owned(),
        description: String::new(),
        key: "id".parse().unwrap(),
        columns: [("id".parse().unwrap(), column("id"))].into_iter().collect(),
        filters: vec![],
        newest_by: vec![],
        selected_by: vec![],
    })
}

fn path(steps: &[&str]) -> Vec<String> {
    steps.iter().map(|&step| step.to_owned()).collect()
}

fn read_text(body: &[u8], records: &[&str], kept: &[&[&str]]) -> Result<Page, PageError> {
    let kept: Vec<_> = kept.iter().map(|steps| path(steps)).collect();
    let kept: Vec<_> = kept.iter().map(Vec::as_slice).collect();
    parse(body, &path(records), &kept, &reader(), &|| false)
}

fn read(body: &serde_json::Value, records: &[&str]) -> Result<Page, PageError> {
    read_text(body.to_string().as_bytes(), records, &[])
}

fn keys(page: &Page) -> Vec<&str> {
    page.records.iter().map(|record| record.key.as_str()).collect()
}

#[test]
fn records_are_found_at_any_depth_with_the_wanted_values() {
    let body = json!({
        "data": {"items": [{"id": "a"}, {"id": "b"}], "more": true, "count": 12},
        "next": "x", "total": {"value": 7}, "links": [{"rel": "self"}, {"url": "/2"}], "junk": [[1]],
    });
    let wanted: &[&[&str]] = &[
        &["data", "more"],
        &["next"],
        &["total"],
        &["links", "1", "url"],
        &["absent", "x"],
    ];
    let page = read_text(body.to_string().as_bytes(), &["data", "items"], wanted).unwrap();
    assert_eq!(keys(&page), ["a", "b"]);
    assert_eq!(
        page.envelope,
        json!({"data": {"items": null, "more": true}, "next": "x", "total": {}, "links": {"1": {"url": "/2"}}})
    );
    assert_eq!(read(&json!([{"id": "a"}]), &[]).unwrap().count, 1);
}

#[test]
fn a_response_without_the_list_is_not_an_empty_page() {
    for body in [
        json!({"code": 20500}),
        json!({"items": null}),
        json!({"items": {}}),
        json!([]),
        json!("x"),
    ] {
        assert!(read(&body, &["items"]).is_err(), "{body}");
    }
    assert_eq!(read(&json!({"items": []}), &["items"]).unwrap().count, 0);
}

#[test]
fn an_element_that_is_not_a_record_is_counted_and_the_others_are_kept() {
    for odd in [
        "7",
        "null",
        "[{}]",
        r#"{"x": 1}"#,
        r#"{"id": null}"#,
        r#"{"id": {}}"#,
        r#"{"id": "x",}"#,
        r#"{"id" "x"}"#,
        "{id: 1}",
        r#"{"id": undefined}"#,
        "",
        &format!(
            r#"{{"id": "x", "deep": {}1{}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        ),
    ] {
        let text = format!(r#"{{"items": [{{"id": "a"}},{odd},{{"id": "b"}}]}}"#);
        let page = read_text(text.as_bytes(), &["items"], &[]).unwrap();
        assert_eq!((page.count, page.skipped), (3, 1), "{odd}");
        assert_eq!(keys(&page), ["a", "b"]);
    }
}

#[test]
fn an_odd_value_affects_neither_its_record_nor_others() {
    for odd in [
        &br#""cut \ud83d""#[..],
        br#""\ude00\ud83d""#,
        br#""\u0000 \x \u12""#,
        b"\"\xff\xfe\"",
        b"\"tab\tand\nline\"",
        b"1e400",
        b"-0",
        b"1E+5",
        b"+5",
        b"007",
        b"NaN",
        "9".repeat(400).as_bytes(),
        br#""$serde_json::private::Number""#,
        br#"{"$serde_json::private::Number": "x"}"#,
        br#"{"$serde_json::private::RawValue": "["}"#,
        br#"1, "x": 2"#,
    ] {
        let body = [
            &b"\xef\xbb\xbf{\"items\": [{\"id\": \"a\", \"x\": "[..],
            odd,
            b"}, {\"id\": \"b\"}]}",
        ]
        .concat();
        let page = read_text(&body, &["items"], &[]).unwrap();
        assert_eq!(keys(&page), ["a", "b"], "{}", String::from_utf8_lossy(odd));
        let extra = page.records[0].extra.as_deref().unwrap();
        assert!(
            serde_json::from_str::<Box<serde_json::value::RawValue>>(extra).is_ok(),
            "{extra}"
        );
    }
}

#[test]
fn numeric_keys_stay_distinct() {
    let body = br#"[{"id": 12345678901234567890123}, {"id": 12345678901234567890124}, {"id": 1.10}]"#;
    let page = read_text(body, &[], &[]).unwrap();
    assert_eq!(
        keys(&page),
        ["12345678901234567890123", "12345678901234567890124", "1.10"]
    );
}

#[test]
fn parsing_stops_when_the_run_is_to_stop() {
    let body = format!("[{}0]", "0,".repeat(1_000));
    let calls = std::cell::Cell::new(0);
    let stop = || {
        calls.set(calls.get() + 1);
        calls.get() == 2
    };
    let stopped = parse(body.as_bytes(), &[], &[], &reader(), &stop);
    assert_eq!(stopped.unwrap_err(), PageError::Stopped);
}

#[test]
fn a_single_record_is_found_at_its_path() {
    let body = br#"{"x": [{"id": "c"}], "data": {"item": {"id": "a\ud83d", "n": 1E5}}}"#;
    let found = parse_record(body, &path(&["data", "item"]), &reader())
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.key.as_str(), found.extra.as_deref()),
        ("a\u{fffd}", Some("{\"n\":1E5}"))
    );
    assert!(parse_record(body, &path(&["data", "none"]), &reader()).is_err());
    assert!(parse_record(b"<html>", &[], &reader()).unwrap().is_err());
}

proptest! {
    #[test]
    fn a_truncated_page_is_refused(cut in 0usize..60) {
        let whole = json!({"items": [{"id": "a"}, {"id": "b", "x": [1, {}]}], "next": null}).to_string();
        prop_assume!(cut < whole.len());
        prop_assert!(read_text(&whole.as_bytes()[..cut], &["items"], &[]).is_err());
    }
}
