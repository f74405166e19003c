//! Limits the requests to a provider: how many are in flight and how many start each second, for each connection and for all of them
//! together.
//!
//! One lock over plain counts. A request that finds no permit waits in its connection's queue. When a permit is released, connections
//! take turns, so that one with a thousand requests does not hold up another with one. Within a connection interactive requests go
//! first; yet background requests without any permit get every other one, so that neither kind starves.

mod provider;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{ConnectionId, ProviderName};
use parking_lot::Mutex;
use registry::Provider;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{Priority, RequestError, Target};
use provider::ProviderLimiter;

pub use self::rate::RateLimiter;

/// The suggested wait when it is unknown when a permit will be released.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// The limiters of all providers, for this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limiters(Arc<Mutex<HashMap<ProviderName, ProviderLimiter>>>);

/// What a request counts for.
#[derive(Debug, Clone)]
struct Slot {
    limiters: Limiters,
    provider: Arc<Provider>,
    connection: Option<ConnectionId>,
    priority: Priority,
}

/// A permit for one request to a provider; released when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Slot);

/// A request in its connection's queue, which it leaves when dropped. A permit that was granted to it and not used goes to the next.
struct Queued {
    slot: Slot,
    granted: oneshot::Receiver<()>,
    used: bool,
}

impl Limiters {
    /// Waits for a permit for a request of `target`, at most until `until`. [`RequestError::RateLimited`] if none is released in time, or
    /// the provider asked for a longer wait.
    pub(crate) async fn acquire(&self, target: &Target, until: Instant) -> Result<Permit, RequestError> {
        let slot = self.slot(target);
        // A paused connection is in no queue, so that it does not block others.
        while let Some(paused_until) = slot.paused_until() {
            if paused_until > until {
                let retry_after = paused_until.saturating_duration_since(Instant::now());
                return Err(RequestError::RateLimited { retry_after });
            }
            sleep_until(paused_until).await;
        }
        let mut queued = slot.enqueue();
        queued.used = matches!(timeout_at(until, &mut queued.granted).await, Ok(Ok(())));
        if queued.used {
            Ok(Permit(slot))
        } else {
            Err(RequestError::RateLimited {
                retry_after: UNKNOWN_WAIT,
            })
        }
    }

    /// Pauses the connection: none of its requests starts for this time, since the provider asked for that. Requests without a connection
    /// are not paused, since one person's key must not delay other people who connect.
    pub(crate) fn pause(&self, target: &Target, time: Duration) {
        if target.connection.is_none() {
            return;
        }
        let slot = self.slot(target);
        slot.with_limiter(|limiter| limiter.pause(slot.connection, Instant::now() + time));
    }

    fn slot(&self, target: &Target) -> Slot {
        Slot {
            limiters: self.clone(),
            provider: Arc::clone(&target.provider),
            connection: target.connection,
            priority: target.priority,
        }
    }
}

impl Slot {
    fn paused_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.with_limiter(|limiter| limiter.paused_until(self.connection))
            .filter(|until| *until > now)
    }

    fn enqueue(&self) -> Queued {
        let (grant, granted) = oneshot::channel();
        self.with_limiter(|limiter| limiter.enqueue(self.connection, self.priority, grant));
        Queued {
            slot: self.clone(),
            granted,
            used: false,
        }
    }

    fn with_limiter<T>(&self, then: impl FnOnce(&mut ProviderLimiter) -> T) -> T {
        let mut limiters = self.limiters.0.lock();
        if let Some(limiter) = limiters.get_mut(&self.provider.name) {
            return then(limiter);
        }
        let limiter = limiters.entry(self.provider.name.clone());
        then(limiter.or_insert_with(|| ProviderLimiter::new(self.provider.limits)))
    }
}

impl Permit {
    /// Waits until the rates allow the request to start, or fails at once with [`RequestError::RateLimited`] if that is later than `until`.
    pub(crate) async fn wait_for_rate(&self, until: Instant) -> Result<(), RequestError> {
        // The connection's rate first: a start reserved at the provider's rate would be lost to all if the connection's delayed it.
        for of_connection in [true, false] {
            let now = Instant::now();
            let start = self.0.with_limiter(|limiter| {
                limiter
                    .rate(of_connection.then_some(self.0.connection))
                    .reserve(now, until)
            });
            let start = start.map_err(|start| RequestError::RateLimited {
                retry_after: start.saturating_duration_since(now),
            })?;
            if start > now {
                sleep_until(start).await;
            }
        }
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0
            .with_limiter(|limiter| limiter.release(self.0.connection, self.0.priority));
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        self.granted.close();
        let granted = self.granted.try_recv().is_ok();
        let slot = &self.slot;
        slot.with_limiter(|limiter| {
            if granted {
                limiter.release(slot.connection, slot.priority);
            } else {
                limiter.remove_closed(slot.connection, slot.priority);
            }
        });
    }
}
