//! Cron expressions in a time zone.
//!
//! The `cron` crate walks the calendar; what it does not do is here: Unix numbers of the days of the week, the or-rule between
//! the two day fields, and changes of clocks. It is therefore asked in wall time, as if that were UTC.

use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use domain::Timestamp;

use super::ScheduleError;

#[derive(Debug, Clone)]
pub(super) struct Cron {
    /// One, or two of which either suffices: by day of month and by day of week.
    calendars: Vec<cron::Schedule>,
    zone: Tz,
    /// The hour field begins with `*`: times that come twice count twice.
    every_hour: bool,
}

impl Cron {
    pub(super) fn parse(expression: &str, timezone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone = timezone.unwrap_or("UTC");
        let zone = Tz::from_str(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        let wrong = |why: String| ScheduleError::Cron(expression.to_owned(), why);
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

    /// The first tick strictly after `after`.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_chrono();
        let tick = self
            .walls(self.wall(after))
            .find_map(|wall| self.first_instant(wall, after));
        if !self.every_hour {
            return tick.map(Timestamp::from_chrono);
        }
        // Where the clock goes back before that tick, the wall times of the hour that comes twice tick once more.
        let back = self.offset(after) - self.offset(tick.unwrap_or(after + Duration::days(1)));
        let again = (back > Duration::zero())
            .then(|| {
                self.walls(self.wall(after) - back)
                    .find_map(|wall| self.last_instant(wall, after))
            })
            .flatten();
        [tick, again]
            .into_iter()
            .flatten()
            .min()
            .map(Timestamp::from_chrono)
    }

    /// Ticks in wall time, strictly after `wall`.
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

    /// When the wall clock shows `wall`, if that is after `after`; the end of the gap if it never does.
    fn first_instant(&self, wall: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let instant = match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.with_timezone(&Utc),
            LocalResult::None => self.gap_end(wall),
        };
        Some(instant).filter(|instant| *instant > after)
    }

    /// When the wall clock last shows `wall`, if that is after `after`.
    fn last_instant(&self, wall: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let instant = self.zone.from_local_datetime(&wall).latest()?.with_timezone(&Utc);
        Some(instant).filter(|instant| *instant > after)
    }

    /// The moment at which the clock jumps over `wall`. No gap is longer than a day (Samoa skipped one).
    fn gap_end(&self, wall: NaiveDateTime) -> DateTime<Utc> {
        let (mut before, mut behind) = (
            wall.and_utc() - Duration::days(1),
            wall.and_utc() + Duration::days(1),
        );
        let new = self.offset(behind);
        while behind - before > Duration::seconds(1) {
            let middle = before + Duration::seconds((behind - before).num_seconds() / 2);
            if self.offset(middle) == new {
                behind = middle;
            } else {
                before = middle;
            }
        }
        behind
    }

    fn wall(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.zone).naive_local()
    }

    fn offset(&self, instant: DateTime<Utc>) -> Duration {
        Duration::seconds(
            self.zone
                .offset_from_utc_datetime(&instant.naive_utc())
                .fix()
                .local_minus_utc()
                .into(),
        )
    }
}

/// Whether a field restricts nothing by cron's rule: it begins with `*` (or is `?`).
fn any(field: &str) -> bool {
    field.starts_with('*') || field == "?"
}

/// The day-of-week field in the `cron` crate's numbers, in which Sunday is 1.
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

/// 0 to 7, both ends Sunday.
fn weekday(text: &str) -> Result<u8, String> {
    let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let named = names
        .iter()
        .zip(0..)
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, day)| day);
    named
        .or_else(|| text.parse().ok().filter(|day| *day <= 7))
        .ok_or_else(|| format!("{text:?} is no day of the week: write 0 to 7 or sun to sat"))
}
