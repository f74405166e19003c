//! Lengths of time as files write them: `5 minutes`, `5m`, `half day`, `3 days`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The units in seconds. The words are Nango's; here weeks and months (30 days) may have a number too.
const UNITS: &[(&[&str], u64)] = &[
    (&["s", "sec", "secs", "second", "seconds"], 1),
    (&["m", "min", "mins", "minute", "minutes"], MINUTE),
    (&["h", "hr", "hrs", "hour", "hours"], HOUR),
    (&["d", "day", "days"], DAY),
    (&["week", "weeks"], 7 * DAY),
    (&["month", "months"], 30 * DAY),
];
const FRACTIONS: &[(&str, u64)] = &[
    ("half day", DAY / 2),
    ("half hour", HOUR / 2),
    ("quarter hour", HOUR / 4),
];

/// The longest length: a hundred years, so that adding it to a time cannot overflow.
const LONGEST: u64 = 36_525 * DAY;

/// The JSON Schema format of a length of time. The published schema does not have it.
pub(crate) const FORMAT: &str = "length-of-time";
/// The error for a text that is not a length of time.
pub(crate) const RULE: &str =
    "is not a duration: write 3 days, 12 hours or 30 minutes; the longest is 36525 days";

/// The schema of a length of time; [`read`] reads it.
#[derive(JsonSchema)]
#[schemars(inline, extend("format" = FORMAT))]
pub(crate) struct LengthOfTime(#[expect(dead_code, reason = "only its schema is used")] String);

/// Reads a duration, which may be optional.
pub(crate) fn read<'de, D: Deserializer<'de>, T: From<Duration>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(T::from).ok_or_else(|| D::Error::custom(RULE))
}

/// Parses a positive length of time such as `3 days`. Returns `None` if the text is not one or is longer than a hundred years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some((_, seconds)) = FRACTIONS.iter().find(|(words, _)| *words == text) {
        return Some(Duration::from_secs(*seconds));
    }
    let (count, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, seconds) = UNITS.iter().find(|(words, _)| words.contains(&unit))?;
    let seconds = count.checked_mul(*seconds)?;
    (1..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| parse(text).map(|length| length.as_secs());
        for (text, expected) in [
            ("5 minutes", 300),
            ("5m", 300),
            ("5 m", 300),
            ("minute", 60),
            ("hour", 3600),
            ("2hrs", 7200),
            ("half day", 43_200),
            ("half hour", 1800),
            ("quarter hour", 900),
            ("week", 604_800),
            ("2 weeks", 1_209_600),
            ("month", 2_592_000),
            ("400 days", 34_560_000),
            ("30s", 30),
            ("1 sec", 1),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for text in [
            "",
            "5",
            "five minutes",
            "5  minutes",
            "-1 day",
            "0 days",
            "1.5 hours",
            "5 minutess",
            "99999999999999999 days",
            "36526 days",
            "100000000000 seconds",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
