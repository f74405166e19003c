//! Cron schedules over changes of clocks: every change of every zone from 1970 to 2037, against a walk over the minutes of UTC that
//! states the promised rule.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::cron::Cron;

/// A change of the offset of a zone from UTC.
#[derive(Debug, Clone, Copy)]
struct Change {
    zone: Tz,
    at: DateTime<Utc>,
    before: TimeDelta,
    after: TimeDelta,
}

impl Change {
    /// How far the wall clock jumps.
    fn shift(&self) -> TimeDelta {
        (self.after - self.before).abs()
    }
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    TimeDelta::seconds(offset.local_minus_utc().into())
}

/// Every change of every zone; of zones that make the same change one.
fn changes() -> Vec<Change> {
    let (first, last) = ("1970-01-02T00:00:00Z", "2037-12-30T00:00:00Z");
    let (first, last) = (first.parse().unwrap(), last.parse::<DateTime<Utc>>().unwrap());
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for zone in TZ_VARIANTS {
        let mut day: DateTime<Utc> = first;
        while day < last {
            let next = day + TimeDelta::days(1);
            let (before, after) = (offset(zone, day), offset(zone, next));
            if before != after {
                let (mut low, mut high) = (day, next);
                while high - low > TimeDelta::seconds(1) {
                    let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
                    if offset(zone, middle) == before {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                if seen.insert((high, before, after)) {
                    changes.push(Change {
                        zone,
                        at: high,
                        before,
                        after,
                    });
                }
            }
            day = next;
        }
    }
    changes
}

/// The values of a field, from the syntax that the shapes below use.
fn values(field: &str, least: u32, most: u32) -> Vec<u32> {
    let mut values = Vec::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (least, most),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        values.extend((from..=to).step_by(step.parse().unwrap()));
    }
    values
}

/// A cron expression, read once more and more simply.
struct Shape {
    text: String,
    fields: Vec<Vec<u32>>,
    either_day: bool,
    every_hour: bool,
}

impl Shape {
    fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let parts: Vec<&str> = text.split(' ').collect();
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        let fields = parts
            .iter()
            .zip(bounds)
            .map(|(part, (least, most))| values(part, least, most));
        Self {
            fields: fields.collect(),
            either_day: !parts[2].starts_with('*') && !parts[4].starts_with('*'),
            every_hour: parts[1].starts_with('*'),
            text,
        }
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let has = |field: usize, value: u32| self.fields[field].contains(&value);
        let weekday = wall.weekday().num_days_from_sunday();
        let (day, weekday) = (has(2, wall.day()), has(4, weekday) || weekday == 0 && has(4, 7));
        let days = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        wall.second() == 0 && has(0, wall.minute()) && has(1, wall.hour()) && has(3, wall.month()) && days
    }

    /// The rule, said a second time: the minutes in `(from, to]` that tick.
    fn ticks(&self, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        // Only offsets that are no whole minutes need a finer walk.
        let uneven = [from, to]
            .iter()
            .any(|at| offset(zone, *at).num_seconds() % 60 != 0);
        let step = TimeDelta::seconds(if uneven { 1 } else { 60 });
        let wall = |at: DateTime<Utc>| at.naive_utc() + offset(zone, at);
        let mut ticks = Vec::new();
        // The furthest that the wall clock has come.
        let mut furthest = wall(from);
        let mut at = from + step;
        while at <= to {
            let now = wall(at);
            let fires = if self.every_hour {
                self.matches(now)
            } else {
                // Each wall time counts when the clock first comes to it or past it.
                let mut reached = furthest + step;
                let mut any = false;
                while reached <= now {
                    any |= self.matches(reached);
                    reached += step;
                }
                any
            };
            furthest = furthest.max(now);
            if fires {
                ticks.push(at);
            }
            at += step;
        }
        ticks
    }
}

/// What the schedule says for `(from, to]`.
fn scheduled(text: &str, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let cron = Cron::parse(text, Some(zone.name())).unwrap();
    std::iter::successors(cron.next(from), |at| cron.next(*at))
        .take_while(|at| *at <= to)
        .collect()
}

/// Shapes of expressions, some of which aim at the very hours that the change skips or repeats.
fn shapes(change: &Change) -> Vec<Shape> {
    let wall = change.at.naive_utc() + change.before.min(change.after) + TimeDelta::minutes(20);
    let (minute, hour, day, month) = (wall.minute(), wall.hour(), wall.day(), wall.month());
    let weekday = wall.weekday().num_days_from_sunday();
    [
        format!("{minute} {hour} * * *"),
        format!("0 {hour} * * *"),
        "*/15 * * * *".to_owned(),
        format!("{minute} * * * *"),
        format!("*/20 {hour} * * *"),
        format!("{minute},59 {hour} {day} * *"),
        format!("0,{minute} 0-23 * * *"),
        "0 0 * * *".to_owned(),
        format!("5 */2 * {month} *"),
        format!("10-50/20 0,{hour},23 * * {weekday}"),
        format!("{minute} {hour} {day} {month} {weekday}"),
        format!("*/30 * {day} * {weekday}"),
        "*/10 */3 * * 1-5".to_owned(),
        "7 1-4 1-7,15-31 * *".to_owned(),
        "* * * * 0,7".to_owned(),
        "* 1-3 * * *".to_owned(),
    ]
    .map(Shape::new)
    .into()
}

#[test]
fn cron_keeps_its_rule_over_every_transition_of_every_zone() {
    let changes = changes();
    assert!(changes.len() > 3_000, "{}", changes.len());
    for (number, change) in changes.iter().enumerate() {
        let margin = change.shift().max(TimeDelta::hours(1)) + TimeDelta::hours(2);
        let (from, to) = (change.at - margin, change.at + margin);
        // A zone that changes twice in a few hours has no such window: none does.
        assert_eq!(
            (offset(change.zone, from), offset(change.zone, to)),
            (change.before, change.after),
            "{change:?}"
        );
        let mut shapes = shapes(change);
        let count = shapes.len();
        // Each change meets the first two shapes and three others in turn.
        let turn = |index: usize| index < 2 || (index + number) % count < 3;
        let mut index = 0..;
        shapes.retain(|_| index.next().is_some_and(turn));
        for shape in shapes {
            assert_eq!(
                scheduled(&shape.text, change.zone, from, to),
                shape.ticks(change.zone, from, to),
                "{} over {change:?}",
                shape.text
            );
        }
    }
}

#[test]
fn an_hourly_expression_also_ticks_in_the_repeated_hour() {
    // In Berlin, 03:00 becomes 02:00 at 01:00 UTC on 2026-10-25, and 02:00 becomes 03:00 at 01:00 UTC on 2026-03-29.
    for (expression, from, to, ticks) in [
        (
            "*/30 * * * *",
            "2026-10-25T01:02:00Z",
            "2026-10-25T02:00:00Z",
            ["2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"],
        ),
        // Once a day is once a day.
        (
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "30 * * * *",
            "2026-03-29T00:00:00Z",
            "2026-03-29T02:00:00Z",
            ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
        ),
    ] {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let scheduled = scheduled(expression, Tz::Europe__Berlin, at(from), at(to));
        assert_eq!(scheduled, ticks.map(at), "{expression} from {from}");
    }
}
