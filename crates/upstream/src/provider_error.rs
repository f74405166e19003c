//! Reads a provider's error response by the rules of its file.

use domain::Timestamp;
use serde_json::Value;

use crate::redact::MAX_LINE;
use crate::{ProviderError, Response, Target, json, retry_after};

/// The most characters of an error code to keep.
const MAX_CODE_CHARS: usize = 100;
/// Paths to try for the message, if the provider's file names none.
const USUAL_MESSAGES: [&[&str]; 7] = [
    &["message"],
    &["error", "message"],
    &["error_description"],
    &["errors", "0", "message"],
    &["error"],
    &["detail"],
    &["title"],
];

impl ProviderError {
    /// Reads a response that is not a success; `now` turns a date in it into a wait.
    pub(crate) fn read(target: &Target, response: &Response, now: Timestamp) -> Self {
        let (rules, retry_rules) = (&target.provider.errors, &target.provider.retry);
        let (status, headers) = (response.status, &response.headers);
        let body: Value = response.json().unwrap_or_default();
        let text = |path: &[String]| {
            let value = json::at(&body, path).filter(|_| !path.is_empty());
            value.and_then(json::plain)
        };
        let usual = || {
            let mut paths = USUAL_MESSAGES.iter();
            paths.find_map(|path| json::at(&body, path).and_then(json::plain))
        };
        let code = text(&rules.code);
        let rate_limited = retry_after::rate_limited(retry_rules, status, headers);
        let listed_code = code
            .as_ref()
            .is_some_and(|code| rules.unauthorized_codes.contains(code));
        Self {
            status,
            hint: code
                .as_ref()
                .and_then(|code| rules.hints.get(code))
                .or_else(|| rules.hints.get(&status.to_string()))
                .cloned(),
            message: text(&rules.message)
                .or_else(usual)
                .map(|text| target.redacted_line(&text, MAX_LINE)),
            code: code.map(|text| target.redacted_line(&text, MAX_CODE_CHARS)),
            unauthorized: !rate_limited && (listed_code || rules.unauthorized.contains(&status)),
            not_found: matches!(status, 404 | 410),
            rate_limited,
            retry_after: retry_after::requested(retry_rules, status, headers, &body, now),
            carried_out: response.carried_out,
        }
    }
}
