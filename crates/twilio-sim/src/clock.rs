//! The simulator's clock: the system clock with an offset, or a frozen clock that only `advance` moves.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, Utc};

/// The clock of all parts of the simulator.
#[derive(Debug)]
pub(crate) struct Clock {
    frozen: Option<DateTime<Utc>>,
    offset_millis: AtomicI64,
}

impl Clock {
    pub(crate) fn new(frozen: Option<DateTime<Utc>>) -> Self {
        Self {
            frozen,
            offset_millis: AtomicI64::new(0),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.offset_millis
            .fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.frozen.unwrap_or_else(system_now)
            + Duration::milliseconds(self.offset_millis.load(Ordering::SeqCst))
    }

    /// Returns whether only [`Self::advance`] moves the clock.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Whole seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.now().timestamp()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place where the simulator reads the system clock"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}
