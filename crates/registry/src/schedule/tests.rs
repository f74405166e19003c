//! Schedules: the grammar, the grid of times, clock changes.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn every(text: &str) -> Schedule {
    Schedule::parse_every(text).unwrap()
}

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule::parse_cron(expression, Some(zone)).unwrap()
}

/// The ticks in UTC after `after`, `count` of them, as text.
fn ticks(expression: &str, after: &str, count: usize) -> String {
    let schedule = cron(expression, "UTC");
    let next = |time: &Timestamp| Some(schedule.next(*time, *time));
    std::iter::successors(next(&at(after)), next)
        .take(count)
        .map(|time| time.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn intervals_are_read_and_shown_as_written() {
    for (text, seconds) in [
        ("every 5 minutes", 300),
        ("5m", 300),
        ("every half day", 43_200),
        ("every hour", 3600),
        ("month", 2_592_000),
    ] {
        let schedule = every(text);
        assert_eq!(schedule.interval(), Some(Duration::from_secs(seconds)));
        assert_eq!(schedule.to_string(), text);
    }
}

#[test]
fn an_invalid_interval_is_refused_with_an_example() {
    let error = Schedule::parse_every("now and then").unwrap_err();
    assert!(error.to_string().contains("every 5 minutes"), "{error}");
    let error = Schedule::parse_every("every 29 seconds").unwrap_err();
    assert!(error.to_string().contains("is too often"), "{error}");
    assert!(Schedule::parse_every("30s").is_ok());
}

#[test]
fn a_cron_expression_with_seconds_respects_the_minimum_interval() {
    for expression in [
        "* * * * * *",
        "*/10 * * * * *",
        "0,29 * * * * *",
        "5,50 * * * * *",
        "5,50 0,20,40,41 3 * * *",
    ] {
        let error = Schedule::parse_cron(expression, None).unwrap_err();
        assert!(error.to_string().contains("is too often"), "{error}");
    }
    for expression in ["*/30 * * * * *", "15 30 6 * * *", "5,50 */2 * * * *"] {
        assert!(Schedule::parse_cron(expression, None).is_ok(), "{expression}");
    }
}

#[test]
fn missed_ticks_become_one() {
    let (schedule, anchor) = (every("every 5 minutes"), at("2026-01-01T00:01:00Z"));
    let next = schedule.next(at("2026-01-01T03:17:00Z"), anchor);
    assert_eq!(next, at("2026-01-01T03:21:00Z"));
    assert_eq!(schedule.next(next, anchor), at("2026-01-01T03:26:00Z"));
}

#[test]
fn a_cron_schedule_shows_its_zone_and_has_no_interval() {
    let schedule = cron("0 */5 * * * *", "Europe/Berlin");
    assert_eq!(schedule.to_string(), "cron 0 */5 * * * * (Europe/Berlin)");
    assert_eq!(schedule.interval(), None);
    let without_zone = Schedule::parse_cron("0 6 * * *", None).unwrap();
    assert_eq!(without_zone.to_string(), "cron 0 6 * * *");
}

#[test]
fn five_fields_begin_with_the_minute_and_six_with_the_second() {
    assert_eq!(ticks("30 6 * * *", "2026-01-01", 1), "2026-01-01T06:30:00Z");
    assert_eq!(ticks("15 30 6 * * *", "2026-01-01", 1), "2026-01-01T06:30:15Z");
}

#[test]
fn sunday_is_0_or_7_as_in_unix() {
    // 2026-01-04 was a Sunday.
    for sunday in ["0", "7", "sun", "SUN"] {
        let tick = ticks(&format!("0 0 * * {sunday}"), "2026-01-01", 1);
        assert_eq!(tick, "2026-01-04T00:00:00Z", "{sunday}");
    }
    assert_eq!(
        ticks("0 0 * * 5-7", "2026-01-01", 4),
        "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z 2026-01-04T00:00:00Z 2026-01-09T00:00:00Z"
    );
    assert_eq!(
        ticks("0 0 * * 1-5/2", "2026-01-03", 3),
        "2026-01-05T00:00:00Z 2026-01-07T00:00:00Z 2026-01-09T00:00:00Z"
    );
}

#[test]
fn a_day_of_month_or_a_day_of_week_is_enough() {
    // The 13th, and Fridays: the 2nd, 9th, 16th…
    assert_eq!(
        ticks("0 0 13 * 5", "2026-01-03", 3),
        "2026-01-09T00:00:00Z 2026-01-13T00:00:00Z 2026-01-16T00:00:00Z"
    );
}

#[test]
fn an_invalid_cron_expression_is_refused() {
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
        let error = Schedule::parse_cron(text, None).unwrap_err();
        assert!(error.to_string().contains("is not a cron expression"), "{error}");
    }
    let error = Schedule::parse_cron("0 0 * * *", Some("Mars/Base")).unwrap_err();
    assert!(error.to_string().contains("is not a time zone"), "{error}");
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 30,31 2 ?"] {
        let error = Schedule::parse_cron(never, None).unwrap_err();
        assert!(error.to_string().contains("never comes"), "{error}");
    }
    let long = "0,".repeat(200) + "0 * * * *";
    let error = Schedule::parse_cron(&long, None).unwrap_err();
    assert!(error.to_string().contains("is not a cron expression"), "{error}");
}

