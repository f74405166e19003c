//! Counts refused requests to webhook addresses, and logs them at a bounded rate: anybody can send such requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use domain::{EnvironmentId, IntegrationKey};
use parking_lot::Mutex;
use signature::Refused;
use tokio::time::Instant;

/// How often one reason is logged for an integration.
const LOG_EVERY: Duration = Duration::from_mins(1);
/// The most counters.
const MOST: usize = 1_000;

/// How many requests were refused, by integration and reason.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<(EnvironmentId, IntegrationKey, &'static str), Counter>>);

struct Counter {
    refused: u64,
    logged: Instant,
}

impl Refusals {
    /// Counts a refused request.
    pub(crate) fn note(&self, environment: EnvironmentId, integration: &IntegrationKey, reason: Refused) {
        let now = Instant::now();
        let mut counters = self.0.lock();
        if counters.len() >= MOST {
            counters.retain(|_, counter| now.duration_since(counter.logged) < LOG_EVERY);
        }
        if counters.len() >= MOST {
            return;
        }
        let key = (environment, integration.clone(), reason.code());
        let refused = match counters.entry(key) {
            Entry::Vacant(first) => {
                first.insert(Counter {
                    refused: 0,
                    logged: now,
                });
                1
            }
            Entry::Occupied(mut known) => {
                let counter = known.get_mut();
                counter.refused += 1;
                if now.duration_since(counter.logged) < LOG_EVERY {
                    return;
                }
                counter.logged = now;
                std::mem::take(&mut counter.refused)
            }
        };
        drop(counters);
        tracing::warn!(
            %integration,
            reason = reason.code(),
            refused,
            "requests to a webhook address were refused: {reason}"
        );
    }
}
