//! How long a provider asks to wait, and whether it does so because of a rate limit.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use domain::Timestamp;
use http::header::HeaderMap;
use registry::RetryRules;
use serde_json::Value;

use crate::json;

/// Whether a response says that there were too many requests: 429, or 403 with a header that says that none is left or with `Retry-After`
/// (GitHub's two limits). A key without a permission is never told to come back later.
pub(crate) fn rate_limited(rules: &RetryRules, status: u16, headers: &HeaderMap) -> bool {
    let none_left = || {
        let header = rules.remaining.as_deref().and_then(|name| headers.get(name));
        header.is_some_and(|value| value.as_bytes().trim_ascii() == b"0")
    };
    status == 429 || status == 403 && (none_left() || headers.contains_key("retry-after"))
}

/// The longest wait, whatever the provider says: a mistake in one header must not stop a connection for years.
const LONGEST: Duration = Duration::from_hours(24);

/// Returns how long the provider asks to wait: the longest of all waits in the response, at most a day.
///
/// The headers that the file names usually come with every response and say when a quota is renewed. So they count only after too many
/// requests, and not if some of the quota is left: then another limit was reached.
pub(crate) fn requested(
    rules: &RetryRules,
    status: u16,
    headers: &HeaderMap,
    body: &Value,
    now: Timestamp,
) -> Option<Duration> {
    let left = rules.remaining.as_deref().and_then(|name| headers.get(name));
    let limited =
        rate_limited(rules, status, headers) && left.is_none_or(|left| left.as_bytes().trim_ascii() == b"0");
    let own = rules.after.iter().chain(&rules.at).filter(|_| limited);
    let in_headers = std::iter::once("retry-after")
        .chain(own.map(String::as_str))
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| wait(value.to_str().ok()?, now));
    let in_body = rules.in_body.iter().filter_map(|rule| {
        let text = json::at(body, &rule.path).and_then(json::plain)?;
        wait(rule.find(&text)?, now)
    });
    in_headers.chain(in_body).max()
}

/// Returns how long the `Retry-After` header asks to wait, at most a day.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let values = headers.get_all("retry-after").iter();
    values.filter_map(|value| wait(value.to_str().ok()?, now)).max()
}

/// Reads a wait in any of the forms that providers use: seconds, a time, or a list of either, of which the longest counts.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let in_list = || {
        let parts = text.split([',', ';']).map(str::trim);
        let named = |part: &str| {
            part.strip_prefix("reset=")
                .or_else(|| part.strip_prefix("t="))
                .and_then(number)
        };
        // The other parameters of draft-ietf-httpapi-ratelimit-headers are numbers too, but not waits.
        if text.contains('=') {
            parts.filter_map(named).max_by(f64::total_cmp)
        } else {
            parts.filter_map(number).max_by(f64::total_cmp)
        }
    };
    let wait = number(text)
        .map(|number| of_number(number, now))
        .or_else(|| until(text, now))
        .or_else(|| in_list().map(|number| of_number(number, now)))?;
    Some(wait.min(LONGEST))
}

fn number(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// Reads a number as seconds to wait or, where that would be 31 years, as a time in seconds or milliseconds since 1970: some providers send
/// one where the other is expected.
fn of_number(number: f64, now: Timestamp) -> Duration {
    /// As a time, September 2001.
    const TIME_FROM: f64 = 1e9;
    /// As seconds this is the year 5138, as milliseconds 1973.
    const MILLIS_FROM: f64 = 1e11;
    let seconds = if number < MILLIS_FROM {
        number
    } else {
        number / 1e3
    };
    let length = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if number < TIME_FROM {
        length
    } else {
        from_now(length, now)
    }
}

/// Returns the time until a date, zero if it has passed. The date has one of HTTP's three forms (RFC 9110, 5.6.7), or that of RFC 2822 or
/// RFC 3339.
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let of_http = || {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(SystemTime::UNIX_EPOCH).ok()
    };
    let of_others = || {
        let date = DateTime::parse_from_rfc2822(text)
            .or_else(|_| DateTime::parse_from_rfc3339(text))
            .ok()?;
        let micros = u64::try_from(date.timestamp_micros()).unwrap_or_default();
        Some(Duration::from_micros(micros))
    };
    Some(from_now(of_http().or_else(of_others)?, now))
}

