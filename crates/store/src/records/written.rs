//! The keys that a backfill has written: other rows do not exist and need not be looked up.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

/// The words of the filter, 1 MB in all. With a million keys one key in nine is looked up for nothing.
const WORDS: usize = 1 << 17;

/// The keys of the records that a run has written, as a Bloom filter with one hash function. It may report keys that it does not have.
#[derive(Debug)]
pub struct WrittenKeys {
    words: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for WrittenKeys {
    fn default() -> Self {
        Self {
            words: std::iter::repeat_with(AtomicU64::default).take(WORDS).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl WrittenKeys {
    /// Adds a key. Returns whether the filter may have had it before.
    pub(super) fn insert(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let bit = 1_u64 << (hash & 63);
        let place = usize::try_from(hash >> 32).unwrap_or_default() % WORDS;
        let Some(word) = self.words.get(place) else {
            return true;
        };
        word.fetch_or(bit, Ordering::Relaxed) & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_keys_are_found_and_few_others() {
        let keys = WrittenKeys::default();
        let name = |number: u32| format!("SM{number:032x}");
        let mistaken = (0..1_000_000)
            .filter(|number| keys.insert(&name(*number)))
            .count();
        assert!((0..1_000_000).all(|number| keys.insert(&name(number))));
        // While it fills up, from none to 11 in a hundred.
        assert!((40_000..80_000).contains(&mistaken), "{mistaken}");
    }
}
