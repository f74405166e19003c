//! `…/Usage/Records*`: usage and its cost, as a pure function of the seed, the day and the category.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde_json::{Value, json};

use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::random::{below, draw, mix};
use crate::shared::Shared;

/// The number of days with usage.
const HISTORY: u64 = 400;

/// A category with daily counts.
struct Counted {
    name: &'static str,
    description: &'static str,
    count_unit: &'static str,
    usage_unit: &'static str,
    /// The maximum count of a day.
    busiest: u64,
    /// Hundred-thousandths of a dollar each.
    each: u64,
}

const COUNTED: [Counted; 5] = [
    counted("sms-outbound", "Outbound SMS", "messages", "segments", 900, 790),
    counted("sms-inbound", "Inbound SMS", "messages", "segments", 300, 750),
    counted("mms-outbound", "Outbound MMS", "messages", "messages", 40, 2000),
    counted(
        "calls-outbound",
        "Outbound Voice Minutes",
        "calls",
        "minutes",
        60,
        1400,
    ),
    counted(
        "verify-push",
        "Verify Push",
        "verifications",
        "verifications",
        20,
        5000,
    ),
];

/// Total categories: the sum of all counted categories with this prefix.
const SUMS: [(&str, &str, &str); 4] = [
    ("sms", "SMS", "sms-"),
    ("mms", "MMS", "mms-"),
    ("calls", "Voice Minutes", "calls-"),
    ("totalprice", "Total Price", ""),
];

const fn counted(
    name: &'static str,
    description: &'static str,
    count_unit: &'static str,
    usage_unit: &'static str,
    busiest: u64,
    each: u64,
) -> Counted {
    Counted {
        name,
        description,
        count_unit,
        usage_unit,
        busiest,
        each,
    }
}

/// Days, both ends included.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: NaiveDate,
    last: NaiveDate,
}

impl Span {
    fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }

    fn within(self, other: Self) -> Option<Self> {
        let both = Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        };
        (both.first <= both.last).then_some(both)
    }
}

