//! Which of two writings of a row is newer: told by change numbers, for clocks differ and jump.
//!
//! Before a page is requested, the last change number is read, unless one was read within the last half second. A row that bears a greater one when the page is written was written
//! since, by an action or another writer, and stays as it is. Pages of the same run are an exception: they are requested side by
//! side, so of two that show the same row the one requested later counts.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{self, AtomicU64};

use store::records::Requested;
use tokio::sync::{Mutex, MutexGuard};

/// Writings that are remembered. One that is forgotten counts as another writer's, whose rows stay.
const REMEMBERED: usize = 256;

/// When a request was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// The last change number before it.
    pub(crate) number: i64,
    /// Its place among the run's requests.
    turn: u64,
}

/// The run's requests and writings, in order.
#[derive(Debug, Default)]
pub(crate) struct Ordering {
    turns: AtomicU64,
    writings: Mutex<Writings>,
}

impl Ordering {
    /// The place of a request that is sent now, after the last change number was read as `number`.
    pub(crate) fn asked(&self, number: i64) -> Asked {
        Asked {
            number,
            turn: self.turns.fetch_add(1, atomic::Ordering::SeqCst),
        }
    }

    /// Lets one transaction after the other be written and noted.
    pub(crate) async fn writings(&self) -> MutexGuard<'_, Writings> {
        self.writings.lock().await
    }
}

/// What the run's pages wrote, oldest first: when each was requested, and the change numbers that its rows got.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writings(VecDeque<(u64, RangeInclusive<i64>)>);

impl Writings {
    /// What the store must know of a page that was requested then.
    pub(crate) fn requested(&self, asked: Asked) -> Requested {
        let older = self
            .0
            .iter()
            .filter(|(turn, numbers)| *turn < asked.turn && *numbers.end() > asked.number)
            .map(|(_, numbers)| numbers.clone())
            .collect();
        Requested {
            after: asked.number,
            older,
        }
    }

    /// Notes what a page wrote.
    pub(crate) fn note(&mut self, asked: Asked, written: Option<RangeInclusive<i64>>) {
        let Some(written) = written else { return };
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((asked.turn, written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_pages_of_a_run_the_one_requested_later_counts() {
        let ordering = Ordering::default();
        let (first, second) = (ordering.asked(5), ordering.asked(5));
        let mut writings = ordering.writings().await;

        writings.note(first, Some(6..=9));
        assert_eq!(writings.requested(second).older, [6..=9]);
        writings.note(second, Some(10..=10));
        assert_eq!(
            writings.requested(first).older,
            [],
            "what was requested later stays, and so does what another wrote"
        );
        drop(writings);
        let third = ordering.asked(10);
        assert_eq!(ordering.writings().await.requested(third).older, []);
    }

    #[tokio::test]
    async fn few_writings_are_remembered() {
        let ordering = Ordering::default();
        let mut writings = ordering.writings().await;
        for number in 0..1_000 {
            writings.note(ordering.asked(number), Some(number..=number));
        }
        assert_eq!(writings.0.len(), REMEMBERED);
    }
}
