//! Points in time in UTC, to the microsecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time in UTC, stored as microseconds since 1970.
///
/// Written `2026-11-21T10:00:00.000000Z` (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is neither an RFC 3339 time nor a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time in ISO 8601, such as 2026-11-21T10:00:00Z or 2026-11-21")]
pub struct ParseTimestampError;

impl Timestamp {
    /// Parses a time from an address or a command line. A plus sign that was not encoded in an address arrives as a space and is
    /// restored.
    pub fn from_parameter(text: &str) -> Result<Self, ParseTimestampError> {
        text.parse().or_else(|error| match text.rsplit_once(' ') {
            Some((time, offset)) => format!("{time}+{offset}").parse(),
            None => Err(error),
        })
    }

    /// One second.
    pub const SECOND: Duration = Duration::from_secs(1);
    /// One day of UTC.
    pub const DAY: Duration = Duration::from_hours(24);
    /// How far the clocks of two machines may differ. A stored time that is further ahead was written by a wrong clock.
    pub const CLOCK_SKEW: Duration = Duration::from_mins(1);

    /// Converts microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Converts chrono's type, truncated to microseconds.
    pub fn from_chrono(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }

    /// Returns chrono's type; a time outside chrono's range (year ±262 000) becomes the epoch.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// Returns the moment `duration` later, or the last one that a timestamp can hold.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(whole_micros(duration)))
    }

    /// Returns the moment `duration` earlier, or the first one that a timestamp can hold.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(whole_micros(duration)))
    }

    /// Returns the time that has passed from `earlier` to this moment; zero if `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Duration {
        if earlier.0 > self.0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.0.abs_diff(earlier.0))
    }

    /// Whether at least `interval` has passed from `last` to this moment.
    ///
    /// Also true if `last` is later by more than [`Timestamp::CLOCK_SKEW`]: a wrong clock wrote it, and waiting for it could take years.
    pub fn has_elapsed(self, interval: Duration, last: Self) -> bool {
        if last <= self {
            self.since(last) >= interval
        } else {
            last.since(self) > Self::CLOCK_SKEW
        }
    }

    /// Returns this moment rounded down to a whole number of `unit`s since 1970.
    #[must_use]
    pub fn floor_to(self, unit: Duration) -> Self {
        let unit = i64::try_from(whole_micros(unit)).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(unit).saturating_mul(unit))
    }
}

#[expect(
    clippy::as_conversions,
    reason = "`u64::from` is not const; a u32 always fits"
)]
const fn whole_micros(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(duration.subsec_micros() as u64)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.to_chrono();
        let Some(year) = u32::try_from(time.year()).ok().filter(|year| *year <= 9_999) else {
            return f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        };
        // chrono's own formatting allocates, and a page of records has hundreds of times.
        write!(f, "{year:04}-{:02}-{:02}T", time.month(), time.day())?;
        write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match time.timestamp_subsec_micros() {
            0 => f.write_str("Z"),
            micros if micros % 1_000 == 0 => write!(f, ".{:03}Z", micros / 1_000),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::from_chrono(time.with_timezone(&Utc)));
        }
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| ParseTimestampError)?;
        let midnight = date.and_hms_opt(0, 0, 0).ok_or(ParseTimestampError)?;
        Ok(Self::from_chrono(midnight.and_utc()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_chrono_writes_it() {
        for micros in [
            0,
            1,
            999_999,
            120_000,
            1_795_255_200_000_000,
            1_795_255_200_123_000,
            1_795_255_200_123_456,
            // The last moments of 1969, of a leap day, and of the year 9999; the year 10000; the years 0 and -1.
            -1,
            951_868_799_999_999,
            253_402_300_799_999_999,
            253_402_300_800_000_000,
            -62_167_219_200_000_000,
            -62_167_219_200_000_001,
            i64::MAX,
            i64::MIN,
        ] {
            let time = Timestamp::from_micros(micros);
            let by_chrono = time.to_chrono().to_rfc3339_opts(SecondsFormat::AutoSi, true);
            assert_eq!(time.to_string(), by_chrono, "{micros}");
        }
    }

    #[test]
    fn a_plus_sign_that_was_decoded_as_a_space_is_accepted() {
        let time: Timestamp = "2026-01-01T02:00:00+02:00".parse().unwrap();
        for text in [
            "2026-01-01T02:00:00 02:00",
            "2026-01-01T02:00:00+02:00",
            "2026-01-01 02:00:00 02:00",
            "2026-01-01 02:00:00+02:00",
            "2026-01-01T00:00:00Z",
            "2026-01-01",
        ] {
            assert_eq!(Timestamp::from_parameter(text), Ok(time), "{text}");
        }
        for text in [
            "",
            " ",
            "2026-01-01 ",
            "now",
            "2026-01-01T02:00:00  02:00",
            "2026-01-01T02:00:00 0200x",
        ] {
            assert!(Timestamp::from_parameter(text).is_err(), "{text}");
        }
    }
}
