//! The query of a list: Twilio's filters, its many date formats, and the filters that paging links repeat.

use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, NaiveTime};
use url::form_urlencoded;

use crate::dates::{DAY, day_start};

/// The seconds of a date argument, inclusive: a second, a day, a month or a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// An error in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadQuery {
    Date(String),
    PageSize(String),
    Page(String),
    TokenMissing,
    Retention,
}

/// The parsed query of `Messages.json`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListQuery {
    pub(crate) to: Option<String>,
    pub(crate) from: Option<String>,
    /// Inclusive seconds; `None` without a date filter.
    pub(crate) sent: Option<Period>,
    pub(crate) page_size: u32,
    pub(crate) page: u64,
    pub(crate) token: Option<String>,
    /// Every filter, encoded, each followed by `&`.
    pub(crate) echo: String,
}

impl ListQuery {
    /// Parses a raw query string. `oldest` is the first second within the retention.
    pub(crate) fn parse(raw: &str, time_ignored: bool, oldest: i64) -> Result<Self, BadQuery> {
        let mut query = Self {
            page_size: 50,
            ..Self::default()
        };
        let (mut equal, mut before, mut after) = (None, None, None);
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            match name.as_ref() {
                "PageSize" => query.page_size = page_size(&value)?,
                "Page" => query.page = page(&value)?,
                "PageToken" => query.token = Some(value.into_owned()),
                _ => {
                    match name.as_ref() {
                        "To" => query.to = given(&value),
                        "From" => query.from = given(&value),
                        "DateSent" => equal = date(&value)?,
                        "DateSent<" => before = date(&value)?,
                        "DateSent>" => after = date(&value)?,
                        // Twilio ignores unknown filters.
                        _ => {}
                    }
                    query.echo(&name, &value);
                }
            }
        }
        query.sent = combine(equal, before, after, time_ignored);
        if let Some(sent) = query.sent {
            let open = equal.is_none() && after.is_none();
            if sent.last < oldest || (!open && sent.first < oldest) {
                return Err(BadQuery::Retention);
            }
        }
        if query.page > 0 && query.token.is_none() {
            return Err(BadQuery::TokenMissing);
        }
        Ok(query)
    }

    fn echo(&mut self, name: &str, value: &str) {
        self.echo.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.echo.push('=');
        self.echo
            .extend(form_urlencoded::byte_serialize(value.as_bytes()));
        self.echo.push('&');
    }
}

fn given(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn page(value: &str) -> Result<u64, BadQuery> {
    value.trim().parse().map_err(|_| BadQuery::Page(value.to_owned()))
}

/// 1 to 1000.
pub(crate) fn page_size(value: &str) -> Result<u32, BadQuery> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|size| (1..=1000).contains(size))
        .ok_or_else(|| BadQuery::PageSize(value.to_owned()))
}

fn combine(
    equal: Option<Period>,
    before: Option<Period>,
    after: Option<Period>,
    time_ignored: bool,
) -> Option<Period> {
    if equal.is_none() && before.is_none() && after.is_none() {
        return None;
    }
    let mut whole = Period {
        first: i64::MIN,
        last: i64::MAX,
    };
    if let Some(equal) = equal {
        // Twilio's examples and SDKs send a day as its midnight, so equality never means one second.
        whole = widen(equal, true);
    }
    if let Some(after) = after {
        whole.first = whole.first.max(widen(after, time_ignored).first);
    }
    if let Some(before) = before {
        whole.last = whole.last.min(widen(before, time_ignored).last);
    }
    Some(whole)
}

fn widen(period: Period, whole_days: bool) -> Period {
    if !whole_days {
        return period;
    }
    Period {
        first: day_start(period.first),
        last: day_start(period.last) + DAY - 1,
    }
}

fn date(value: &str) -> Result<Option<Period>, BadQuery> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    period(value)
        .map(Some)
        .ok_or_else(|| BadQuery::Date(value.to_owned()))
}

