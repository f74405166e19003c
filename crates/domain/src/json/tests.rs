//! Compares the parser with serde_json: valid documents give the same result; invalid ones are repaired or errors.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn sorted(text: &str) -> Result<String, JsonError> {
    let mut reader = JsonReader::new(text);
    let copy = reader.copied()?;
    reader.end().map(|()| copy)
}

#[test]
fn numbers_keep_the_digits_that_were_sent() {
    for number in [
        "0",
        "-0",
        "1E+5",
        "1e400",
        "-1.50e-10",
        "12345678901234567890123",
        "0.10",
        &"7".repeat(400),
    ] {
        assert_eq!(sorted(number).as_deref(), Ok(number));
    }
}

#[test]
fn invalid_numbers_become_text_and_other_words_are_errors() {
    for word in ["+1", "007", ".5", "5.", "1e", "NaN", "-Infinity", "1.2.3", "--1"] {
        assert_eq!(sorted(word), Ok(format!("\"{word}\"")), "{word}");
    }
    for word in ["nul", "True", "undefined", "1x", "e", "-", "", "<html>", "'a'"] {
        assert!(sorted(word).is_err(), "{word}");
    }
}

#[test]
fn only_invalid_parts_of_texts_are_repaired() {
    for (sent, kept) in [
        (r#""cut \ud83d""#, "cut \u{fffd}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""a\u0000b""#, "a\u{fffd}b"),
        ("\"a\0b\"", "a\u{fffd}b"),
        (r#""a\\u0000b""#, "a\\u0000b"),
        (r#""a\\ud83d""#, "a\\ud83d"),
        ("\"a\tb\nc\u{1}\"", "a\tb\nc\u{1}"),
        (r#""a\x41 \' \u12g4 \u+123 \u""#, "a\\x41 \\' \\u12g4 \\u+123 \\u"),
        (r#""\é""#, "\\é"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
    ] {
        let text = sorted(sent).unwrap();
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), kept, "{sent}");
    }
    assert_eq!(json_text(b"\xef\xbb\xbf{}"), "{}");
    assert_eq!(json_text(b"\"a\xff\xc3\""), "\"a\u{fffd}\u{fffd}\"");
}

#[test]
fn names_are_sorted_and_the_last_duplicate_wins() {
    assert_eq!(
        sorted(r#" { "b" : 1 , "a" : [ ] , "b" : { "d" : 2 , "c" : 3 } , "\u0062": 4 } "#).unwrap(),
        r#"{"a":[],"b":4}"#
    );
    assert_eq!(
        repaired_json(br#"{"b": 1, "a": "\ud83d"}"#).unwrap(),
        "{\"b\":1,\"a\":\"\u{fffd}\"}"
    );
}

#[test]
fn depth_and_names_are_bounded_when_copied_but_not_when_skipped() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(sorted(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(sorted(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep));
    let deep = nested(1_000_000);
    let mut reader = JsonReader::new(&deep);
    assert_eq!(reader.skip().and_then(|()| reader.end()), Ok(()));

    let names: Vec<_> = (0..=MAX_NAMES).map(|n| format!("\"{n}\":0")).collect();
    assert_eq!(
        sorted(&format!("{{{}}}", names.join(","))),
        Err(JsonError::TooManyNames)
    );
}

#[test]
fn a_damaged_value_is_skipped_to_its_end() {
    for damaged in [
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "[1 2]",
        "tru",
        "",
        r#"{"]":"}\""} x"#,
        "'a'",
    ] {
        let text = format!("[{damaged},7]");
        let mut reader = JsonReader::new(&text);
        let mut count = 0;
        reader
            .list(|json| {
                count += 1;
                json.skip()
            })
            .unwrap();
        assert_eq!((count, reader.end()), (2, Ok(())), "{damaged}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        "[\\x01-\\x7f]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-c\"\\\\é]{0,2}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_of_serde_json_is_read_like_serde_json_reads_it(value in values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut expected = value;
        expected.sort_all_objects();
        prop_assert_eq!(sorted(&text).unwrap(), expected.to_string());
        let mut reader = JsonReader::new(&text);
        prop_assert_eq!(reader.skip().and_then(|()| reader.end()), Ok(()));
    }

    #[test]
    fn a_copy_of_any_bytes_is_strict_json(value in values(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = json!({ "a": value }).to_string().into_bytes();
        for (index, byte) in cuts {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(text) = repaired_json(&bytes) {
            let reread: Result<Value, _> = serde_json::from_str(&text);
            prop_assert!(reread.is_ok(), "{}", text);
            prop_assert!(!text.contains('\0'));
        } else {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_err());
        }
    }

    #[test]
    fn a_truncated_text_is_an_error(value in values(), cut in any::<prop::sample::Index>()) {
        let whole = json!([value]).to_string();
        let bytes = whole.as_bytes();
        prop_assert!(repaired_json(&bytes[..cut.index(bytes.len())]).is_err());
    }
}
