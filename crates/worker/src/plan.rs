//! Plans which ranges of a list a run reads: pure functions of the sync's declaration, its checkpoint and the time.

use std::time::Duration;

use domain::Timestamp;
use registry::{Sync, Window};

use crate::checkpoint::Checkpoint;

/// A range of the window's column, `[from, to)`; an open end includes the newest records, also those later than the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
}

impl Range {
    /// Splits it into the newer and the older part.
    pub(crate) fn split_at(self, middle: Timestamp) -> (Self, Self) {
        let newer = Self { from: middle, ..self };
        let older = Self {
            to: Some(middle),
            ..self
        };
        (newer, older)
    }

    /// How long it is, up to `now`.
    pub(crate) fn width(self, now: Timestamp) -> Duration {
        self.to.unwrap_or(now).since(self.from)
    }
}

/// Returns the slices of a backfill, newest first. From the third on, each is twice as wide as the one before.
///
/// Together they cover the whole retention, so that none waits for another. The reader of a slice that proves long cuts it.
pub(crate) fn backfill(window: &Window, now: Timestamp) -> Vec<Range> {
    let floor = floor(window, now);
    if window.to.is_none() {
        return vec![Range {
            from: floor,
            to: None,
        }];
    }
    let mut slices = Vec::new();
    let longest = window.longest.unwrap_or(Duration::MAX);
    let (mut to, mut width) = (None, window.step.min(longest).max(window.granularity()));
    let mut top = ceil(window, now);
    loop {
        let from = unit_of(window, top.minus(width)).max(floor);
        slices.push(Range { from, to });
        if from <= floor {
            return slices;
        }
        if to.is_some() {
            width = width.saturating_mul(2).min(longest);
        }
        (top, to) = (from, Some(from));
    }
}

/// Returns the earliest time that may be requested: with dates, the first whole day within the retention.
pub(crate) fn floor(window: &Window, now: Timestamp) -> Timestamp {
    ceil(window, now.minus(window.retention))
}

/// Returns the time from which the provider keeps records in any case.
pub(crate) fn surely_kept(window: &Window, now: Timestamp) -> Timestamp {
    unit_of(window, now.minus(window.shortest_retention))
}

/// Returns the beginning of the unit of the window's bounds that contains `time`.
pub(crate) fn unit_of(window: &Window, time: Timestamp) -> Timestamp {
    time.floor_to(window.granularity())
}

/// Returns the beginning of the unit after the one that contains `time`.
pub(crate) fn unit_after(window: &Window, time: Timestamp) -> Timestamp {
    unit_of(window, time).plus(window.granularity())
}