/// Parses a year, month or day; ISO 8601 with `T` or a space, with or without fraction and zone; RFC 2822; and
/// `06/11/2019 22:05:25 MST`.
fn period(value: &str) -> Option<Period> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 4 && value.len() <= 10 {
        return bare_date(value);
    }
    let moment = if value.contains(',') {
        DateTime::parse_from_rfc2822(value).ok()?.timestamp()
    } else if value.contains('/') {
        american(value)?
    } else {
        iso(value)?
    };
    Some(Period {
        first: moment,
        last: moment,
    })
}

fn bare_date(value: &str) -> Option<Period> {
    let days = |first: NaiveDate, next: NaiveDate| Period {
        first: first.and_time(NaiveTime::MIN).and_utc().timestamp(),
        last: next.and_time(NaiveTime::MIN).and_utc().timestamp() - 1,
    };
    if value.len() == 10 {
        let day = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
        return Some(days(day, day.succ_opt()?));
    }
    if value.len() == 7 {
        let month = NaiveDate::parse_from_str(&format!("{value}-01"), "%Y-%m-%d").ok()?;
        return Some(days(month, month.checked_add_months(Months::new(1))?));
    }
    if value.len() == 4 {
        let year = NaiveDate::parse_from_str(&format!("{value}-01-01"), "%Y-%m-%d").ok()?;
        return Some(days(year, year.checked_add_months(Months::new(12))?));
    }
    None
}

fn iso(value: &str) -> Option<i64> {
    if let Some(naive) = value.strip_suffix('Z').or(Some(value)).and_then(naive_iso) {
        return Some(naive.and_utc().timestamp());
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f %z",
    ]
    .iter()
    .find_map(|format| DateTime::parse_from_str(value, format).ok())
    .map(|moment| moment.timestamp())
}

fn naive_iso(value: &str) -> Option<NaiveDateTime> {
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())
}

fn american(value: &str) -> Option<i64> {
    let (rest, zone) = value.rsplit_once(' ')?;
    let hours = match zone {
        "UTC" | "GMT" => 0,
        "EDT" => 4,
        "EST" | "CDT" => 5,
        "CST" | "MDT" => 6,
        "MST" | "PDT" => 7,
        "PST" => 8,
        _ => return None,
    };
    let local = NaiveDateTime::parse_from_str(rest, "%m/%d/%Y %H:%M:%S").ok()?;
    Some(local.and_utc().timestamp() + hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    #[test]
    fn every_date_format_is_accepted() {
        let moment = seconds("2019-06-12T05:05:25Z");
        for spelling in [
            "2019-06-12T05:05:25Z",
            "2019-06-12 05:05:25Z",
            "2019-06-12 05:05:25.000",
            "2019-06-12T05:05:25.123Z",
            "2019-06-12T07:05:25+02:00",
            "Wed, 12 Jun 2019 05:05:25 +0000",
            "Wed, 12 Jun 2019 05:05:25 -0000",
            "06/11/2019 22:05:25 MST",
        ] {
            assert_eq!(
                period(spelling),
                Some(Period {
                    first: moment,
                    last: moment
                }),
                "{spelling}"
            );
        }
        let day = Period {
            first: seconds("2019-06-12T00:00:00Z"),
            last: seconds("2019-06-12T23:59:59Z"),
        };
        assert_eq!(period("2019-06-12"), Some(day));
        assert_eq!(period("2019-12").unwrap().last, seconds("2019-12-31T23:59:59Z"));
        assert_eq!(period("2019").unwrap().last, seconds("2019-12-31T23:59:59Z"));
        for garbage in [
            "yesterday",
            ">=2019-06-12",
            "2019-13-01",
            "2019-02-30",
            "20190612",
            "12",
        ] {
            assert_eq!(period(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn paging_links_repeat_encoded_filters_but_not_paging_parameters() {
        let raw = "DateSent%3E=2026-01-01&PageSize=7&To=%2B15551234&Colour=blue";
        let query = ListQuery::parse(raw, false, 0).unwrap();
        assert_eq!(query.echo, "DateSent%3E=2026-01-01&To=%2B15551234&Colour=blue&");
        assert_eq!(query.page_size, 7);
    }
}