/// Returns the records of all time, or of `period`: a span (`Today`, `LastMonth`…) or a step (`Daily`, `Monthly`, `Yearly`).
pub(crate) fn records(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    period: Option<&str>,
) -> Result<ApiResponse, ApiError> {
    let today = shared.clock.now().date_naive();
    let wanted = request.parameter("Category").filter(|name| !name.is_empty());
    let known = || {
        COUNTED
            .iter()
            .map(|counted| counted.name)
            .chain(SUMS.map(|(name, ..)| name))
    };
    if let Some(name) = wanted.as_deref()
        && known().all(|category| category != name)
    {
        return Err(ApiError::bad(20001, format!("Invalid Category '{name}'")));
    }
    let spans = spans(request, period, today)?.ok_or_else(|| ApiError::not_found(&request.path))?;
    let (store, _) = shared.read_of(account);
    let seed = store.planner.seed;
    drop(store);
    let as_of = shared.clock.now().format("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let records = spans
        .into_iter()
        .flat_map(|span| known().map(move |category| (span, category)))
        .filter(|(_, category)| wanted.as_deref().is_none_or(|wanted| wanted == *category))
        .map(|(span, category)| record(seed, account, request, &as_of, span, category))
        .collect();
    page::flat(shared, request, "usage_records", records)
}

/// Returns the spans of the records, newest first; `None` for an unknown period.
fn spans(
    request: &ApiRequest,
    period: Option<&str>,
    today: NaiveDate,
) -> Result<Option<Vec<Span>>, ApiError> {
    let oldest = today - Days::new(HISTORY);
    let month = first_of_month(today);
    let whole = Span {
        first: oldest,
        last: today,
    };
    let asked = Span {
        first: date(request, "StartDate", today)?.unwrap_or(oldest),
        last: date(request, "EndDate", today)?.unwrap_or(today),
    };
    let one = |first: NaiveDate, last: NaiveDate| vec![Span { first, last }];
    let spans = match period {
        None => vec![asked],
        Some("AllTime") => vec![whole],
        Some("Today") => one(today, today),
        Some("Yesterday") => one(today - Days::new(1), today - Days::new(1)),
        Some("ThisMonth") => one(month, today),
        Some("LastMonth") => one(month - Months::new(1), month - Days::new(1)),
        Some("Daily") => return Ok(Some(steps(asked, whole, |day| (day, day)))),
        Some("Monthly") => {
            return Ok(Some(steps(asked, whole, |day| {
                let first = first_of_month(day);
                (first, first + Months::new(1) - Days::new(1))
            })));
        }
        Some("Yearly") => {
            return Ok(Some(steps(asked, whole, |day| {
                let first = day.with_ordinal(1).unwrap_or(day);
                (first, first + Months::new(12) - Days::new(1))
            })));
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(
        spans.into_iter().filter_map(|span| span.within(whole)).collect(),
    ))
}

/// Splits `asked` at the ends of the periods that `around` returns for a day.
fn steps(asked: Span, whole: Span, around: impl Fn(NaiveDate) -> (NaiveDate, NaiveDate)) -> Vec<Span> {
    let Some(asked) = asked.within(whole) else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    let mut last = asked.last;
    while last >= asked.first {
        let (first, _) = around(last);
        let first = first.max(asked.first);
        spans.push(Span { first, last });
        last = first - Days::new(1);
    }
    spans
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// Parses `2026-01-31`, or days from today such as `-30days`.
fn date(request: &ApiRequest, name: &str, today: NaiveDate) -> Result<Option<NaiveDate>, ApiError> {
    let Some(text) = request.parameter(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let relative = text
        .strip_suffix("days")
        .and_then(|days| days.trim().parse::<i32>().ok())
        .and_then(|days| {
            let distance = Days::new(u64::from(days.unsigned_abs()));
            if days < 0 {
                today.checked_sub_days(distance)
            } else {
                today.checked_add_days(distance)
            }
        });
    relative
        .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok())
        .map(Some)
        .ok_or_else(|| ApiError::bad(20001, format!("Invalid {name} value: '{text}'")))
}

fn used(seed: u64, counted: &Counted, day: NaiveDate) -> u64 {
    let salt = counted
        .name
        .bytes()
        .fold(0x5A6E, |salt, byte| mix(salt ^ u64::from(byte)));
    let subject = u64::try_from(day.num_days_from_ce()).unwrap_or(0);
    below(draw(seed, subject, salt), counted.busiest)
}

fn record(seed: u64, account: &str, request: &ApiRequest, as_of: &str, span: Span, category: &str) -> Value {
    let sum = SUMS.iter().find(|(name, ..)| *name == category);
    let parts: Vec<_> = COUNTED
        .iter()
        .filter(|counted| match sum {
            Some((_, _, start)) => counted.name.starts_with(start),
            None => counted.name == category,
        })
        .collect();
    let (mut count, mut price) = (0, 0);
    for day in span.days() {
        for part in &parts {
            let today = used(seed, part, day);
            count += today;
            price += today * part.each;
        }
    }
    let dollars = format!("{}.{:05}", price / 100_000, price % 100_000);
    let dollars = dollars.parse::<f64>().unwrap_or(0.0);
    let total = category == "totalprice";
    let unit = |of: fn(&Counted) -> &'static str| parts.first().map_or("", |part| of(part));
    let (first, last) = (span.first.to_string(), span.last.to_string());
    json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "as_of": as_of,
        "category": category,
        "count": if total { String::new() } else { count.to_string() },
        "count_unit": if total { "" } else { unit(|part| part.count_unit) },
        "description": sum.map_or_else(|| unit(|part| part.description), |(_, description, _)| description),
        "start_date": first,
        "end_date": last,
        "price": dollars,
        "price_unit": "usd",
        "usage": if total { dollars.to_string() } else { count.to_string() },
        "usage_unit": if total { "usd" } else { unit(|part| part.usage_unit) },
        "subresource_uris": {},
        "uri": format!("{}?Category={category}&StartDate={first}&EndDate={last}", request.path),
    })
}
