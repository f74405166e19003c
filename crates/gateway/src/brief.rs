//! What is remembered for a moment, so that many calls in a row cost one look at the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Values by key, each for at most a set time; then they are gone, whether somebody looks or not.
pub(crate) struct Brief<K, V> {
    life: Duration,
    known: Arc<Mutex<Known<K, V>>>,
}

struct Known<K, V> {
    values: HashMap<K, (Instant, V)>,
    /// How often all was forgotten.
    changes: u64,
    /// Takes away what is too old, as long as there is anything.
    sweeper: Option<JoinHandle<()>>,
}

/// Taken before a value is read from the database: should something change before it is put, it is not remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading(u64);

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + 'static> Brief<K, V> {
    pub(crate) fn new(life: Duration) -> Self {
        let known = Known {
            values: HashMap::new(),
            changes: 0,
            sweeper: None,
        };
        Self {
            life,
            known: Arc::new(Mutex::new(known)),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let known = lock(&self.known);
        let (since, value) = known.values.get(key)?;
        (since.elapsed() < self.life).then(|| value.clone())
    }

    pub(crate) fn begin(&self) -> Reading {
        Reading(lock(&self.known).changes)
    }

    /// Remembers what was read since `reading` was taken.
    pub(crate) fn put(&self, key: K, value: V, reading: Reading) {
        let mut known = lock(&self.known);
        if Reading(known.changes) != reading {
            return;
        }
        known.values.insert(key, (Instant::now(), value));
        // A task that ended otherwise went with its runtime.
        if known.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            known.sweeper = Some(self.sweep());
        }
    }

    /// A secret among the values must not stay because nobody asks for it again.
    fn sweep(&self) -> JoinHandle<()> {
        let (life, known) = (self.life, Arc::downgrade(&self.known));
        tokio::spawn(async move {
            loop {
                sleep(life / 2).await;
                let Some(known) = known.upgrade() else { return };
                let mut known = lock(&known);
                known.values.retain(|_, (since, _)| since.elapsed() < life);
                if known.values.is_empty() {
                    known.sweeper = None;
                    return;
                }
            }
        })
    }

    /// Forgets one.
    pub(crate) fn forget(&self, key: &K) {
        lock(&self.known).values.remove(key);
    }

    /// Forgets all, since something changed.
    pub(crate) fn clear(&self) {
        let mut known = lock(&self.known);
        known.changes += 1;
        known.values.clear();
    }
}

fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_is_removed_after_its_time_without_a_read() {
        let brief = Brief::new(Duration::from_secs(1));
        brief.put("key", 1, brief.begin());
        assert_eq!(brief.get(&"key"), Some(1));

        sleep(Duration::from_millis(1_500)).await;

        assert_eq!(brief.get(&"key"), None);
        assert!(lock(&brief.known).values.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_value_is_removed_at_once() {
        let brief = Brief::new(Duration::from_secs(1));
        brief.put("key", 1, brief.begin());

        brief.clear();

        assert_eq!(brief.get(&"key"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_read_before_a_change_is_not_cached_after_it() {
        let brief = Brief::new(Duration::from_secs(1));
        let reading = brief.begin();
        brief.clear();

        brief.put("key", 1, reading);
        assert_eq!(brief.get(&"key"), None);

        brief.put("key", 2, brief.begin());
        assert_eq!(brief.get(&"key"), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_task_sweeps_however_often_the_cache_is_cleared() {
        let brief = Brief::new(Duration::from_secs(1));
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        for _ in 0..100 {
            brief.put("key", 1, brief.begin());
            brief.clear();
        }

        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks - before, 1);
    }
}
