//! Schedules of syncs: an interval, or a cron expression in a time zone.

mod cron;

use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use domain::Timestamp;

use self::cron::Cron;
use crate::duration;

/// A schedule: an interval, or a cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The text of the file.
    text: String,
    ticks: Ticks,
}

#[derive(Debug, Clone)]
enum Ticks {
    Every(Duration),
    Cron(Box<Cron>),
}

/// The text is not a schedule. The message says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

fn too_often(text: &str) -> ScheduleError {
    ScheduleError(format!("{text:?} is too often: 30 seconds is the least"))
}

fn no_cron(expression: &str, why: &str) -> ScheduleError {
    ScheduleError(format!(
        "{expression:?} is not a cron expression: {why}. Write five fields (minute, hour, day of month, month, day of week) or six with \
         seconds first, such as \"*/5 * * * *\"; Sunday is 0 or 7"
    ))
}

/// The shortest interval, which is Nango's limit too.
const LEAST: Duration = Duration::from_secs(30);
/// How many ticks of a cron expression with seconds are compared: two a minute for more than an hour.
const TICKS_LOOKED_AT: u32 = 150;
/// The longest interval, and the longest text of a cron expression.
const MOST: Duration = Duration::from_hours(366 * 24);
const LONGEST_EXPRESSION: usize = 255;
/// The times for which cron expressions are evaluated: a day before 1970 to a day before 2101.
const CALENDAR: std::ops::Range<Timestamp> =
    Timestamp::from_micros(-86_400_000_000)..Timestamp::from_micros(4_133_894_400_000_000);
/// The longest jitter, by which runs are spread.
const SPREAD_EVERY: Duration = Duration::from_mins(1);
const SPREAD_CRON: Duration = Duration::from_secs(30);

impl Schedule {
    /// Parses `every 5 minutes`, `5m`, `every half day`, `every week` and so on, from 30 seconds to 366 days.
    pub fn parse_every(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let length = text.strip_prefix("every ").unwrap_or(text);
        let interval = duration::parse(length).ok_or_else(|| {
            ScheduleError(format!(
                "{text:?} is not an interval: write \"every 5 minutes\" (seconds, minutes, hours, days, weeks), \"every hour\", \"every \
                 day\", \"every week\", \"every month\" (30 days), \"every half day\", \"every half hour\" or \"every quarter hour\""
            ))
        })?;
        if interval < LEAST {
            return Err(too_often(text));
        }
        if interval > MOST {
            return Err(ScheduleError(format!(
                "{text:?} is too seldom: 366 days is the most"
            )));
        }
        Ok(Self {
            text: text.to_owned(),
            ticks: Ticks::Every(interval),
        })
    }

    /// Parses a cron expression of five fields (minute first) or six (second first), in an IANA time zone or UTC.
    ///
    /// As in Unix cron, Sunday is 0 or 7, and if both the day of month and the day of week are restricted, matching one of them is
    /// enough. If the hour field begins with `*`, the sync runs whenever the wall clock shows a matching time. Otherwise a time that a
    /// clock change skips runs right after the gap, and a time that is shown twice runs once.
    pub fn parse_cron(expression: &str, timezone: Option<&str>) -> Result<Self, ScheduleError> {
        let expression = expression.trim();
        if expression.len() > LONGEST_EXPRESSION {
            let why = format!("it is longer than {LONGEST_EXPRESSION} bytes");
            let shown: String = expression.chars().take(40).collect();
            return Err(no_cron(&shown, &why));
        }
        let cron = Cron::parse(expression, timezone)?;
        let zone = timezone.map(|zone| format!(" ({zone})")).unwrap_or_default();
        let text = format!("cron {expression}{zone}");
        let Some(mut last) = cron.next(DateTime::UNIX_EPOCH) else {
            return Err(ScheduleError(format!("{expression:?} never comes")));
        };
        // Three ticks in a minute are too many anyway; with two a minute, an hour of ticks shows how close they can be.
        let names_seconds = expression.split_whitespace().count() == 6;
        for _ in 0..if names_seconds { TICKS_LOOKED_AT } else { 0 } {
            let Some(next) = cron.next(last) else { break };
            if (next - last).to_std().is_ok_and(|apart| apart < LEAST) {
                return Err(too_often(expression));
            }
            last = next;
        }
        Ok(Self {
            text,
            ticks: Ticks::Cron(Box::new(cron)),
        })
    }

    /// Returns the first tick after `after`. Intervals count from `anchor`, so that missed ticks become one and the schedule does not
    /// drift.
    ///
    /// There always is a next tick, so that a wrong clock cannot end a schedule: after the year 2100 a cron expression ticks daily.
    pub fn next(&self, after: Timestamp, anchor: Timestamp) -> Timestamp {
        match &self.ticks {
            Ticks::Every(interval) => {
                let since = i128::from(after.as_micros()) - i128::from(anchor.as_micros());
                let length = i128::try_from(interval.as_micros()).unwrap_or(i128::MAX);
                let left = u64::try_from(length - since.rem_euclid(length));
                after.plus(left.map_or(*interval, Duration::from_micros))
            }
            Ticks::Cron(cron) => next_of(cron, after),
        }
    }

    /// Returns `next` plus jitter that depends only on `seed`, so that many connections do not run at once.
    ///
    /// The jitter is at most a tenth of the time to the following tick, and at most a minute (half a minute for cron).
    #[must_use]
    pub fn jittered(&self, next: Timestamp, seed: u64) -> Timestamp {
        let spread = match &self.ticks {
            Ticks::Every(interval) => (*interval / 10).min(SPREAD_EVERY),
            Ticks::Cron(cron) => (next_of(cron, next).since(next) / 10).min(SPREAD_CRON),
        };
        let spread = u64::try_from(spread.as_micros()).unwrap_or_default();
        next.plus(Duration::from_micros(mix(seed) % (spread + 1)))
    }

    /// Returns the time between two ticks; `None` for cron.
    pub fn interval(&self) -> Option<Duration> {
        match &self.ticks {
            Ticks::Every(interval) => Some(*interval),
            Ticks::Cron(_) => None,
        }
    }
}

/// Returns the first tick after `after`, or the next day outside of the calendar.
fn next_of(cron: &Cron, after: Timestamp) -> Timestamp {
    if !CALENDAR.contains(&after) {
        return after.plus(Timestamp::DAY);
    }
    cron.next(after.to_chrono())
        .map_or(after.plus(Timestamp::DAY), Timestamp::from_chrono)
}

/// Mixes the bits of a seed, so that consecutive seeds differ (the finaliser of SplitMix64).
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Schedule {
    /// Writes the text of the file: `every 5 minutes`, `cron 0 */5 * * * * (Europe/Berlin)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod transitions;
