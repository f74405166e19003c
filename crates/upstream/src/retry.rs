//! Whether to repeat an attempt, and how long to wait before.

use std::time::Duration;

use chrono::DateTime;
use domain::Timestamp;
use registry::RetryRules;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::json;

/// Statuses by which a provider or something before it says that it has a trouble of its own.
const TROUBLE: [u16; 4] = [500, 502, 503, 504];

/// Whether an answer that is not 2xx is worth another attempt.
///
/// 429 always is, whatever the method: such a call was not carried out. The rest only if doing it twice does no harm. Statuses
/// of the file replace the usual ones.
pub(crate) fn repeats(rules: &RetryRules, status: u16, headers: &HeaderMap, idempotent: bool) -> bool {
    let listed = if rules.statuses.is_empty() {
        status == 429 || TROUBLE.contains(&status)
    } else {
        rules.statuses.iter().any(|range| range.contains(&status))
    };
    rate_limited(rules, status, headers) && (listed || status == 403) || listed && idempotent
}

/// Whether the answer says that there were too many calls: 429, or 403 beside a header that says that none is left or a
/// `Retry-After` (GitHub's two limits). A key that may not read is never told to come back later.
pub(crate) fn rate_limited(rules: &RetryRules, status: u16, headers: &HeaderMap) -> bool {
    let none_left = || {
        let header = rules.remaining.as_deref().and_then(|name| headers.get(name));
        header.is_some_and(|value| value.as_bytes().trim_ascii() == b"0")
    };
    status == 429 || status == 403 && (none_left() || headers.contains_key("retry-after"))
}

/// How long the provider asks to wait: the longest of all that it says.
///
/// The file's own headers usually come with every answer and say when a quota begins anew, so they count only if there were too
/// many calls, and not if some of the quota is left: then it was another limit that was met.
pub(crate) fn asked(
    rules: &RetryRules,
    status: u16,
    headers: &HeaderMap,
    body: &Value,
    now: Timestamp,
) -> Option<Duration> {
    let left = rules.remaining.as_deref().and_then(|name| headers.get(name));
    let limited =
        rate_limited(rules, status, headers) && left.is_none_or(|left| left.as_bytes().trim_ascii() == b"0");
    let values = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let after = std::iter::once("retry-after")
        .chain(rules.after.iter().filter(|_| limited).map(String::as_str))
        .filter_map(|name| values(name).and_then(|value| wait(value, now)));
    let at = rules
        .at
        .iter()
        .filter(|_| limited)
        .filter_map(|name| values(name).and_then(|value| moment(value, now)));
    let in_body = rules.in_body.iter().filter_map(|rule| {
        let text = json::at(body, &rule.path).and_then(json::plain)?;
        let value = rule.find(&text)?.trim();
        if rule.is_time {
            moment(value, now)
        } else {
            seconds(value).or_else(|| until(value, now))
        }
    });
    after.chain(at).chain(in_body).max()
}

/// Seconds, a date, or the `reset` of `limit=100, remaining=0, reset=5` (draft-ietf-httpapi-ratelimit-headers-07).
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let reset = || {
        text.split([',', ';'])
            .find_map(|part| seconds(part.trim().strip_prefix("reset=")?))
    };
    seconds(text).or_else(|| until(text, now)).or_else(reset)
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The time until a date; a past one is no wait. HTTP's form is that of RFC 2822 with GMT (RFC 9110, 5.6.7).
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let date = DateTime::parse_from_rfc2822(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()?;
    Some(from_now(Timestamp::from_chrono(date.to_utc()), now))
}

/// The time until a date or a number of seconds, or milliseconds, since 1970.
fn moment(text: &str, now: Timestamp) -> Option<Duration> {
    /// As seconds this is the year 5138, as milliseconds 1973.
    const MILLIS_FROM: u64 = 100_000_000_000;
    let since_epoch = |number: u64| {
        let micros = if number < MILLIS_FROM {
            number.checked_mul(1_000_000)
        } else {
            number.checked_mul(1_000)
        };
        micros
            .and_then(|micros| i64::try_from(micros).ok())
            .map(Timestamp::from_micros)
    };
    let whole = text.split('.').next().unwrap_or_default();
    match whole.parse::<u64>() {
        Ok(number) => since_epoch(number).map(|time| from_now(time, now)),
        Err(_) => until(text, now),
    }
}

fn from_now(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(time.since(now)).unwrap_or_default())
}

