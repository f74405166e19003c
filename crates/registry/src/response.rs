//! Rules for a provider's responses: retries and errors.

use std::ops::RangeInclusive;

use indexmap::IndexMap;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;

use crate::written::{self, OneOrMany, Scalar};

/// When a request is retried. The default is 429; if the request may be repeated, also 500, 502, 503, 504 and broken connections.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct RetryRules {
    /// Headers that hold seconds or a date to wait; `Retry-After` always counts.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub after: Vec<String>,
    /// Headers that hold the time at which to continue, in seconds or milliseconds since 1970 or as a date.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<String>")]
    pub at: Vec<String>,
    /// A header that says 0 when nothing is left.
    pub remaining: Option<String>,
    /// Statuses: `429`, `5xx`, `500-502`. The usual ones if left out.
    #[serde(rename = "error_code", deserialize_with = "statuses")]
    #[schemars(with = "OneOrMany<Scalar>")]
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Where an error's body says how long to wait.
    pub in_body: Option<WaitInBody>,
}

/// Where an error's body says how long to wait.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WaitInBody {
    /// The place in the body, with dots between names.
    #[serde(deserialize_with = "path_of_wait")]
    #[schemars(with = "String")]
    pub path: Vec<String>,
    /// A regular expression for the text there; its first group, or else all that it matches, is the value.
    pub value: Option<String>,
    /// `after` (the default) for seconds or a date to wait, `at` for the time at which to continue.
    pub strategy: Option<String>,
}

impl WaitInBody {
    /// Returns the value within `text`.
    pub fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let Some(value) = &self.value else {
            return Some(text);
        };
        let found = Regex::new(value).ok()?.captures(text)?;
        found.get(1).or_else(|| found.get(0)).map(|group| group.as_str())
    }
}

/// Reads the path, which begins with `$` in Nango's entries.
fn path_of_wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(written::split_path(text.trim_start_matches('$')))
}

/// Reads ranges of statuses. A text that is not a range becomes an empty range, which the check of the file reports.
fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RangeInclusive<u16>>, D::Error> {
    let texts = written::texts(deserializer)?;
    let ranges = texts
        .iter()
        .map(|text| status_range(text).unwrap_or(RangeInclusive::new(1, 0)));
    Ok(ranges.collect())
}

/// Parses `429`, `5xx` or `500-502`.
fn status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let range = match (text.strip_suffix("xx"), text.split_once('-')) {
        (Some(hundreds), _) => {
            let first = hundreds.parse::<u16>().ok()?.checked_mul(100)?;
            first..=first.checked_add(99)?
        }
        (None, Some((first, last))) => first.parse().ok()?..=last.parse().ok()?,
        (None, None) => text.parse().ok()?..=text.parse().ok()?,
    };
    (*range.start() >= 100 && *range.end() <= 599).then_some(range)
}

/// How the provider reports errors.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ErrorRules {
    /// Where in an error's body the code is, with dots between names and list positions.
    #[serde(deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub code: Vec<String>,
    /// Where the message is.
    #[serde(deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub message: Vec<String>,
    /// Statuses that mean that the credentials are invalid; 401 if left out.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<u16>")]
    pub unauthorized: Vec<u16>,
    /// Codes that mean invalid credentials, whatever the status.
    #[serde(deserialize_with = "written::texts")]
    #[schemars(with = "OneOrMany<Scalar>")]
    pub unauthorized_codes: Vec<String>,
    /// Hints for people, by code, or by HTTP status for responses whose code has no hint.
    pub hints: IndexMap<String, String>,
    /// How to recognise an error in the body of a successful response (2xx).
    pub in_body: Option<ErrorInBody>,
}

/// How to recognise an error in the body of a successful response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ErrorInBody {
    /// The place in the body, with dots between names and list positions.
    #[serde(deserialize_with = "written::path")]
    #[schemars(with = "String")]
    pub path: Vec<String>,
    /// The value or values there that mean an error; if left out, anything but `null`, `false`, `0` and what is empty.
    #[serde(default, deserialize_with = "written::texts")]
    #[schemars(with = "OneOrMany<Scalar>")]
    pub equals: Vec<String>,
}

impl Default for ErrorRules {
    fn default() -> Self {
        Self {
            code: Vec::new(),
            message: Vec::new(),
            unauthorized: vec![401],
            unauthorized_codes: Vec::new(),
            hints: IndexMap::new(),
            in_body: None,
        }
    }
}

impl ErrorInBody {
    /// Whether `json`, the value at the path, means that the body is an error.
    pub fn says_error(&self, json: &str) -> bool {
        let text: Option<String> = json
            .starts_with('"')
            .then(|| serde_json::from_str(json).ok())
            .flatten();
        let text = text.as_deref().unwrap_or(json);
        if self.equals.is_empty() {
            let bare: String = text.chars().filter(|c| !c.is_whitespace()).take(3).collect();
            !matches!(bare.as_str(), "" | "0" | "[]" | "{}") && !matches!(text, "false" | "null")
        } else {
            self.equals.iter().any(|equal| equal == text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_as_nango_writes_them() {
        assert_eq!(status_range("429"), Some(429..=429));
        assert_eq!(status_range("5xx"), Some(500..=599));
        assert_eq!(status_range("500-502"), Some(500..=502));
        for text in ["", "xx", "7xx", "502-500", "99", "5x", "many"] {
            assert!(status_range(text).is_none_or(|range| range.is_empty()), "{text}");
        }
    }

    #[test]
    fn an_error_in_a_success_response_is_recognised_by_its_path() {
        let rule = |equals: &[&str]| ErrorInBody {
            path: vec!["x".to_owned()],
            equals: equals.iter().map(|&text| text.to_owned()).collect(),
        };
        for json in ["\"no such id\"", "7", "true", "{\"a\": 1}", "[1]", "\"[\""] {
            assert!(rule(&[]).says_error(json), "{json}");
        }
        for json in ["\"\"", "0", "false", "null", "{ }", "[ ]"] {
            assert!(!rule(&[]).says_error(json), "{json}");
        }
        assert!(rule(&["false"]).says_error("false") && !rule(&["false"]).says_error("true"));
        assert!(rule(&["fail", "error"]).says_error("\"error\"") && !rule(&["error"]).says_error("7"));
    }
}
