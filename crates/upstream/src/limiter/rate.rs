//! Limits requests per second. Starts are spaced evenly, since a burst would let twice the rate through in the first second.

use std::time::Duration;

use tokio::time::Instant;

/// Reserves the start of each request.
#[derive(Debug)]
pub struct RateLimiter {
    /// The time between two starts; zero without a rate.
    period: Duration,
    next: Option<Instant>,
    /// Until when the provider asked for no requests.
    paused_until: Option<Instant>,
}

impl RateLimiter {
    /// So many starts a second; any number if `None`.
    pub fn new(per_second: Option<f64>) -> Self {
        let period = per_second.and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok());
        Self {
            period: period.unwrap_or_default(),
            next: None,
            paused_until: None,
        }
    }

    /// Reserves the next start and returns it. If that is later than `until`, reserves none and returns it as an error.
    pub fn reserve(&mut self, now: Instant, until: Instant) -> Result<Instant, Instant> {
        let start = self.next_start(now);
        // A request that need not wait is never too late.
        if start > until.max(now) {
            return Err(start);
        }
        if !self.period.is_zero() {
            self.next = Some(start + self.period);
        }
        Ok(start)
    }

    /// Lets no request start before `until`.
    pub(super) fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Whether a request may start now, so that nothing is lost if this is forgotten.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.next_start(now) == now
    }

    fn next_start(&self, now: Instant) -> Instant {
        [self.next, self.paused_until]
            .into_iter()
            .flatten()
            .fold(now, Instant::max)
    }
}