/// A random wait from zero to `base`, doubled with each attempt, up to `cap` (full jitter).
pub(crate) fn backoff(base: Duration, cap: Duration, attempt: u32) -> Duration {
    let doubled = 2_u32
        .checked_pow(attempt.saturating_sub(1))
        .and_then(|factor| base.checked_mul(factor));
    doubled.unwrap_or(cap).min(cap).mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use registry::WaitInBody;
    use reqwest::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    /// 2026-11-21T10:00:00Z.
    const NOW: Timestamp = Timestamp::from_micros(1_795_255_200_000_000);

    fn rules() -> RetryRules {
        RetryRules {
            after: vec!["x-after".to_owned()],
            at: vec!["x-reset".to_owned()],
            remaining: Some("x-left".to_owned()),
            statuses: Vec::new(),
            in_body: None,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[rstest]
    #[case("retry-after", "3", Some(3_000))]
    #[case("retry-after", "0.5", Some(500))]
    #[case("retry-after", "Sat, 21 Nov 2026 10:00:07 GMT", Some(7_000))]
    #[case("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT", Some(0))]
    #[case("retry-after", "-1", None)]
    #[case("retry-after", "soon", None)]
    #[case("x-after", "4", Some(4_000))]
    #[case("x-after", "limit=100, remaining=0, reset=5", Some(5_000))]
    #[case("x-after", "limit=100;reset=6", Some(6_000))]
    #[case("x-after", "limit=100, remaining=0", None)]
    #[case("x-reset", "1795255205", Some(5_000))]
    #[case("x-reset", "1795255205250", Some(5_250))]
    #[case("x-reset", "1795255205.9", Some(5_000))]
    #[case("x-reset", "2026-11-21T10:01:00Z", Some(60_000))]
    #[case("x-reset", "99999999999999999999", None)]
    fn a_wait_is_read_in_every_form(
        #[case] name: &'static str,
        #[case] value: &'static str,
        #[case] millis: Option<u64>,
    ) {
        assert_eq!(
            asked(&rules(), 429, &headers(&[(name, value)]), &Value::Null, NOW),
            millis.map(Duration::from_millis)
        );
    }

    #[test]
    fn of_several_waits_the_longest_counts() {
        let said = headers(&[("retry-after", "2"), ("x-after", "5"), ("x-reset", "1795255203")]);
        assert_eq!(
            asked(&rules(), 429, &said, &Value::Null, NOW),
            Some(Duration::from_secs(5))
        );
    }

    #[test]
    fn when_a_quota_begins_anew_matters_only_if_it_is_used_up() {
        let said = headers(&[("x-after", "50"), ("x-reset", "1795258800")]);
        for status in [401, 403, 500, 503] {
            assert_eq!(
                asked(&rules(), status, &said, &Value::Null, NOW),
                None,
                "{status}"
            );
        }
        let said = headers(&[("retry-after", "2"), ("x-reset", "1795258800"), ("x-left", "7")]);
        assert_eq!(
            asked(&rules(), 429, &said, &Value::Null, NOW),
            Some(Duration::from_secs(2))
        );
        assert_eq!(
            asked(&rules(), 503, &said, &Value::Null, NOW),
            Some(Duration::from_secs(2))
        );
    }

    #[rstest]
    #[case("Try again in 12 seconds.", false, Some(12_000))]
    #[case("Try again in a while.", false, None)]
    #[case("in 1795255205", true, Some(5_000))]
    fn a_wait_is_read_in_a_body(#[case] text: &str, #[case] is_time: bool, #[case] millis: Option<u64>) {
        let rules = RetryRules {
            in_body: Some(WaitInBody {
                path: vec!["error".to_owned(), "message".to_owned()],
                value: Some("in ([0-9]+)".parse().unwrap()),
                is_time,
            }),
            ..rules()
        };
        let body = serde_json::json!({ "error": { "message": text } });
        assert_eq!(
            asked(&rules, 429, &HeaderMap::new(), &body, NOW),
            millis.map(Duration::from_millis)
        );
    }

    #[rstest]
    #[case(429, true, true)]
    #[case(500, true, false)]
    #[case(502, true, false)]
    #[case(503, true, false)]
    #[case(504, true, false)]
    #[case(501, false, false)]
    #[case(400, false, false)]
    #[case(404, false, false)]
    fn only_a_429_is_repeated_whatever_the_call(
        #[case] status: u16,
        #[case] reading: bool,
        #[case] writing: bool,
    ) {
        assert_eq!(repeats(&rules(), status, &HeaderMap::new(), true), reading);
        assert_eq!(repeats(&rules(), status, &HeaderMap::new(), false), writing);
    }

    #[test]
    fn statuses_of_the_file_replace_the_usual_ones() {
        let rules = RetryRules {
            statuses: vec![409..=409, 520..=529],
            ..rules()
        };
        let repeats = |status, idempotent| repeats(&rules, status, &HeaderMap::new(), idempotent);
        assert!(repeats(409, true) && repeats(525, true));
        assert!(!repeats(409, false) && !repeats(503, true) && !repeats(429, true));
    }

    #[test]
    fn a_403_with_nothing_left_is_a_rate_limit() {
        assert!(repeats(&rules(), 403, &headers(&[("x-left", "0")]), false));
        assert!(!repeats(&rules(), 403, &headers(&[("x-left", "7")]), true));
        assert!(repeats(
            &rules(),
            403,
            &headers(&[("x-left", "7"), ("retry-after", "60")]),
            false
        ));
        assert!(!rate_limited(&rules(), 404, &headers(&[("x-left", "0")])));
    }

    proptest! {
        #[test]
        fn a_backoff_never_exceeds_its_doubling_nor_its_cap(attempt in 0..200_u32) {
            let (base, cap) = (Duration::from_millis(250), Duration::from_secs(30));
            let wait = backoff(base, cap, attempt);
            prop_assert!(wait <= cap);
            prop_assert!(attempt > 7 || wait <= base * 2_u32.pow(attempt.saturating_sub(1)));
        }
    }
}
