//! The slices of a run that are queued or being read, shared by its readers.

use std::time::Duration;

use domain::{SliceId, Timestamp};
use parking_lot::Mutex;
use store::slices::NewSlice;
use tokio::sync::Notify;

use crate::context::Context;
use crate::plan::Range;

/// The stored kind of a backfill's slices.
pub(crate) const BACKFILL: &str = "backfill";

/// A part of a list to read.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnreadSlice {
    /// Its row, if it is stored. A backfill's slices are; those of a lookback window are not: the next run begins again.
    pub(crate) id: Option<SliceId>,
    /// Its range; `None` for the whole list.
    pub(crate) range: Option<Range>,
    /// The cursor from which to continue.
    pub(crate) next: Option<String>,
}

impl From<Range> for UnreadSlice {
    fn from(range: Range) -> Self {
        Self {
            range: Some(range),
            ..Self::default()
        }
    }
}

impl From<domain::Slice> for UnreadSlice {
    fn from(row: domain::Slice) -> Self {
        Self {
            id: Some(row.id),
            range: row.from_at.map(|from| Range { from, to: row.to_at }),
            next: row.next,
        }
    }
}

impl From<Range> for NewSlice {
    fn from(range: Range) -> Self {
        Self {
            kind: BACKFILL.to_owned(),
            from_at: Some(range.from),
            to_at: range.to,
            next: None,
        }
    }
}

/// Hands out slices, newest first, until none is queued and none is being read.
#[derive(Debug)]
pub(crate) struct SliceQueue {
    state: Mutex<State>,
    changed: Notify,
    parallel: usize,
}

#[derive(Debug)]
struct State {
    queued: Vec<UnreadSlice>,
    active: usize,
    /// The provider keeps nothing before this.
    floor: Option<Timestamp>,
    /// The width of what has been read, and of the whole range.
    covered: Duration,
    span: Duration,
}

impl SliceQueue {
    /// A queue of `slices` for `parallel` readers. `span` is the width of the range that they are parts of.
    pub(crate) fn new(slices: Vec<UnreadSlice>, parallel: usize, span: Duration, now: Timestamp) -> Self {
        let ranges = slices.iter().filter_map(|slice| slice.range);
        let left: Duration = ranges.map(|range| range.width(now)).sum();
        let state = State {
            queued: slices,
            active: 0,
            floor: None,
            covered: span.saturating_sub(left),
            span,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            parallel,
        }
    }

    /// A queue for one range, or for the whole list, that is read in one go.
    pub(crate) fn of_range(context: &Context, range: Option<Range>) -> Self {
        let now = context.now();
        match range {
            Some(range) => Self::new(vec![range.into()], context.parallel(), range.width(now), now),
            None => Self::new(vec![UnreadSlice::default()], 1, Duration::ZERO, now),
        }
    }

    /// How many readers there are.
    pub(crate) fn parallel(&self) -> usize {
        self.parallel
    }

    /// Takes the newest queued slice. Waits for one while others are being read, since a part may be cut off. `None` once all are read.
    pub(crate) async fn take(&self) -> Option<UnreadSlice> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state.lock();
                let newest = state.queued.iter().enumerate().max_by_key(|(_, slice)| {
                    let to = slice.range.and_then(|range| range.to);
                    (to.is_none(), to)
                });
                if let Some((index, _)) = newest {
                    state.active += 1;
                    return Some(state.queued.swap_remove(index));
                }
                if state.active == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Records that a taken slice has been read.
    pub(crate) fn done(&self) {
        self.state.lock().active -= 1;
        self.changed.notify_waiters();
    }

    /// Adds slices that were cut off others.
    pub(crate) fn add(&self, slices: impl IntoIterator<Item = UnreadSlice>) {
        self.state.lock().queued.extend(slices);
        self.changed.notify_waiters();
    }

    /// Whether a reader is idle.
    pub(crate) fn has_idle_reader(&self) -> bool {
        let state = self.state.lock();
        state.queued.is_empty() && state.active < self.parallel
    }

    /// Adds `width` to what has been read of the range, and returns the share that is read, from 0 to 1.
    pub(crate) fn add_covered(&self, width: Duration) -> Option<f64> {
        let mut state = self.state.lock();
        state.covered = state.covered.saturating_add(width).min(state.span);
        let per_mille = (state.covered.as_micros() * 1_000).checked_div(state.span.as_micros())?;
        Some(f64::from(i32::try_from(per_mille).ok()?) / 1_000.0)
    }

    /// Records that the provider keeps nothing before `floor`.
    pub(crate) fn raise_floor(&self, floor: Timestamp) {
        let mut state = self.state.lock();
        state.floor = state.floor.max(Some(floor));
    }

    /// See [`SliceQueue::raise_floor`].
    pub(crate) fn floor(&self) -> Option<Timestamp> {
        self.state.lock().floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(from: i64, to: Option<i64>) -> UnreadSlice {
        let range = Range {
            from: Timestamp::from_micros(from),
            to: to.map(Timestamp::from_micros),
        };
        range.into()
    }

    #[tokio::test]
    async fn the_newest_slice_comes_first_and_the_queue_ends_when_all_are_read() {
        let queue = SliceQueue::new(
            vec![slice(0, Some(10)), slice(20, None), slice(10, Some(20))],
            2,
            Duration::from_micros(30),
            Timestamp::from_micros(30),
        );
        let mut order = Vec::new();
        while let Some(slice) = queue.take().await {
            order.push(slice.range.unwrap().from.as_micros());
            queue.done();
        }
        assert_eq!(order, [20, 10, 0]);
    }

    #[tokio::test]
    async fn an_idle_reader_gets_what_another_cuts_off() {
        let queue = SliceQueue::new(
            vec![slice(0, None)],
            2,
            Duration::from_micros(10),
            Timestamp::from_micros(10),
        );
        let first = queue.take().await.unwrap();
        assert!(queue.has_idle_reader());
        let (second, ()) = tokio::join!(queue.take(), async {
            tokio::task::yield_now().await;
            queue.add([slice(0, Some(5))]);
        });
        assert_eq!(second.unwrap().range.unwrap().to, Some(Timestamp::from_micros(5)));
        assert!(!queue.has_idle_reader(), "both readers are busy");
        assert_eq!(queue.add_covered(Duration::from_micros(5)), Some(0.5));
        drop(first);
    }
}
