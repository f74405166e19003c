//! Formats times for a terminal. In a pipe they stay as the API writes them: ISO 8601, in UTC.

use domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Parses a whole ISO 8601 time.
fn parse(text: &str) -> Option<Timestamp> {
    // Other text is not a time, even if it could be parsed as one.
    let shape = text.len() >= "2026-11-21T10:00:00Z".len() && text.get(10..11) == Some("T");
    text.parse().ok().filter(|_| shape)
}

/// Writes `2026-11-21T10:00:00.000001Z` as `2026-11-21 10:00:00Z`. Any other text stays unchanged.
pub(crate) fn absolute(text: &str) -> String {
    match parse(text) {
        Some(time) => {
            let whole: String = time.to_string().chars().take(19).collect();
            format!("{}Z", whole.replace('T', " "))
        }
        None => text.to_owned(),
    }
}

/// Writes the time of day, `10:00:00Z`. Any other text stays unchanged.
pub(crate) fn time_of_day(text: &str) -> String {
    match parse(text) {
        Some(time) => {
            let time = time.to_string();
            format!("{}Z", time.chars().skip(11).take(8).collect::<String>())
        }
        None => text.to_owned(),
    }
}

/// Writes the distance of a time from `now`, such as `3 min ago` or `in 2 h`; after some months, the date.
pub(crate) fn relative(text: &str, now: Timestamp) -> String {
    let Some(time) = parse(text) else {
        return text.to_owned();
    };
    let seconds = now.since(time).max(time.since(now)).as_secs();
    let distance = match seconds {
        0..5 => return "now".to_owned(),
        far @ ..MINUTE => format!("{far} s"),
        far @ ..HOUR => format!("{} min", far / MINUTE),
        far if far < 2 * DAY => format!("{} h", far / HOUR),
        far if far < 90 * DAY => format!("{} days", far / DAY),
        _ => return absolute(text).chars().take(10).collect(),
    };
    if time > now {
        format!("in {distance}")
    } else {
        format!("{distance} ago")
    }
}

/// Writes both: `2026-11-21 10:00:00Z (3 min ago)`.
pub(crate) fn both(text: &str, now: Timestamp) -> String {
    match parse(text) {
        Some(_) => format!("{} ({})", absolute(text), relative(text, now)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_relative_to_now_and_other_text_stays() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (time, shown) in [
            ("2026-11-29T11:59:58Z", "now"),
            ("2026-11-29T11:59:30Z", "30 s ago"),
            ("2026-11-29T12:04:00.5Z", "in 4 min"),
            ("2026-11-28T13:00:00Z", "23 h ago"),
            ("2026-11-20T12:00:00+00:00", "9 days ago"),
            ("2025-11-20T12:00:00Z", "2025-11-20"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(relative(time, now), shown);
        }
        assert_eq!(absolute("2026-11-21T10:00:00.5Z"), "2026-11-21 10:00:00Z");
        assert_eq!(absolute("To be or not"), "To be or not");
        assert_eq!(time_of_day("2026-11-21T10:00:00.5Z"), "10:00:00Z");
        assert_eq!(time_of_day("To be or not"), "To be or not");
        assert_eq!(
            both("2026-11-29T11:00:00Z", now),
            "2026-11-29 11:00:00Z (1 h ago)"
        );
    }
}
