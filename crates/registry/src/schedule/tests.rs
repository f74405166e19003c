//! Schedules: the grammar, the grid of times, clock changes.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The ticks after `after`, `count` of them, as text.
fn ticks(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse_cron(expression, Some(zone)).unwrap();
    let next = |time: &Timestamp| schedule.next(*time, *time);
    std::iter::successors(next(&at(after)), next)
        .take(count)
        .map(|time| time.to_string())
        .collect()
}

#[test]
fn intervals_read_and_are_shown_as_they_were_written() {
    for (text, seconds) in [
        ("every 5 minutes", 300),
        ("5m", 300),
        ("every half day", 43_200),
        ("every hour", 3600),
        ("month", 2_592_000),
    ] {
        let schedule = Schedule::parse_every(text).unwrap();
        assert_eq!(schedule.interval(), Some(seconds * Timestamp::SECOND));
        assert_eq!(schedule.to_string(), text);
    }
}

#[test]
fn what_is_no_interval_is_told_what_one_looks_like() {
    assert!(
        Schedule::parse_every("now and then")
            .unwrap_err()
            .to_string()
            .contains("every 5 minutes")
    );
    assert!(matches!(
        Schedule::parse_every("every 29 seconds"),
        Err(ScheduleError::TooOften(_))
    ));
    assert!(Schedule::parse_every("30s").is_ok());
}

#[test]
fn a_cron_with_seconds_keeps_the_least_interval_too() {
    for expression in [
        "* * * * * *",
        "*/10 * * * * *",
        "0,29 * * * * *",
        "5,50 * * * * *",
        "5,50 0,20,40,41 3 * * *",
    ] {
        assert!(
            matches!(
                Schedule::parse_cron(expression, None),
                Err(ScheduleError::TooOften(_))
            ),
            "{expression}"
        );
    }
    for expression in ["*/30 * * * * *", "15 30 6 * * *", "5,50 */2 * * * *"] {
        assert!(Schedule::parse_cron(expression, None).is_ok(), "{expression}");
    }
}

#[test]
fn missed_ticks_become_one() {
    let schedule = Schedule::parse_every("every 5 minutes").unwrap();
    let next = schedule.next(at("2026-01-01T03:17:00Z"), at("2026-01-01T00:01:00Z"));
    assert_eq!(next, Some(at("2026-01-01T03:21:00Z")));
    assert_eq!(
        schedule.next(next.unwrap(), at("2026-01-01T00:01:00Z")),
        Some(at("2026-01-01T03:26:00Z"))
    );
}

#[test]
fn cron_shows_its_zone_and_has_no_interval() {
    let schedule = Schedule::parse_cron("0 */5 * * * *", Some("Europe/Berlin")).unwrap();
    assert_eq!(schedule.to_string(), "cron 0 */5 * * * * (Europe/Berlin)");
    assert_eq!(schedule.interval(), None);
    assert_eq!(
        Schedule::parse_cron("0 6 * * *", None).unwrap().to_string(),
        "cron 0 6 * * *"
    );
}

#[test]
fn five_fields_begin_with_the_minute_and_six_with_the_second() {
    assert_eq!(
        ticks("30 6 * * *", "UTC", "2026-01-01", 1),
        ["2026-01-01T06:30:00Z"]
    );
    assert_eq!(
        ticks("15 30 6 * * *", "UTC", "2026-01-01", 1),
        ["2026-01-01T06:30:15Z"]
    );
}

#[test]
fn sunday_is_0_or_7_as_in_unix() {
    // 2026-01-04 was a Sunday.
    for sunday in ["0", "7", "sun", "SUN"] {
        assert_eq!(
            ticks(&format!("0 0 * * {sunday}"), "UTC", "2026-01-01", 1),
            ["2026-01-04T00:00:00Z"],
            "{sunday}"
        );
    }
    assert_eq!(
        ticks("0 0 * * 5-7", "UTC", "2026-01-01", 4).join(" "),
        "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z 2026-01-04T00:00:00Z 2026-01-09T00:00:00Z"
    );
    assert_eq!(
        ticks("0 0 * * 1-5/2", "UTC", "2026-01-03", 3).join(" "),
        "2026-01-05T00:00:00Z 2026-01-07T00:00:00Z 2026-01-09T00:00:00Z"
    );
}

#[test]
fn a_day_of_month_or_a_day_of_week_suffices() {
    // The 13th, and Fridays: the 2nd, 9th, 16th…
    assert_eq!(
        ticks("0 0 13 * 5", "UTC", "2026-01-03", 3).join(" "),
        "2026-01-09T00:00:00Z 2026-01-13T00:00:00Z 2026-01-16T00:00:00Z"
    );
}

