//! The clock, which is passed as a value so that tests can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Timestamp;

/// A source of the time: the system's clock, or a manual one for tests.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the system's clock, in UTC, truncated to microseconds.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that shows `start` until [`Clock::advance`] moves it. Clones share the time.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_micros()))))
    }

    /// Returns the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place in Trunkline itself where the system clock is read"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_chrono(chrono::Utc::now()),
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        self.move_hand(|now| now.plus(by));
    }

    /// Moves a manual clock backward; does nothing to the system's clock.
    pub fn turn_back(&self, by: Duration) {
        self.move_hand(|now| now.minus(by));
    }

    fn move_hand(&self, to: impl Fn(Timestamp) -> Timestamp) {
        if let Source::Manual(micros) = &self.0 {
            micros.update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                to(Timestamp::from_micros(now)).as_micros()
            });
        }
    }
}
