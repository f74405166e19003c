//! The slices of a run that wait and those being read, shared by its readers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{SliceId, Timestamp};
use tokio::sync::Notify;

use crate::context::Context;
use crate::plan::Range;

/// A part of a list to be read.
#[derive(Debug, Clone)]
pub(crate) struct SliceWork {
    /// Its row, if it outlives the process: slices of the first reading do, those of a trailing range begin anew.
    pub(crate) id: Option<SliceId>,
    /// What it covers; `None` for the whole list.
    pub(crate) range: Option<Range>,
    /// Where to go on within it.
    pub(crate) next: Option<String>,
}

impl SliceWork {
    /// A slice without a row that is read from its beginning.
    pub(crate) fn of(range: Range) -> Self {
        Self {
            range: Some(range),
            ..Self::whole()
        }
    }

    /// The whole list.
    pub(crate) fn whole() -> Self {
        Self {
            id: None,
            range: None,
            next: None,
        }
    }
}

/// Hands out slices, newest first, until none waits and none is being read.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Notify,
    parallel: usize,
}

#[derive(Debug)]
struct State {
    waiting: Vec<SliceWork>,
    active: usize,
    /// Nothing before this is kept by the provider.
    floor: Option<Timestamp>,
    /// Microseconds of the range that are read, and in all.
    covered: i64,
    span: i64,
}

impl Pool {
    /// A pool of `slices` for `parallel` readers; `span` is the whole that they are part of, in microseconds.
    pub(crate) fn new(slices: Vec<SliceWork>, parallel: usize, span: i64, now: Timestamp) -> Self {
        let left: i64 = slices
            .iter()
            .filter_map(|slice| slice.range)
            .map(|range| width(range, now))
            .sum();
        let state = State {
            waiting: slices,
            active: 0,
            floor: None,
            covered: span.saturating_sub(left),
            span,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            parallel: parallel.max(1),
        }
    }

    /// A pool for one range, or for the whole list, that is read in one go.
    pub(crate) fn of_range(context: &Context, range: Option<Range>) -> Self {
        let now = context.now();
        match range {
            Some(range) => Self::new(
                vec![SliceWork::of(range)],
                context.parallel(),
                width(range, now),
                now,
            ),
            None => Self::new(vec![SliceWork::whole()], 1, 0, now),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn parallel(&self) -> usize {
        self.parallel
    }

    /// The newest slice that waits; waits for one while others are being read, which may be cut. `None` when all is read.
    pub(crate) async fn take(&self) -> Option<SliceWork> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let newest = (0..state.waiting.len()).max_by_key(|&index| {
                    let to = state
                        .waiting
                        .get(index)
                        .and_then(|slice| slice.range)
                        .and_then(|range| range.to);
                    (to.is_none(), to)
                });
                if let Some(index) = newest {
                    state.active += 1;
                    return Some(state.waiting.swap_remove(index));
                }
                if state.active == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Says that a slice that was taken is read.
    pub(crate) fn done(&self) {
        self.state().active -= 1;
        self.changed.notify_waiters();
    }

    /// Adds slices that were cut off others.
    pub(crate) fn add(&self, slices: impl IntoIterator<Item = SliceWork>) {
        self.state().waiting.extend(slices);
        self.changed.notify_waiters();
    }

    /// Whether a reader has nothing to do.
    pub(crate) fn hungry(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.active < self.parallel
    }

    /// Notes that `micros` more of the range are read, and tells the share from 0 to 1.
    pub(crate) fn covered(&self, micros: i64) -> Option<f64> {
        let mut state = self.state();
        state.covered = state.covered.saturating_add(micros).clamp(0, state.span);
        let per_mille = state.covered.checked_mul(1_000)?.checked_div(state.span)?;
        Some(f64::from(i32::try_from(per_mille).ok()?) / 1_000.0)
    }

    /// The provider keeps nothing before `floor`.
    pub(crate) fn raise_floor(&self, floor: Timestamp) {
        let mut state = self.state();
        state.floor = state.floor.max(Some(floor));
    }

    /// See [`Pool::raise_floor`].
    pub(crate) fn floor(&self) -> Option<Timestamp> {
        self.state().floor
    }
}

/// Microseconds that a range covers up to `now`.
pub(crate) fn width(range: Range, now: Timestamp) -> i64 {
    range.to.unwrap_or(now).since(range.from).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(from: i64, to: Option<i64>) -> SliceWork {
        let range = Range {
            from: Timestamp::from_micros(from),
            to: to.map(Timestamp::from_micros),
        };
        SliceWork::of(range)
    }

    #[tokio::test]
    async fn the_newest_slice_comes_first_and_the_pool_ends_when_all_are_read() {
        let pool = Pool::new(
            vec![slice(0, Some(10)), slice(20, None), slice(10, Some(20))],
            2,
            30,
            Timestamp::from_micros(30),
        );
        let mut order = Vec::new();
        while let Some(slice) = pool.take().await {
            order.push(slice.range.unwrap().from.as_micros());
            pool.done();
        }
        assert_eq!(order, [20, 10, 0]);
    }

    #[tokio::test]
    async fn a_reader_that_waits_gets_what_another_cuts_off() {
        let pool = Pool::new(vec![slice(0, None)], 2, 10, Timestamp::from_micros(10));
        let first = pool.take().await.unwrap();
        assert!(pool.hungry());
        let (second, ()) = tokio::join!(pool.take(), async {
            tokio::task::yield_now().await;
            pool.add([slice(0, Some(5))]);
        });
        assert_eq!(second.unwrap().range.unwrap().to, Some(Timestamp::from_micros(5)));
        assert!(!pool.hungry(), "both readers are at work");
        assert_eq!(pool.covered(5), Some(0.5));
        drop(first);
    }
}
