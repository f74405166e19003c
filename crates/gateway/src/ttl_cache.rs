//! A cache whose values are kept for a set time, so that many requests in a row cost one read of the database.
//!
//! It is our own since two things are needed that caches of others (moka, quick_cache) lack: a value that was read before an
//! invalidation is never stored after it, and an expired value is removed even if nobody asks for it again, as it may hold a secret.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Values by key, each removed after the time-to-live.
pub(crate) struct TtlCache<K, V> {
    ttl: Duration,
    state: Arc<Mutex<State<K, V>>>,
}

struct State<K, V> {
    values: HashMap<K, (Instant, V)>,
    /// How often the cache was cleared.
    generation: u64,
    /// Removes expired values for as long as there are any.
    sweeper: Option<JoinHandle<()>>,
}

/// Taken before a value is read from the database; the value is not cached if the cache was cleared since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + 'static> TtlCache<K, V> {
    pub(crate) fn new(ttl: Duration) -> Self {
        let state = State {
            values: HashMap::new(),
            generation: 0,
            sweeper: None,
        };
        Self {
            ttl,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let state = self.state.lock();
        let (since, value) = state.values.get(key)?;
        (since.elapsed() < self.ttl).then(|| value.clone())
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.state.lock().generation)
    }

    /// Stores a value that was read after `generation` was taken, unless the cache was cleared since.
    pub(crate) fn insert(&self, key: K, value: V, generation: Generation) {
        let mut state = self.state.lock();
        if Generation(state.generation) != generation {
            return;
        }
        state.values.insert(key, (Instant::now(), value));
        // The task also ends with its runtime.
        if state.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            state.sweeper = Some(self.sweep());
        }
    }

    /// Holds the cache weakly and ends with it, so shutdown need not wait for it.
    fn sweep(&self) -> JoinHandle<()> {
        let (ttl, state) = (self.ttl, Arc::downgrade(&self.state));
        tokio::spawn(async move {
            loop {
                sleep(ttl / 2).await;
                let Some(state) = state.upgrade() else { return };
                let mut state = state.lock();
                state.values.retain(|_, (since, _)| since.elapsed() < ttl);
                if state.values.is_empty() {
                    state.sweeper = None;
                    return;
                }
            }
        })
    }

    /// Removes one value.
    pub(crate) fn remove(&self, key: &K) {
        self.state.lock().values.remove(key);
    }

    /// Removes all values, and those that are being read now are not stored.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        state.generation += 1;
        state.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_expired_value_is_removed_without_a_read() {
        let cache = TtlCache::new(Duration::from_secs(1));
        cache.insert("key", 1, cache.generation());
        assert_eq!(cache.get(&"key"), Some(1));

        sleep(Duration::from_millis(1_500)).await;

        assert_eq!(cache.get(&"key"), None);
        assert!(cache.state.lock().values.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cleared_cache_is_empty_at_once() {
        let cache = TtlCache::new(Duration::from_secs(1));
        cache.insert("key", 1, cache.generation());

        cache.clear();

        assert_eq!(cache.get(&"key"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_read_before_the_cache_was_cleared_is_not_stored() {
        let cache = TtlCache::new(Duration::from_secs(1));
        let generation = cache.generation();
        cache.clear();

        cache.insert("key", 1, generation);
        assert_eq!(cache.get(&"key"), None);

        cache.insert("key", 2, cache.generation());
        assert_eq!(cache.get(&"key"), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_has_one_sweeper_however_often_it_is_cleared() {
        let cache = TtlCache::new(Duration::from_secs(1));
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        for _ in 0..100 {
            cache.insert("key", 1, cache.generation());
            cache.clear();
        }

        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks - before, 1);
    }
}