#[test]
fn an_interval_is_at_most_a_year() {
    assert!(Schedule::parse_every("every 366 days").is_ok());
    for long in ["every 367 days", "every 9000000 months", "every 2000 weeks"] {
        assert!(Schedule::parse_every(long).is_err(), "{long}");
    }
}

#[test]
fn a_clock_that_is_far_wrong_does_not_end_a_schedule() {
    for time in [
        i64::MIN,
        i64::MAX,
        -86_400_000_001,
        at("9999-12-31T23:59:59Z").as_micros(),
        at("2100-12-31T23:59:59Z").as_micros(),
        at("0001-01-01").as_micros(),
    ] {
        let time = Timestamp::from_micros(time);
        for zone in ["UTC", "Pacific/Apia", "America/New_York"] {
            let cron = cron("30 2 * * *", zone);
            let next = cron.next(time, time);
            assert!(
                next.since(time) <= 2 * Timestamp::DAY && (next > time || time.as_micros() == i64::MAX),
                "{time} {zone}"
            );
            let _ = cron.jittered(time, 7);
        }
        let every = every("every 5 minutes");
        for anchor in [i64::MIN, 0, i64::MAX] {
            let next = every.next(time, Timestamp::from_micros(anchor));
            assert!(next.since(time) <= 300 * Timestamp::SECOND, "{time} {anchor}");
        }
    }
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

/// What people and fuzzers write into a field.
fn field() -> impl Strategy<Value = String> {
    "[0-9*,/?LW#a-zA-Z-]{1,12}|[0-9]{1,12}|\\*/[0-9]{1,11}|[0-9]{1,2}-[0-9]{1,2}(/[0-9]{1,2})?"
}

proptest! {
    #[test]
    fn no_text_and_no_time_panics(
        fields in proptest::collection::vec(field(), 4..8), after: i64, zone in zone(), text in ".{0,40}", seed: u64,
    ) {
        let after = Timestamp::from_micros(after);
        let schedules = [Schedule::parse_cron(&fields.join(" "), Some(zone)), Schedule::parse_cron(&text, None), Schedule::parse_every(&text)];
        for schedule in schedules.into_iter().flatten() {
            let next = schedule.next(after, after);
            prop_assert!(next > after);
            prop_assert!(schedule.jittered(next, seed) >= next);
        }
        let _ = Schedule::parse_cron("* * * * *", Some(&text));
    }

    #[test]
    fn interval_ticks_are_strictly_after_and_on_the_grid(after in moment(), anchor in moment(), minutes in 1..100_000_u32) {
        let schedule = every(&format!("every {minutes} minutes"));
        let interval = schedule.interval().unwrap();
        let next = schedule.next(after, anchor);
        prop_assert!(next > after);
        prop_assert!(next.since(after) <= interval);
        let from_anchor = i128::from(next.as_micros()) - i128::from(anchor.as_micros());
        prop_assert_eq!(from_anchor.rem_euclid(i128::try_from(interval.as_micros()).unwrap()), 0);
    }

    #[test]
    fn cron_ticks_are_strictly_after_and_none_is_skipped(after in moment(), expression in expression(), zone in zone(), part in 0.0..1.0_f64) {
        let schedule = cron(expression, zone);
        let next = schedule.next(after, after);
        prop_assert!(next > after);
        // From any moment before the next tick the next tick is the same.
        let between = after.plus(next.since(after).mul_f64(part));
        prop_assume!(between < next);
        prop_assert_eq!(schedule.next(between, after), next);
    }

    #[test]
    fn the_offset_is_stable_and_short(next in moment(), seed: u64, minutes in 1..10_000_u32, expression in expression()) {
        let every = every(&format!("every {minutes} minutes"));
        let cron = cron(expression, "UTC");
        let offset = every.jittered(next, seed).since(next);
        prop_assert!(offset <= (minutes * 6 * Timestamp::SECOND).min(60 * Timestamp::SECOND));
        prop_assert_eq!(every.jittered(next, seed).since(next), offset);
        let tick = cron.next(next, next);
        let moved = cron.jittered(tick, seed);
        prop_assert!(moved >= tick && moved.since(tick) <= 30 * Timestamp::SECOND);
        prop_assert!(moved < cron.next(tick, tick));
    }
}

#[test]
fn a_thousand_connections_are_spread() {
    let schedule = every("every 5 minutes");
    let start = at("2026-01-01");
    let distinct: std::collections::BTreeSet<_> =
        (0..1000).map(|seed| schedule.jittered(start, seed)).collect();
    assert!(distinct.len() > 990);
}
