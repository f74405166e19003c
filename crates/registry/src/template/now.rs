//! The time in a template: `${now}`, `${now:YYYY-MM-DD}`, `${now+5:minutes:X}`.
//!
//! Formats have the letters of Day.js, as in Nango's entries: <https://day.js.org/docs/en/display/format>.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::Timestamp;

use crate::duration;

/// Letters of Day.js and chrono's equivalents. If one is the beginning of another, the longer one comes first.
const LETTERS: [(&str, &str); 24] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("DD", "%d"),
    ("D", "%-d"),
    ("dddd", "%A"),
    ("ddd", "%a"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("SSS", "%3f"),
    ("A", "%p"),
    ("a", "%P"),
    ("ZZ", "%z"),
    ("Z", "%:z"),
    ("X", "%s"),
];

/// Returns the value of the placeholder `now`, `now:FORMAT` or `now±AMOUNT:UNIT:FORMAT` at the time `now`; `None` for any other.
///
/// Without a format it is ISO 8601 in UTC with milliseconds: `2026-11-21T10:00:00.000Z`. `X` is seconds and `x` milliseconds since
/// 1970; text in `[…]` is literal.
pub fn now_value(name: &str, now: Timestamp) -> Option<String> {
    let (time, format) = parsed(name, now)?;
    let time = time.to_chrono();
    Some(match format {
        "" => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        format => formatted(&time, format),
    })
}

/// Returns the length of a placeholder's name if a format or an offset follows `now`; such a name ends only at the brace.
pub(super) fn length(text: &str) -> Option<usize> {
    let mut more = text.strip_prefix("now")?.chars();
    let goes_on = match more.next()? {
        ':' | '+' => true,
        '-' => more.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    goes_on.then(|| text.find('}').unwrap_or(text.len()))
}

/// Whether a placeholder's name is one of the time.
pub(crate) fn is_time(name: &str) -> bool {
    parsed(name, Timestamp::from_micros(0)).is_some()
}

/// Returns the time of a placeholder such as `now-1:hours`, relative to `now`, and its format.
fn parsed(name: &str, now: Timestamp) -> Option<(Timestamp, &str)> {
    let rest = name.strip_prefix("now")?;
    if rest.is_empty() {
        return Some((now, ""));
    }
    if let Some(format) = rest.strip_prefix(':') {
        return Some((now, format));
    }
    let (amount, rest) = rest.strip_prefix(['+', '-'])?.split_once(':')?;
    let (unit, format) = rest.split_once(':').unwrap_or((rest, ""));
    let shift = duration::parse(&format!("{amount} {unit}"))?;
    let time = if name.starts_with("now+") {
        now.plus(shift)
    } else {
        now.minus(shift)
    };
    Some((time, format))
}

fn formatted(time: &DateTime<Utc>, format: &str) -> String {
    let (mut out, mut rest) = (String::new(), format);
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let letters = LETTERS.iter().find_map(|(letters, chrono)| {
            rest.strip_prefix(letters)
                .map(|rest| (time.format(chrono).to_string(), rest))
        });
        rest = if let Some((text, rest)) = quoted {
            out.push_str(text);
            rest
        } else if let Some((text, rest)) = letters {
            out.push_str(&text);
            rest
        } else if let Some(rest) = rest.strip_prefix('x') {
            out.push_str(&time.timestamp_millis().to_string());
            rest
        } else {
            let mut chars = rest.chars();
            out.extend(chars.next());
            chars.as_str()
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T10:05:09.25Z, a Saturday.
    const NOW: Timestamp = Timestamp::from_micros(1_795_255_509_250_000);

    #[test]
    fn the_time_is_written_as_the_placeholder_says() {
        for (name, written) in [
            ("now", "2026-11-21T10:05:09.250Z"),
            ("now:YYYY-MM-DD", "2026-11-21"),
            ("now:YYYYMMDDTHHmmss[Z]", "20261121T100509Z"),
            ("now:YYYY-MM-DDTHH:mm:ss.SSSZ", "2026-11-21T10:05:09.250+00:00"),
            (
                "now:ddd, DD MMM YYYY HH:mm:ss ZZ",
                "Sat, 21 Nov 2026 10:05:09 +0000",
            ),
            ("now:D/M/YY h:m A", "21/11/26 10:5 AM"),
            ("now:X", "1795255509"),
            ("now:x", "1795255509250"),
            ("now+1:minutes:X", "1795255569"),
            ("now-2:days:YYYY-MM-DD", "2026-11-19"),
            ("now+1:hour", "2026-11-21T11:05:09.250Z"),
        ] {
            assert_eq!(now_value(name, NOW).as_deref(), Some(written), "{name}");
        }
    }

    #[test]
    fn an_invalid_time_is_none() {
        for name in [
            "nowhere",
            "now+1",
            "now+x:minutes:X",
            "now+1:lightyears:X",
            "apiKey",
            "now-playing",
        ] {
            assert_eq!(now_value(name, NOW), None, "{name}");
        }
    }
}
