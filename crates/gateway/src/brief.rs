//! What is remembered for a moment, so that many calls in a row cost one look at the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Values by key, each for at most a set time; then they are gone, whether somebody looks or not.
pub(crate) struct Brief<K, V> {
    life: Duration,
    known: Arc<Mutex<HashMap<K, (Instant, V)>>>,
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + 'static> Brief<K, V> {
    pub(crate) fn new(life: Duration) -> Self {
        Self {
            life,
            known: Arc::default(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let known = lock(&self.known);
        let (since, value) = known.get(key)?;
        (since.elapsed() < self.life).then(|| value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let (now, life) = (Instant::now(), self.life);
        let new = lock(&self.known).insert(key.clone(), (now, value)).is_none();
        if !new {
            return;
        }
        // A secret among the values must not stay because nobody asks for it again.
        let known = Arc::downgrade(&self.known);
        tokio::spawn(async move {
            loop {
                sleep(life).await;
                let Some(known) = known.upgrade() else { return };
                let mut known = lock(&known);
                match known.get(&key) {
                    Some((since, _)) if since.elapsed() < life => {}
                    _ => {
                        known.remove(&key);
                        return;
                    }
                }
            }
        });
    }

    /// Forgets one.
    pub(crate) fn forget(&self, key: &K) {
        lock(&self.known).remove(key);
    }

    /// Forgets all, since something changed.
    pub(crate) fn clear(&self) {
        lock(&self.known).clear();
    }
}

fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_is_gone_after_its_time_although_nobody_looks() {
        let brief = Brief::new(Duration::from_secs(1));
        brief.put("key", 1);
        assert_eq!(brief.get(&"key"), Some(1));

        sleep(Duration::from_millis(1_500)).await;

        assert_eq!(brief.get(&"key"), None);
        assert!(lock(&brief.known).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_is_forgotten_at_once() {
        let brief = Brief::new(Duration::from_secs(1));
        brief.put("key", 1);

        brief.clear();

        assert_eq!(brief.get(&"key"), None);
    }
}
