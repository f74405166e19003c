//! How a provider's responses are read: when a request is repeated, and what an error looks like.

use indexmap::IndexMap;

/// When a call is repeated, beside what HTTP itself says (429, 502, 503, 504, 500 for reading, broken connections).
#[derive(Debug, Clone, Default)]
pub struct RetryRules {
    /// Headers that hold seconds or an HTTP date to wait, beside `Retry-After`, which counts after any failure.
    pub after: Vec<String>,
    /// Headers that hold the time at which to go on, in seconds or milliseconds since 1970 or as a date.
    pub at: Vec<String>,
    /// A header that says 0 when nothing is left.
    pub remaining: Option<String>,
    /// Statuses as the file writes them: `429`, `5xx`, `500-502`. Empty for the usual ones.
    pub statuses: Vec<std::ops::RangeInclusive<u16>>,
    /// Where an error's body says how long to wait.
    pub in_body: Option<WaitInBody>,
}

/// Where an error's body says how long to wait.
#[derive(Debug, Clone)]
pub struct WaitInBody {
    /// The place in the body, outermost name first.
    pub path: Vec<String>,
    /// What finds the value in the text there, by its first group or else by all that it matches; the text itself if none.
    pub value: Option<regex::Regex>,
}

impl WaitInBody {
    /// The value within `text`.
    pub fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let Some(value) = &self.value else {
            return Some(text);
        };
        let found = value.captures(text)?;
        found.get(1).or_else(|| found.get(0)).map(|group| group.as_str())
    }
}

/// How errors of the provider read.
#[derive(Debug, Clone, Default)]
pub struct ErrorRules {
    /// Where in an error's body the code stands, outermost name first.
    pub code: Vec<String>,
    /// Where the message stands.
    pub message: Vec<String>,
    /// Statuses that mean the credentials are not good; 401 unless the file says otherwise.
    pub unauthorized: Vec<u16>,
    /// Codes that mean the same, whatever the status.
    pub unauthorized_codes: Vec<String>,
    /// What to tell people, by code, or by HTTP status where the code has none.
    pub hints: IndexMap<String, String>,
    /// How an error in the body of a success is recognised.
    pub in_body: Option<ErrorInBody>,
}

/// How an error in the body of a success is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorInBody {
    /// The place in the body, outermost name first.
    pub path: Vec<String>,
    /// The values that say so; if none, anything there does that is not empty, `false` or 0.
    pub equals: Vec<String>,
}

impl ErrorInBody {
    /// Whether the JSON text that stands at the place says that the body is an error.
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
