//! Finds values in a provider's JSON.

use domain::{JsonError, JsonKind, JsonReader};
use serde_json::Value;

/// The most values of a JSON text that are read into a tree: each takes up to 100 bytes, however short it is written.
const MOST_VALUES: usize = 500_000;

/// Whether a JSON text has no more values than may be read into a tree.
pub(crate) fn is_bounded(text: &[u8]) -> bool {
    /// The shortest text of one value, with what separates it from the next.
    const SHORTEST: usize = 2;
    if text.len() / SHORTEST <= MOST_VALUES {
        return true;
    }
    let (mut values, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values <= MOST_VALUES
}

/// Returns the value at `path`, outermost name first; a number is an index of a list.
pub fn at<'a, P: AsRef<str>>(value: &'a Value, path: &[P]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(list) => name
            .as_ref()
            .parse::<usize>()
            .ok()
            .and_then(|index| list.get(index)),
        other => other.get(name.as_ref()),
    })
}

/// Returns a text, number or boolean as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// How deep a found value may be nested.
const MAX_DEPTH: usize = 120;

/// Returns the value at `path` of a JSON text, as written: `None` if there is none or it is `null`.
///
/// The value is checked by the rules of [`JsonReader`], and fails if it is nested more than 120 levels deep. All other values are skipped
/// unchecked; that takes one byte of memory for each open level.
pub(crate) fn find<'a>(text: &'a str, path: &[String]) -> Result<Option<&'a str>, JsonError> {
    let mut json = JsonReader::new(text);
    let found = find_next(text, &mut json, path)?;
    json.end()?;
    Ok(found.filter(|value| *value != "null"))
}

/// Reads the next value, and returns what is at `path` of it.
fn find_next<'a>(
    text: &'a str,
    json: &mut JsonReader<'a>,
    path: &[String],
) -> Result<Option<&'a str>, JsonError> {
    let Some((step, rest)) = path.split_first() else {
        let start = json.position();
        check(json, MAX_DEPTH)?;
        return Ok(text.get(start..json.position()).map(str::trim_end));
    };
    let mut found = None;
    let mut read = |json: &mut JsonReader<'a>, is_step: bool| {
        if is_step {
            found = find_next(text, json, rest)?;
            return Ok(());
        }
        json.skip()
    };
    match json.kind()? {
        JsonKind::Object => json.object(|json, name| read(json, name == step.as_str()))?,
        JsonKind::List => {
            let (wanted, mut indexes) = (step.parse().ok(), 0_usize..);
            json.list(|json| read(json, indexes.next() == wanted))?;
        }
        JsonKind::Scalar => json.skip()?,
    }
    Ok(found)
}

/// Reads the next value, and fails unless it is one JSON value of at most `depth` levels.
fn check(json: &mut JsonReader<'_>, depth: usize) -> Result<(), JsonError> {
    let inner = || depth.checked_sub(1).ok_or(JsonError::TooDeep);
    match json.kind()? {
        JsonKind::Object => {
            let depth = inner()?;
            json.object(|json, _| check(json, depth))
        }
        JsonKind::List => {
            let depth = inner()?;
            json.list(|json| check(json, depth))
        }
        JsonKind::Scalar => json.scalar().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::words;

    #[rstest]
    #[case(r#"{"a": {"b": [7, "x"]}}"#, "a.b.1", Some("\"x\""))]
    #[case(r#"{"a": {"b": [7, "x"]}}"#, "a.b.2", None)]
    #[case(
        r#"{"a": 12345678901234567890123.10, "b": 1}"#,
        "a",
        Some("12345678901234567890123.10")
    )]
    #[case(r#"{"a": null}"#, "a", None)]
    #[case(r#"{"a": 1.5}"#, "a.b", None)]
    #[case(r#"[{"ok": false}]"#, "0.ok", Some("false"))]
    #[case(r#""text""#, "a", None)]
    fn a_value_is_found_by_its_path(#[case] text: &str, #[case] path: &str, #[case] found: Option<&str>) {
        let path = words(path);
        assert_eq!(find(text, &path), Ok(found));
        assert!(find(text.trim_end_matches(['}', ']', '"']), &path).is_err());
    }

    #[rstest]
    #[case("{\"a\": 1 2}")]
    #[case("{\"a\": \"x\" 2}")]
    #[case("{\"a\": [1 2]}")]
    #[case("{\"a\": [1,]}")]
    #[case("{\"a\": {\"b\" 1}}")]
    #[case("{\"a\": wrong}")]
    #[case("{\"a\": }")]
    fn a_found_value_must_be_one_json_value(#[case] text: &str) {
        let found = find(text, &words("a"));
        assert!(found.is_err(), "{found:?}");
    }

    #[test]
    fn a_found_value_has_at_most_120_levels() {
        let finds = |levels| {
            let text = format!("{{\"a\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
            find(&text, &words("a")).is_ok()
        };
        assert!(finds(MAX_DEPTH));
        assert!(!finds(MAX_DEPTH + 1));
    }

    #[rstest]
    #[case("{\"b\": \"x\ty\", \"a\": 1}", "1")]
    #[case("{\"a\": \"x\ty\"}", "\"x\ty\"")]
    fn a_raw_control_character_hides_no_value(#[case] text: &str, #[case] found: &str) {
        assert_eq!(find(text, &words("a")), Ok(Some(found)));
    }

    #[test]
    fn values_are_counted_only_outside_of_strings() {
        let many = |text: &str, times| format!("[{}0]", text.repeat(times));
        assert!(is_bounded(many("0,", 400_000).as_bytes()));
        assert!(!is_bounded(many("0,", 500_001).as_bytes()));
        assert!(!is_bounded(many("[],", 600_000).as_bytes()));
        assert!(is_bounded(
            format!("\"{}\"", "[,\\\"{".repeat(400_000)).as_bytes()
        ));
    }
}
