//! Decides which of two writes of a row is newer. Change numbers decide, since clocks differ and jump.
//!
//! Before a page is requested, the last change number is read, unless one was read within the last half second. If a row has a greater
//! number when the page is written, an action or another writer has changed it since, and the page does not overwrite it. Pages of the same
//! run are an exception, since they are requested concurrently: if two have the same row, the one requested later wins.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use store::records::Requested;

/// How many writes are remembered. A forgotten one counts as another writer's, which no page overwrites.
const REMEMBERED: usize = 256;

/// The position of a request among the writes of rows, and among the requests of its run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestPosition {
    /// The last change number before the request.
    pub(crate) number: i64,
    /// How many positions the run has given out before it.
    turn: u64,
}

/// Gives out the positions of a run's requests.
#[derive(Debug, Default)]
pub(crate) struct RequestPositions(AtomicU64);

impl RequestPositions {
    /// Returns the position of what is requested next. `number` is the last change number before it.
    pub(crate) fn give_out(&self, number: i64) -> RequestPosition {
        let turn = self.0.fetch_add(1, Ordering::SeqCst);
        RequestPosition { number, turn }
    }
}

/// The writes of the run's pages, oldest first: when each page was requested, and the change numbers that its rows got.
#[derive(Debug, Clone, Default)]
pub(crate) struct WrittenPages(VecDeque<(u64, RangeInclusive<i64>)>);

impl WrittenPages {
    /// Returns the order of a page that was requested at `position`, for the store.
    pub(crate) fn requested(&self, position: RequestPosition) -> Requested {
        let older = self
            .0
            .iter()
            .filter(|(turn, numbers)| *turn < position.turn && *numbers.end() > position.number)
            .map(|(_, numbers)| numbers.clone())
            .collect();
        Requested {
            after: position.number,
            older,
        }
    }

    /// Adds the change numbers that a page wrote.
    pub(crate) fn note(&mut self, position: RequestPosition, written: Option<RangeInclusive<i64>>) {
        let Some(written) = written else { return };
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((position.turn, written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_pages_of_a_run_the_one_requested_later_wins() {
        let positions = RequestPositions::default();
        let (first, second) = (positions.give_out(5), positions.give_out(5));
        let mut writes = WrittenPages::default();

        writes.note(first, Some(6..=9));
        assert_eq!(writes.requested(second).older, [6..=9]);
        writes.note(second, Some(10..=10));
        assert_eq!(
            writes.requested(first).older,
            [],
            "rows stay that a later request or another writer has written"
        );
        assert_eq!(writes.requested(positions.give_out(10)).older, []);
    }

    #[test]
    fn the_number_of_remembered_writes_is_limited() {
        let (positions, mut writes) = (RequestPositions::default(), WrittenPages::default());
        for number in 0..1_000 {
            writes.note(positions.give_out(number), Some(number..=number));
        }
        assert_eq!(writes.0.len(), REMEMBERED);
    }
}
