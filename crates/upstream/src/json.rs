//! Finds values in a provider's JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

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

/// Returns the value at `path` of a JSON text: `Ok(None)` if there is none or it is `null`, an error if the text is not JSON. The rest of
/// the text is skipped and takes no memory.
pub(crate) fn find<'a>(text: &'a [u8], path: &[String]) -> serde_json::Result<Option<&'a RawValue>> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let found = Find(path).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found.filter(|value| value.get() != "null"))
}

/// Reads the value at a path and skips all others.
struct Find<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            <&RawValue>::deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.0.split_first() {
                Some((step, rest)) if name == step.as_str() => found = map.next_value_seed(Find(rest))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.split_first();
        let wanted = wanted.and_then(|(step, rest)| Some((step.parse::<usize>().ok()?, rest)));
        let (mut found, mut index) = (None, 0_usize);
        loop {
            match wanted {
                Some((place, rest)) if place == index => match list.next_element_seed(Find(rest))? {
                    Some(there) => found = there,
                    None => return Ok(found),
                },
                _ if list.next_element::<IgnoredAny>()?.is_none() => return Ok(found),
                _ => {}
            }
            index = index.saturating_add(1);
        }
    }

    // A path leads no further below any other value.
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

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
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let value = find(text.as_bytes(), &path).unwrap();
        assert_eq!(value.map(RawValue::get), found);
        assert!(find(text.trim_end_matches(['}', ']', '"']).as_bytes(), &path).is_err());
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
