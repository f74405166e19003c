//! What a provider bears from one connection: calls at once, and calls a second.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ConnectionId;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use registry::Limits;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Connections kept before idle ones are looked for.
const PRUNE_AT_LEAST: usize = 1024;

/// The limits of one connection.
pub(crate) struct Gate {
    /// Fair: who waits longest is next. A place is kept while a call waits between its attempts, so that pressure falls.
    pub(crate) places: Semaphore,
    pace: Option<DefaultDirectRateLimiter>,
    /// After this time without a call the gate is as good as new.
    memory: Duration,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        let period = limits
            .per_second
            .and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok());
        // One at a time, evenly spaced: a burst would let twice the rate through in the first second.
        let quota = period
            .and_then(Quota::with_period)
            .map(|quota| quota.allow_burst(NonZeroU32::MIN));
        Self {
            places: Semaphore::new(usize::try_from(limits.concurrency.max(1)).unwrap_or(1)),
            pace: quota.map(RateLimiter::direct),
            memory: period.unwrap_or_default(),
        }
    }

    /// Waits for the next moment that the rate allows.
    pub(crate) async fn pace(&self) {
        if let Some(pace) = &self.pace {
            pace.until_ready().await;
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// The gates of all connections in use.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    gates: HashMap<ConnectionId, (Arc<Gate>, Instant)>,
    prune_at: usize,
}

impl Gates {
    /// The gate of `connection`, made by `limits` if there is none. A call without a connection has a gate of its own.
    pub(crate) fn of(&self, connection: Option<ConnectionId>, limits: Limits) -> Arc<Gate> {
        let Some(connection) = connection else {
            return Arc::new(Gate::new(limits));
        };
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.gates.len() >= known.prune_at.max(PRUNE_AT_LEAST) {
            let idle = |gate: &Arc<Gate>, used: Instant| {
                Arc::strong_count(gate) == 1 && now.duration_since(used) > gate.memory
            };
            known.gates.retain(|_, (gate, used)| !idle(gate, *used));
            known.prune_at = known.gates.len().saturating_mul(2);
        }
        let entry = known
            .gates
            .entry(connection)
            .or_insert_with(|| (Arc::new(Gate::new(limits)), now));
        entry.1 = now;
        Arc::clone(&entry.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        concurrency: 2,
        per_second: None,
    };

    fn gate(gates: &Gates, connection: i64) -> Arc<Gate> {
        gates.of(Some(ConnectionId::from_raw(connection)), LIMITS)
    }

    #[tokio::test]
    async fn calls_of_one_connection_share_a_gate_and_those_of_another_do_not() {
        let gates = Gates::default();
        let one = gate(&gates, 1);
        assert!(Arc::ptr_eq(&one, &gate(&gates, 1)));
        assert!(!Arc::ptr_eq(&one, &gate(&gates, 2)));
        assert!(!Arc::ptr_eq(&gates.of(None, LIMITS), &gates.of(None, LIMITS)));
        let _first = one.places.acquire().await.unwrap();
        let _second = one.places.acquire().await.unwrap();
        assert!(one.places.try_acquire().is_err());
    }

    #[tokio::test]
    async fn gates_in_use_stay_and_idle_ones_do_not_pile_up() {
        let gates = Gates::default();
        let held = gate(&gates, 0);
        for number in 1..10_000 {
            gate(&gates, number);
        }
        assert!(gates.0.lock().unwrap().gates.len() <= PRUNE_AT_LEAST);
        assert!(Arc::ptr_eq(&held, &gate(&gates, 0)));
    }

    #[tokio::test]
    async fn a_rate_spaces_calls_evenly() {
        let gate = Gate::new(Limits {
            concurrency: 1,
            per_second: Some(100.0),
        });
        let start = std::time::Instant::now();
        for _ in 0..4 {
            gate.pace().await;
        }
        assert!(
            start.elapsed() >= Duration::from_millis(29),
            "{:?}",
            start.elapsed()
        );
    }
}
