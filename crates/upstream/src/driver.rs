//! Runs the attempts of a request: waits for a permit and for the rate, makes an attempt, and waits before the next one.
//!
//! Every request goes this way: list pages, actions, verification and proxied requests. Whether an attempt is followed by another is the
//! rule of [`crate::outcome`].

use std::mem;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::limiter::{Limiters, Permit};
use crate::outcome::Retry;
use crate::{Backoff, RequestError, Target};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) limiters: Limiters,
    pub(crate) backoff: Backoff,
    /// The longest wait that a provider may ask for within a request.
    pub(crate) max_wait: Duration,
}

/// How long a request may take, and how often it may be sent.
pub(crate) struct Bounds {
    /// The end of the whole request.
    pub(crate) deadline: Instant,
    /// The end of the wait for the first attempt's permit.
    pub(crate) permit_by: Instant,
    pub(crate) max_attempts: u32,
}

/// The result of one attempt.
pub(crate) struct Attempt<T> {
    pub(crate) result: T,
    pub(crate) retry: Retry,
    /// How long the provider asked to wait, or its limits make necessary.
    pub(crate) retry_after: Option<Duration>,
}

/// The last attempt of a request.
pub(crate) struct Finished<T> {
    pub(crate) result: T,
    /// Its permit: a response whose body is not read yet keeps it.
    pub(crate) permit: Permit,
    /// The number of attempts made.
    pub(crate) attempts: u32,
    /// Whether another attempt was to follow and the time was up.
    pub(crate) out_of_time: bool,
}

impl Driver {
    /// Makes attempts until one is not to be retried. `attempt` gets its number, from 1.
    ///
    /// Fails if no permit is released in time, or the rate allows no request in time.
    pub(crate) async fn run<T, F: Future<Output = Attempt<T>>>(
        &self,
        target: &Target,
        bounds: &Bounds,
        mut attempt: impl FnMut(u32) -> F,
    ) -> Result<Finished<T>, RequestError> {
        let mut permit_by = bounds.permit_by;
        let mut attempts = 0;
        let mut retried_once = false;
        let mut kept = None;
        loop {
            let limited = |error| match attempts {
                0 => error,
                _ => RequestError::DeadlineExceeded {
                    attempts,
                    last: Box::new(error),
                },
            };
            let permit = match kept.take() {
                Some(permit) => permit,
                None => self.limiters.acquire(target, permit_by).await.map_err(limited)?,
            };
            permit.wait_for_rate(permit_by).await.map_err(limited)?;
            attempts += 1;
            let Attempt {
                result,
                retry,
                retry_after,
            } = attempt(attempts).await;
            let retries = match retry {
                Retry::No => false,
                Retry::Once => !mem::replace(&mut retried_once, true),
                Retry::Yes => true,
            };
            let retries = retries && attempts < bounds.max_attempts;
            let requested = retry_after.filter(|wait| !wait.is_zero());
            let pause = retries.then(|| self.pause(attempts, requested, bounds.deadline));
            let Some(pause) = pause.flatten() else {
                return Ok(Finished {
                    result,
                    permit,
                    attempts,
                    // A provider that asks for a longer wait says more than that the time is up.
                    out_of_time: retries && requested.is_none(),
                });
            };
            // An unread response occupies its connection.
            drop(result);
            permit_by = bounds.deadline;
            // A requested wait applies to the whole connection, so other connections may use the permit. Otherwise it is kept, so that the
            // provider gets fewer requests while it has trouble.
            kept = requested.is_none().then_some(permit);
            sleep(pause).await;
        }
    }

    /// Returns the wait before the next attempt, which the provider may have requested; `None` if a request may not take that long.
    fn pause(&self, failures: u32, requested: Option<Duration>, deadline: Instant) -> Option<Duration> {
        let left = deadline.saturating_duration_since(Instant::now());
        match requested {
            Some(wait) if wait > self.max_wait || wait >= left => None,
            // Requests that were told the same time do not all come back then.
            Some(wait) => Some(left.min(wait + self.backoff.jittered(1))),
            None => Some(self.backoff.jittered(failures)).filter(|wait| *wait < left),
        }
    }

    /// Lets all requests of the connection wait, since the provider asked for it; never longer than a request may wait. A provider that
    /// asked for more is asked again then, since a mistake in a header must not stop a connection for days.
    pub(crate) fn pause_connection(&self, target: &Target, wait: Duration) {
        self.limiters.pause(target, wait.min(self.max_wait));
    }
}