/// Returns the lookback window that a run at `now` re-reads, and the reaches of all lookbacks that it covers.
pub(crate) fn lookback(
    sync: &Sync,
    window: &Window,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Option<(Range, Vec<Duration>)> {
    let due = |every: Option<Duration>, last: Option<Timestamp>| match (every, last) {
        (Some(every), Some(last)) => now.has_elapsed(every, last),
        _ => true,
    };
    let reach = sync
        .lookback
        .iter()
        .filter(|lookback| due(lookback.every, checkpoint.lookback(lookback.reach)))
        .map(|lookback| lookback.reach)
        .max()?;
    let done = sync
        .lookback
        .iter()
        .map(|lookback| lookback.reach)
        .filter(|other| *other <= reach)
        .collect();
    let from = unit_of(window, now.minus(reach)).max(floor(window, now));
    Some((Range { from, to: None }, done))
}

/// Returns where to cut the unread rest of a range, which was read back to `reached`. The older half becomes a new slice.
///
/// `None` if too little is left to cut.
pub(crate) fn cut(window: &Window, from: Timestamp, reached: Timestamp) -> Option<Timestamp> {
    // Without an upper bound, the new slice would be read from the list's beginning.
    window.to.as_ref()?;
    let middle = unit_of(window, from.plus(reached.since(from) / 2));
    // The slice that is being read keeps at least the unit that it has reached.
    (middle > from && middle.plus(window.granularity()) <= reached).then_some(middle)
}

/// Returns the middle of a range; `None` if it is one unit.
pub(crate) fn halve(window: &Window, range: Range, now: Timestamp) -> Option<Timestamp> {
    let to = range.to.unwrap_or_else(|| ceil(window, now));
    let middle = unit_of(window, range.from.plus(to.since(range.from) / 2));
    (middle > range.from).then_some(middle)
}

fn ceil(window: &Window, time: Timestamp) -> Timestamp {
    let begins = unit_of(window, time);
    if begins < time {
        unit_after(window, time)
    } else {
        begins
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use registry::{BoundFormat, Inclusive};

    use super::*;

    fn window(format: BoundFormat, step_days: u32, retention_days: u32) -> Window {
        Window {
            column: "date_sent".parse().unwrap(),
            from: Some("DateSent>".to_owned()),
            to: Some("DateSent<".to_owned()),
            format,
            inclusive: Some(Inclusive::Both),
            step: step_days * Timestamp::DAY,
            longest: None,
            parallel: 8,
            split_after: 50,
            retention: retention_days * Timestamp::DAY,
            beyond_retention: None,
            shortest_retention: retention_days * Timestamp::DAY,
        }
    }

    const NOW: &str = "2026-11-21T10:30:00Z";

    #[test]
    fn a_backfill_covers_the_retention_in_slices_that_touch_and_grow() {
        let window = window(BoundFormat::Date, 7, 400);
        let now = NOW.parse().unwrap();
        let slices = backfill(&window, now);
        assert_eq!(slices.first().unwrap().to, None);
        assert_eq!(
            slices.last().unwrap().from,
            "2025-10-18".parse().unwrap(),
            "the first whole day within 400 days"
        );
        for pair in slices.windows(2) {
            assert_eq!(pair[1].to, Some(pair[0].from));
        }
        assert!(slices.len() <= 8, "{slices:?}");
    }

    #[test]
    fn no_slice_is_wider_than_the_provider_accepts() {
        let window = Window {
            longest: Some(30 * Timestamp::DAY),
            ..window(BoundFormat::Date, 7, 400)
        };
        let slices = backfill(&window, NOW.parse().unwrap());
        for slice in slices.iter().filter(|slice| slice.to.is_some()) {
            assert!(
                slice.to.unwrap().since(slice.from) <= 30 * Timestamp::DAY,
                "{slice:?}"
            );
        }
        assert_eq!(slices.last().unwrap().from, "2025-10-18".parse().unwrap());
    }

    #[test]
    fn a_list_without_an_upper_bound_is_one_slice_that_is_not_split() {
        let since = Window {
            to: None,
            ..window(BoundFormat::DateTime, 7, 400)
        };
        let slices = backfill(&since, NOW.parse().unwrap());
        let [slice] = slices.as_slice() else {
            panic!("{slices:?}")
        };
        assert_eq!(slice.to, None);
        assert_eq!(
            since.bounds(slice.from, slice.to),
            [("DateSent>".to_owned(), "2025-10-17T10:30:00Z".to_owned())]
        );
        assert_eq!(cut(&since, slice.from, NOW.parse().unwrap()), None);

        let ordered = Window { from: None, ..since };
        assert_eq!(ordered.bounds(slice.from, slice.to), []);
    }

    #[test]
    fn whole_days_included_at_both_ends_do_not_overlap() {
        let window = window(BoundFormat::Date, 7, 400);
        let range = Range {
            from: "2026-11-01".parse().unwrap(),
            to: Some("2026-11-08".parse().unwrap()),
        };
        assert_eq!(
            window.bounds(range.from, range.to),
            [
                ("DateSent>".to_owned(), "2026-11-01".to_owned()),
                ("DateSent<".to_owned(), "2026-11-07".to_owned())
            ]
        );
    }

    #[test]
    fn a_single_day_is_not_split() {
        let window = window(BoundFormat::Date, 7, 400);
        let day: Timestamp = "2026-11-01".parse().unwrap();
        assert_eq!(cut(&window, day, day.plus(Timestamp::DAY / 2)), None);
        let range = Range {
            from: day,
            to: Some(day.plus(Timestamp::DAY)),
        };
        assert_eq!(halve(&window, range, NOW.parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn slices_always_end_and_cover_the_range(step in 1u32..500, retention in 1u32..4000, micros in 0i64..4_102_444_800_000_000) {
            for format in [BoundFormat::Date, BoundFormat::DateTime, BoundFormat::UnixSeconds, BoundFormat::UnixMillis] {
                let window = window(format, step, retention);
                let now = Timestamp::from_micros(micros);
                let slices = backfill(&window, now);
                prop_assert!(slices.len() < 64);
                prop_assert_eq!(slices.last().unwrap().from, floor(&window, now));
                for pair in slices.windows(2) {
                    prop_assert_eq!(pair[1].to, Some(pair[0].from));
                    prop_assert!(pair[1].from < pair[0].from);
                }
            }
        }

        #[test]
        fn a_split_leaves_something_to_both_parts(days in 0u32..1000, part in 0u32..86_400) {
            let window = window(BoundFormat::Date, 7, 400);
            let from: Timestamp = "2024-01-01".parse().unwrap();
            let reached = from.plus(days * Timestamp::DAY + part * Timestamp::SECOND);
            if let Some(middle) = cut(&window, from, reached) {
                prop_assert!(middle > from && middle < reached && middle.floor_to(Timestamp::DAY) == middle);
            } else {
                prop_assert!(days < 3);
            }
        }
    }
}