#[test]
fn a_time_that_the_clock_skips_comes_right_after_the_gap() {
    // Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    assert_eq!(
        ticks("*/20 * * * *", "Europe/Berlin", "2026-03-29T00:40:00Z", 2),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"]
    );
}

#[test]
fn a_time_that_comes_twice_counts_once_unless_every_hour_does() {
    // Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        ticks("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3),
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:30:00Z"
        ]
    );
}

#[test]
fn what_is_no_cron_expression_is_refused() {
    for text in [
        "",
        "* * * *",
        "* * * * * * *",
        "61 * * * *",
        "* * * * 8",
        "* * * * 6-1",
        "@daily",
        "0 0 * * mon#1",
    ] {
        assert!(
            matches!(Schedule::parse_cron(text, None), Err(ScheduleError::Cron(..))),
            "{text}"
        );
    }
    assert!(matches!(
        Schedule::parse_cron("0 0 * * *", Some("Mars/Base")),
        Err(ScheduleError::Zone(_))
    ));
    assert!(matches!(
        Schedule::parse_cron("0 0 30 2 *", None),
        Err(ScheduleError::Never(_))
    ));
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (at("2000-01-01").as_micros()..at("2090-01-01").as_micros()).prop_map(Timestamp::from_micros)
}

fn expression() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "* * * * *",
        "*/7 * * * *",
        "0 2 * * *",
        "30 2,3 * * *",
        "0 */2 * * *",
        "15 1-3 * * 0",
        "0 0 1 * 1",
        "5 30 2 * * *",
        "0 12 29 2 *",
    ])
}

fn zone() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
    ])
}

proptest! {
    #[test]
    fn an_interval_ticks_strictly_after_and_on_its_grid(after in moment(), anchor in moment(), minutes in 1..100_000_i64) {
        let schedule = Schedule::parse_every(&format!("every {minutes} minutes")).unwrap();
        let interval = schedule.interval().unwrap();
        let next = schedule.next(after, anchor).unwrap();
        prop_assert!(next > after);
        prop_assert!(next.since(after) <= interval);
        prop_assert_eq!(next.since(anchor).rem_euclid(interval), 0);
    }

    #[test]
    fn cron_ticks_strictly_after_and_skips_none(after in moment(), expression in expression(), zone in zone(), part in 0.0..1.0_f64) {
        let schedule = Schedule::parse_cron(expression, Some(zone)).unwrap();
        let next = schedule.next(after, after).unwrap();
        prop_assert!(next > after);
        // From any moment before the next tick the next tick is the same.
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any share will do")]
        let between = after.plus((next.since(after) as f64 * part) as i64);
        prop_assert_eq!(schedule.next(between, after), Some(next).filter(|next| *next > between));
    }

    #[test]
    fn changes_of_clocks_leave_no_long_hole_in_an_hourly_schedule(day in 0..300_i64, hour in 0..24_i64, zone in zone()) {
        let schedule = Schedule::parse_cron("*/10 * * * *", Some(zone)).unwrap();
        let after = at("2026-01-01").plus(day * Timestamp::DAY + hour * 3600 * Timestamp::SECOND);
        let next = schedule.next(after, after).unwrap();
        prop_assert!(next.since(after) <= 600 * Timestamp::SECOND);
    }

    #[test]
    fn the_offset_is_stable_and_short(next in moment(), seed: u64, minutes in 1..10_000_i64, expression in expression()) {
        let every = Schedule::parse_every(&format!("every {minutes} minutes")).unwrap();
        let cron = Schedule::parse_cron(expression, None).unwrap();
        let offset = every.jittered(next, seed).since(next);
        prop_assert!((0..=(minutes * 6 * Timestamp::SECOND).min(60 * Timestamp::SECOND)).contains(&offset));
        prop_assert_eq!(every.jittered(next, seed).since(next), offset);
        let tick = cron.next(next, next).unwrap();
        let moved = cron.jittered(tick, seed);
        prop_assert!(moved >= tick && moved.since(tick) <= 30 * Timestamp::SECOND);
        prop_assert!(moved < cron.next(tick, tick).unwrap_or(moved.plus(1)));
    }
}

#[test]
fn a_thousand_connections_are_spread() {
    let schedule = Schedule::parse_every("every 5 minutes").unwrap();
    let start = at("2026-01-01");
    let distinct: std::collections::BTreeSet<_> =
        (0..1000).map(|seed| schedule.jittered(start, seed)).collect();
    assert!(distinct.len() > 990);
}
