//! The formats in which providers write dates.

use chrono::{DateTime, NaiveDate, Utc};

use crate::Timestamp;

/// Whether the time is in the years 1 to 9999, which both databases and all clients support.
pub(super) fn storable(time: Timestamp) -> bool {
    (-62_135_596_800_000_000..=253_402_300_799_999_999).contains(&time.as_micros())
}

/// Parses `Fri, 24 May 2019 17:44:50 +0000` by hand, since a page of records may have thousands of them, and other forms by chrono.
pub(super) fn rfc2822(text: &str) -> Option<Timestamp> {
    fixed_rfc2822(text).or_else(|| {
        // UTC is not a zone of the RFC, but many programs write it.
        let text = text
            .strip_suffix("UTC")
            .map(|date| format!("{date}GMT"))
            .unwrap_or(text.to_owned());
        DateTime::parse_from_rfc2822(&text)
            .ok()
            .map(|time| Timestamp::from_chrono(time.with_timezone(&Utc)))
    })
}

pub(super) fn fixed_rfc2822(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        " Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ", " Jul ", " Aug ", " Sep ", " Oct ", " Nov ",
        " Dec ",
    ];
    let date = text.get(3..)?.strip_prefix(", ")?.strip_suffix(" +0000")?;
    let mut rest = Rest(date);
    let day = rest.number(2)?;
    let (month, after) = rest.0.split_at_checked(5)?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    rest.0 = after;
    let date = NaiveDate::from_ymd_opt(i32::try_from(rest.number(4)?).ok()?, month, day)?;
    rest.0 = rest.0.strip_prefix(' ')?;
    let hour = rest.number(2)?;
    rest.0 = rest.0.strip_prefix(':')?;
    let minute = rest.number(2)?;
    rest.0 = rest.0.strip_prefix(':')?;
    let time = date.and_hms_opt(hour, minute, rest.number(2)?)?;
    rest.0.is_empty().then(|| Timestamp::from_chrono(time.and_utc()))
}

/// Parses `2023-10-06T23:47:56.678Z` and variants: only the date, a space or a lower-case letter instead of `T`, a comma instead of the
/// point, no seconds, a fraction of any length, which is truncated to microseconds, and an offset as `Z`, `UTC`, `+00`, `+0000` or
/// `+00:00`.
///
/// Without an offset the time is UTC. A leap second becomes the second after it.
pub(super) fn iso8601(text: &str) -> Option<Timestamp> {
    let mut rest = Rest(text.trim());
    let year = i32::try_from(rest.number(4)?).ok()?;
    let dashes = rest.skip('-');
    let month = rest.number(2)?;
    if dashes && !rest.skip('-') {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(year, month, rest.number(2)?)?;
    let midnight = Timestamp::from_chrono(date.and_hms_opt(0, 0, 0)?.and_utc());
    if rest.0.is_empty() {
        return Some(midnight);
    }
    if !rest.skip('T') && !rest.skip('t') {
        let spaceless = rest.0.trim_start();
        if spaceless.len() == rest.0.len() {
            return None;
        }
        rest.0 = spaceless;
    }
    let (hour, colons) = (rest.number(2)?, rest.skip(':'));
    let minute = rest.number(2)?;
    let second = if colons == rest.skip(':') && (colons || rest.digits() > 0) {
        rest.number(2)?
    } else {
        0
    };
    let micros = rest.fraction()?;
    let offset = rest.offset()?;
    // The end of a day may be written as 24:00.
    let end_of_day = hour == 24 && minute == 0 && second == 0 && micros == 0;
    if hour > 23 && !end_of_day || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second) - offset;
    Some(Timestamp::from_micros(
        midnight.as_micros() + seconds * 1_000_000 + micros,
    ))
}

/// The rest of a time that is being parsed.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, character: char) -> bool {
        let rest = self.0.strip_prefix(character);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn digits(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }

    /// Reads a number of exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| number.parse().ok())?
    }

    /// Reads the microseconds after a point or comma; 0 if there is none.
    fn fraction(&mut self) -> Option<i64> {
        if !self.skip('.') && !self.skip(',') {
            return Some(0);
        }
        let (digits, rest) = self.0.split_at_checked(self.digits())?;
        self.0 = rest;
        let micros: String = digits.chars().chain("000000".chars()).take(6).collect();
        (!digits.is_empty()).then(|| micros.parse().ok())?
    }

    /// Reads the offset from UTC, which ends the text, in seconds.
    fn offset(&mut self) -> Option<i64> {
        self.0 = self.0.trim_start();
        if matches!(self.0, "" | "Z" | "z" | "UTC" | "utc" | "GMT") {
            return Some(0);
        }
        let east = if self.skip('+') {
            1
        } else if self.skip('-') || self.skip('\u{2212}') {
            -1
        } else {
            return None;
        };
        let hours = self.number(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.skip(':');
            self.number(2)?
        };
        let valid = self.0.is_empty() && hours < 24 && minutes < 60;
        valid.then(|| east * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        iso8601(text).map(|time| time.to_string())
    }

    #[test]
    fn times_are_read_in_all_their_forms() {
        for text in [
            "2023-10-06T23:47:56.678Z",
            "2023-10-06 23:47:56.678+00",
            "2023-10-06T23:47:56.678+0000",
            "2023-10-06t23:47:56.678z",
            "2023-10-06 23:47:56,678",
            "2023-10-06 23:47:56.678 UTC",
            "2023-10-06  23:47:56.678 +00:00",
            "20231006T234756.678Z",
            "2023-10-07T01:17:56.678+01:30",
            "2023-10-06T15:47:56.678-0800",
            "2023-10-06T15:47:56.678\u{2212}08",
            " 2023-10-06T23:47:56.67800000000000000000009Z ",
        ] {
            assert_eq!(read(text).as_deref(), Some("2023-10-06T23:47:56.678Z"), "{text}");
        }
        for (text, time) in [
            ("2023-10-06", "2023-10-06T00:00:00Z"),
            ("2023-10-06T23:47", "2023-10-06T23:47:00Z"),
            ("2023-10-06T23:47Z", "2023-10-06T23:47:00Z"),
            ("2023-10-06T2347+02", "2023-10-06T21:47:00Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2016-12-31T24:00:00Z", "2017-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(time), "{text}");
        }
    }

    #[test]
    fn an_invalid_time_is_none() {
        for text in [
            "",
            "soon",
            "2023",
            "2023-13-01",
            "2023-02-30",
            "2023-10-06T",
            "2023-10-06T24:00:01Z",
            "2023-10-06T23:60:00Z",
            "2023-10-06T23:47:61Z",
            "2023-10-06T23:47:56.Z",
            "2023-10-06T23:47:56+25",
            "2023-10-06T23:47:56 Europe/Berlin",
            "2023-10-06X23:47:56",
            "2023-1006",
            "1700000000",
            "+12023-10-06",
            "2023-10-06T23:47:56Zé",
            "2023-1\u{e9}-06",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_leap_second_in_a_mail_date_is_read() {
        let time = rfc2822("Sat, 31 Dec 2016 23:59:60 +0000");
        assert_eq!(
            time.map(|time| time.to_string()).as_deref(),
            Some("2017-01-01T00:00:00Z")
        );
    }
}