/// Returns the time until a time since 1970, in whole microseconds as our clock counts.
fn from_now(since_epoch: Duration, now: Timestamp) -> Duration {
    let micros = since_epoch.as_micros();
    let left = micros.saturating_sub(u128::try_from(now.as_micros()).unwrap_or_default());
    Duration::from_micros(u64::try_from(left).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use proptest::prelude::*;
    use registry::WaitInBody;
    use rstest::rstest;

    use super::*;
    use crate::tests::headers;

    /// 2026-11-21T10:00:00Z.
    const NOW: Timestamp = Timestamp::from_micros(1_795_255_200_000_000);

    /// In milliseconds.
    const DAY: u64 = 86_400_000;

    fn rules() -> RetryRules {
        RetryRules {
            after: vec!["x-after".to_owned()],
            at: vec!["x-reset".to_owned()],
            remaining: Some("x-left".to_owned()),
            statuses: Vec::new(),
            in_body: None,
        }
    }

    /// How long a response of this status and these headers asks to wait.
    fn requested_in(status: u16, headers: &HeaderMap) -> Option<Duration> {
        requested(&rules(), status, headers, &Value::Null, NOW)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
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
    #[case("x-reset", "1795255205.9", Some(5_900))]
    #[case("x-reset", "2026-11-21T10:01:00Z", Some(60_000))]
    #[case("x-reset", "7", Some(7_000))]
    #[case("x-reset", "99999999999999999999", Some(DAY))]
    #[case("retry-after", "31536000", Some(DAY))]
    #[case("retry-after", "99999999999", Some(DAY))]
    #[case("retry-after", "1795255205", Some(5_000))]
    #[case("retry-after", "1795255205250", Some(5_250))]
    #[case("retry-after", "1e300", Some(DAY))]
    #[case("retry-after", "inf", None)]
    #[case("retry-after", "NaN", None)]
    #[case("retry-after", "-99999999999999999999", None)]
    #[case("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT", Some(DAY))]
    #[case("retry-after", "Saturday, 21-Nov-26 10:00:07 GMT", Some(7_000))]
    #[case("retry-after", "Sat Nov 21 10:00:07 2026", Some(7_000))]
    #[case("retry-after", "Sat, 21 Nov 2026 10:00:07 +0000", Some(7_000))]
    #[case("retry-after", "1601-01-01T00:00:00Z", Some(0))]
    #[case("retry-after", "120, 60", Some(120_000))]
    #[case("retry-after", "limit=99999, window=60", None)]
    #[case("x-after", "limit=100, reset=31536000", Some(DAY))]
    fn a_wait_is_read_in_every_form(
        #[case] name: &'static str,
        #[case] value: &'static str,
        #[case] millis: Option<u64>,
    ) {
        let wait = requested_in(429, &headers(&[(name, value)]));
        assert_eq!(wait, millis.map(Duration::from_millis));
    }

    #[test]
    fn the_longest_of_several_headers_of_one_name_wins() {
        let mut said = headers(&[
            ("retry-after", "2"),
            ("retry-after", "later"),
            ("retry-after", "9"),
        ]);
        said.append("retry-after", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(requested_in(429, &said), Some(seconds(9)));
    }

    #[test]
    fn the_longest_of_several_waits_wins() {
        let said = headers(&[("retry-after", "2"), ("x-after", "5"), ("x-reset", "1795255203")]);
        assert_eq!(requested_in(429, &said), Some(seconds(5)));
    }

    #[test]
    fn the_reset_of_a_quota_matters_only_if_it_is_used_up() {
        let said = headers(&[("x-after", "50"), ("x-reset", "1795258800")]);
        for status in [401, 403, 500, 503] {
            assert_eq!(requested_in(status, &said), None, "{status}");
        }
        let said = headers(&[("retry-after", "2"), ("x-reset", "1795258800"), ("x-left", "7")]);
        for status in [429, 503] {
            assert_eq!(requested_in(status, &said), Some(seconds(2)), "{status}");
        }
    }

    #[rstest]
    #[case("Try again in 12 seconds.", Some(12_000))]
    #[case("Try again in a while.", None)]
    #[case("in 1795255205", Some(5_000))]
    #[case("in 99999999999999999999999", Some(DAY))]
    fn a_wait_is_read_from_a_body(#[case] text: &str, #[case] millis: Option<u64>) {
        let rules = RetryRules {
            in_body: Some(WaitInBody {
                path: vec!["error".to_owned(), "message".to_owned()],
                value: Some("in ([0-9]+)".to_owned()),
                strategy: None,
            }),
            ..rules()
        };
        let body = serde_json::json!({ "error": { "message": text } });
        let wait = requested(&rules, 429, &HeaderMap::new(), &body, NOW);
        assert_eq!(wait, millis.map(Duration::from_millis));
    }

    #[test]
    fn only_a_403_or_a_429_can_be_a_rate_limit() {
        assert!(rate_limited(&rules(), 403, &headers(&[("x-left", "0")])));
        assert!(!rate_limited(&rules(), 404, &headers(&[("x-left", "0")])));
    }

    proptest! {
        #[test]
        fn no_header_asks_for_more_than_a_day(text in "[ -~]{0,40}|[0-9]{1,30}(\\.[0-9]+)?|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} 10:00:00 GMT") {
            let mut said = HeaderMap::new();
            said.insert("retry-after", HeaderValue::from_str(&text).unwrap());
            let wait = requested(&rules(), 429, &said, &Value::Null, NOW);
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
        }
    }
}
