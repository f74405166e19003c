//! The ways in which providers write dates.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::Timestamp;

/// Both databases and every client hold the years 1 to 9999.
pub(super) fn storable(time: Timestamp) -> bool {
    (-62_135_596_800_000_000..=253_402_300_799_999_999).contains(&time.as_micros())
}

/// `Fri, 24 May 2019 17:44:50 +0000`: the fixed form by hand, which a page of records has by the thousand, others by chrono.
pub(super) fn rfc2822(text: &str) -> Option<Timestamp> {
    fixed_rfc2822(text.as_bytes()).or_else(|| {
        // UTC is no zone of the RFC, though what many programs write.
        let text = text
            .strip_suffix("UTC")
            .map(|date| format!("{date}GMT"))
            .unwrap_or(text.to_owned());
        DateTime::parse_from_rfc2822(&text)
            .ok()
            .map(|time| Timestamp::from_chrono(time.with_timezone(&Utc)))
    })
}

pub(super) fn fixed_rfc2822(text: &[u8]) -> Option<Timestamp> {
    let [
        _,
        _,
        _,
        b',',
        b' ',
        d1,
        d2,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b' ',
        b'+',
        b'0',
        b'0',
        b'0',
        b'0',
    ] = text
    else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let two = |a, b| Some(digit(a)? * 10 + digit(b)?);
    let month = match [*m1, *m2, *m3] {
        [b'J', b'a', b'n'] => 1,
        [b'F', b'e', b'b'] => 2,
        [b'M', b'a', b'r'] => 3,
        [b'A', b'p', b'r'] => 4,
        [b'M', b'a', b'y'] => 5,
        [b'J', b'u', b'n'] => 6,
        [b'J', b'u', b'l'] => 7,
        [b'A', b'u', b'g'] => 8,
        [b'S', b'e', b'p'] => 9,
        [b'O', b'c', b't'] => 10,
        [b'N', b'o', b'v'] => 11,
        [b'D', b'e', b'c'] => 12,
        _ => return None,
    };
    let year = i32::try_from(two(y1, y2)? * 100 + two(y3, y4)?).ok()?;
    let date = chrono::NaiveDate::from_ymd_opt(year, month, two(d1, d2)?)?;
    let time = date.and_hms_opt(two(h1, h2)?, two(n1, n2)?, two(s1, s2)?)?;
    Some(Timestamp::from_chrono(time.and_utc()))
}

pub(super) fn iso8601(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    // Without an offset the time is taken for UTC.
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f UTC",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    .map(|time| Timestamp::from_chrono(time.and_utc()))
}
