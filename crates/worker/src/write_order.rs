//! Decides which of two writes of a row is newer. Change numbers decide, since clocks differ and jump.
//!
//! Before a page is requested, the last change number is read, unless one was read within the last half second. If a row has a greater
//! number when the page is written, an action or another writer has changed it since, and the page does not overwrite it. Pages of the same
//! run are an exception, since they are requested concurrently: if two have the same row, the one requested later wins.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use store::records::Requested;
use tokio::sync::{Mutex, MutexGuard};

/// How many writes are remembered. A forgotten one counts as another writer's, which no page overwrites.
const REMEMBERED: usize = 256;

/// When a request was sent, relative to the writes of rows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestMark {
    /// The last change number before the request.
    pub(crate) number: i64,
    /// Its position among the run's requests.
    turn: u64,
}

/// The run's requests and writes, in order.
#[derive(Debug, Default)]
pub(crate) struct WriteOrder {
    turns: AtomicU64,
    writes: Mutex<PageWrites>,
}

impl WriteOrder {
    /// Marks a request that is sent now, after the last change number was read as `number`.
    pub(crate) fn mark(&self, number: i64) -> RequestMark {
        RequestMark {
            number,
            turn: self.turns.fetch_add(1, Ordering::SeqCst),
        }
    }

    /// Locks the run's writes, so that one transaction runs at a time.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, PageWrites> {
        self.writes.lock().await
    }
}

/// The writes of the run's pages, oldest first: when each page was requested, and the change numbers that its rows got.
#[derive(Debug, Clone, Default)]
pub(crate) struct PageWrites(VecDeque<(u64, RangeInclusive<i64>)>);

impl PageWrites {
    /// Returns the order of a page that was requested at `mark`, for the store.
    pub(crate) fn requested(&self, mark: RequestMark) -> Requested {
        let older = self
            .0
            .iter()
            .filter(|(turn, numbers)| *turn < mark.turn && *numbers.end() > mark.number)
            .map(|(_, numbers)| numbers.clone())
            .collect();
        Requested {
            after: mark.number,
            older,
        }
    }

    /// Adds the change numbers that a page wrote.
    pub(crate) fn note(&mut self, mark: RequestMark, written: Option<RangeInclusive<i64>>) {
        let Some(written) = written else { return };
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((mark.turn, written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_pages_of_a_run_the_one_requested_later_wins() {
        let order = WriteOrder::default();
        let (first, second) = (order.mark(5), order.mark(5));
        let mut writes = order.lock().await;

        writes.note(first, Some(6..=9));
        assert_eq!(writes.requested(second).older, [6..=9]);
        writes.note(second, Some(10..=10));
        assert_eq!(
            writes.requested(first).older,
            [],
            "rows stay that a later request or another writer has written"
        );
        drop(writes);
        let third = order.mark(10);
        assert_eq!(order.lock().await.requested(third).older, []);
    }

    #[tokio::test]
    async fn the_number_of_remembered_writes_is_limited() {
        let order = WriteOrder::default();
        let mut writes = order.lock().await;
        for number in 0..1_000 {
            writes.note(order.mark(number), Some(number..=number));
        }
        assert_eq!(writes.0.len(), REMEMBERED);
    }
}
