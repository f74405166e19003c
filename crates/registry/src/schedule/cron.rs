//! Cron expressions in a time zone.
//!
//! The `cron` crate parses expressions and walks the calendar. This module adds Unix numbers for days of the week, the or-rule between
//! the two day fields, and clock changes. It therefore gives the crate wall time as if that were UTC. `croner` handles clock changes
//! itself, but by another rule for lists and steps of hours.

use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::{ScheduleError, no_cron};

#[derive(Debug, Clone)]
pub(super) struct Cron {
    /// One calendar, or two of which one must match: by day of month and by day of week.
    calendars: Vec<cron::Schedule>,
    zone: Tz,
    /// The hour field begins with `*`, so that each matching wall time ticks, even if the clock shows it twice.
    every_hour: bool,
}

impl Cron {
    pub(super) fn parse(expression: &str, timezone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone = timezone.unwrap_or("UTC");
        let zone = Tz::from_str(zone).map_err(|_| {
            ScheduleError(format!(
                "{zone:?} is not a time zone: write an IANA name, such as Europe/Berlin or UTC"
            ))
        })?;
        let wrong = |why: String| no_cron(expression, &why);
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let (second, [minute, hour, day, month, weekday]) = match *fields.as_slice() {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
            [second, minute, hour, day, month, weekday] => (second, [minute, hour, day, month, weekday]),
            _ => return Err(wrong(format!("it has {} fields", fields.len()))),
        };
        let weekdays = translate_weekdays(weekday).map_err(&wrong)?;
        let days = if any(day) || any(weekday) {
            vec![(day, weekdays.as_str())]
        } else {
            vec![(day, "*"), ("*", weekdays.as_str())]
        };
        let calendars = days
            .into_iter()
            .map(|(day, weekday)| {
                cron::Schedule::from_str(&format!("{second} {minute} {hour} {day} {month} {weekday}"))
                    .map_err(|error| wrong(error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            calendars,
            zone,
            every_hour: any(hour),
        })
    }

    /// Returns the first tick after `after`; `None` after the year 2100, where the `cron` crate's calendar ends.
    ///
    /// If the hour field begins with `*`, a matching wall time ticks each time that the clock shows it. Otherwise each matching wall
    /// time ticks once: the first time that it is shown, or at the end of the gap that skips it.
    pub(super) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = after.with_timezone(&self.zone).naive_local();
        let ahead = self
            .walls(wall)
            .find_map(|wall| self.instants(wall).into_iter().flatten().find(|at| *at > after));
        // If the clock is about to be set back, wall times that were shown already are shown again.
        let again = match self.zone.from_local_datetime(&wall) {
            LocalResult::Ambiguous(first, second) if self.every_hour && first == after => {
                self.walls(wall - (second - first)).find_map(|wall| {
                    let second = self.zone.from_local_datetime(&wall).latest()?.to_utc();
                    Some(second).filter(|at| *at > after)
                })
            }
            _ => None,
        };
        ahead.into_iter().chain(again).min()
    }

    /// Returns the ticks after `wall`, in wall time.
    fn walls(&self, wall: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let mut iterators: Vec<_> = self
            .calendars
            .iter()
            .map(|calendar| calendar.after_owned(wall.and_utc()).peekable())
            .collect();
        std::iter::from_fn(move || {
            let first = iterators
                .iter_mut()
                .filter_map(|iterator| iterator.peek().copied())
                .min()?;
            for iterator in &mut iterators {
                iterator.next_if_eq(&first);
            }
            Some(first.naive_utc())
        })
    }

    /// Returns when a tick at the wall time `wall` happens, in order.
    fn instants(&self, wall: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(at) => [Some(at.to_utc()), None],
            LocalResult::Ambiguous(first, second) => {
                [Some(first.to_utc()), self.every_hour.then(|| second.to_utc())]
            }
            LocalResult::None if self.every_hour => [None, None],
            LocalResult::None => {
                let end = GapInfo::new(&wall, &self.zone).and_then(|gap| gap.end);
                [end.map(|at| at.to_utc()), None]
            }
        }
    }
}

/// Whether a field is unrestricted by cron's rule: it begins with `*` or is `?`.
fn any(field: &str) -> bool {
    field.starts_with('*') || field == "?"
}

/// Converts the day-of-week field to the `cron` crate's numbers, in which Sunday is 1.
fn translate_weekdays(field: &str) -> Result<String, String> {
    if field == "*" || field == "?" {
        return Ok("*".to_owned());
    }
    let mut days = Vec::new();
    for item in field.split(',') {
        let (range, step) = item
            .split_once('/')
            .map_or((item, None), |(range, step)| (range, Some(step)));
        let stride = match step.map(str::parse::<usize>) {
            None => 1,
            Some(Ok(stride @ 1..=7)) => stride,
            Some(_) => return Err(format!("{item:?} steps by none of 1 to 7 days")),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (weekday(from)?, weekday(to)?),
            None if range == "*" => (0, 6),
            None if step.is_some() => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        if from > to {
            return Err(format!(
                "{item:?} runs backwards; the week begins with Sunday, which may also be written 7"
            ));
        }
        days.extend((from..=to).step_by(stride).map(|day| (day % 7 + 1).to_string()));
    }
    Ok(days.join(","))
}

/// Parses a day of the week as 0 to 7; both are Sunday.
fn weekday(text: &str) -> Result<u8, String> {
    let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let named = names
        .iter()
        .zip(0..)
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, day)| day);
    named
        .or_else(|| text.parse().ok().filter(|day| *day <= 7))
        .ok_or_else(|| format!("{text:?} is not a day of the week: write 0 to 7 or sun to sat"))
}
