//! Calls a second: each is given its moment, evenly spaced, since a burst would let twice the rate through in the first second.

use std::time::Duration;

use tokio::time::Instant;

/// A rate, and from when on the next call may go.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    next: Option<Instant>,
    /// The provider asked for a rest until then.
    rest: Option<Instant>,
}

impl Pace {
    /// So many a second; without bound if `None`.
    pub(super) fn new(per_second: Option<f64>) -> Self {
        let period = per_second.and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok());
        Self {
            period: period.unwrap_or_default(),
            next: None,
            rest: None,
        }
    }

    /// The moment that a call would be given now.
    pub(super) fn moment(&self, now: Instant) -> Instant {
        [self.next, self.rest]
            .into_iter()
            .flatten()
            .fold(now, Instant::max)
    }

    /// Gives the moment away.
    pub(super) fn book(&mut self, now: Instant) {
        if !self.period.is_zero() {
            self.next = Some(self.moment(now) + self.period);
        }
    }

    /// No call before `moment`.
    pub(super) fn rest(&mut self, moment: Instant) {
        self.rest = self.rest.max(Some(moment));
    }

    /// Until when it rests.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        self.rest
    }

    /// Whether it would not be missed.
    pub(super) fn is_as_new(&self, now: Instant) -> bool {
        self.moment(now) == now
    }
}
