//! Writes dates like Twilio's 2010 API (RFC 2822, two-digit days). A general formatter is too slow: a page has 3,000 dates.

/// Seconds in a UTC day.
pub(crate) const DAY: i64 = 86_400;

const WEEKDAYS: [&[u8; 5]; 7] = [
    b"Thu, ", b"Fri, ", b"Sat, ", b"Sun, ", b"Mon, ", b"Tue, ", b"Wed, ",
];
const MONTHS: [&[u8; 5]; 12] = [
    b" Jan ", b" Feb ", b" Mar ", b" Apr ", b" May ", b" Jun ", b" Jul ", b" Aug ", b" Sep ", b" Oct ",
    b" Nov ", b" Dec ",
];

/// Returns the first second of the UTC day of `at`.
pub(crate) fn day_start(at: i64) -> i64 {
    at.div_euclid(DAY) * DAY
}

/// Appends `Fri, 24 May 2019 17:44:50 +0000`.
pub(crate) fn write_rfc2822(out: &mut Vec<u8>, at: i64) {
    let days = at.div_euclid(DAY);
    let second = at.rem_euclid(DAY);
    let (year, month, day) = civil(days);
    if let Some(name) = usize::try_from(days.rem_euclid(7))
        .ok()
        .and_then(|index| WEEKDAYS.get(index))
    {
        out.extend_from_slice(*name);
    }
    write_two(out, day);
    if let Some(name) = usize::try_from(month - 1)
        .ok()
        .and_then(|index| MONTHS.get(index))
    {
        out.extend_from_slice(*name);
    }
    write_two(out, year / 100);
    write_two(out, year % 100);
    out.push(b' ');
    write_two(out, second / 3600);
    out.push(b':');
    write_two(out, second / 60 % 60);
    out.push(b':');
    write_two(out, second % 60);
    out.extend_from_slice(b" +0000");
}

/// Returns `2019-05-24T17:44:50Z`, the format of the product APIs.
pub(crate) fn iso8601(at: i64) -> String {
    let (year, month, day) = civil(at.div_euclid(DAY));
    let second = at.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns `Fri, 24 May 2019 17:44:50 +0000`.
pub(crate) fn rfc2822(at: i64) -> String {
    let mut out = Vec::with_capacity(31);
    write_rfc2822(&mut out, at);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_two(out: &mut Vec<u8>, value: i64) {
    let tens = u8::try_from(value / 10 % 10).unwrap_or(0);
    let ones = u8::try_from(value % 10).unwrap_or(0);
    out.push(b'0' + tens);
    out.push(b'0' + ones);
}

/// Returns year, month and day for a number of days since 1970-01-01 (proleptic Gregorian calendar, Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn dates_equal_those_of_the_general_formatter() {
        for at in (0..2_000_000_000)
            .step_by(7_777_777)
            .chain([951_782_399, 951_782_400, 1_558_719_890])
        {
            let expected = DateTime::from_timestamp(at, 0)
                .unwrap()
                .format("%a, %d %b %Y %H:%M:%S +0000")
                .to_string();
            assert_eq!(rfc2822(at), expected);
        }
        assert_eq!(iso8601(1_558_719_890), "2019-05-24T17:44:50Z");
        assert_eq!(rfc2822(1_558_719_890), "Fri, 24 May 2019 17:44:50 +0000");
    }
}
