//! What the engine remembers of a sync between runs.
//!
//! Stored as JSON with the sync, after the pages that it covers or in their transaction. Names never change.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// No right clock showed an earlier time while this engine ran: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_micros(1_767_225_600 * Timestamp::SECOND);

/// How far a sync is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Checkpoint {
    /// When the first reading was planned; its slices stand in their own table.
    pub(crate) backfill_began: Option<Timestamp>,
    /// When the first reading was complete.
    pub(crate) backfilled: Option<Timestamp>,
    /// When each trailing range, by its reach in microseconds, was last read whole.
    pub(crate) lookbacks: BTreeMap<i64, Timestamp>,
    /// Rows without a date were looked for among the newest up to here.
    pub(crate) head: Option<Timestamp>,
    /// How far the reading of the whole list for rows without a date is.
    pub(crate) sweep: Sweep,
    /// The last keys followed up, from which the next run goes on.
    pub(crate) followed: Followed,
    /// Runs that failed one after the other.
    pub(crate) failures: u32,
}

/// See [`Checkpoint::sweep`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sweep {
    /// Where it goes on; `None` at its beginning.
    pub(crate) next: Option<String>,
    /// When the last complete one ended.
    pub(crate) finished: Option<Timestamp>,
}

/// See [`Checkpoint::followed`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Followed {
    /// Among the rows without a date.
    pub(crate) undated: Option<String>,
    /// Among the others.
    pub(crate) dated: Option<String>,
}

impl Checkpoint {
    /// From the stored JSON. What cannot be read is taken for nothing read yet: reading again is always right.
    pub(crate) fn load(stored: &Json) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }

    /// Itself, or an empty one if a wrong clock wrote it: one that was more than a day ahead of `now`, or years behind.
    ///
    /// Such a clock asked the provider for ranges that had not come yet or were long gone, so that nobody knows what was read. All is
    /// read again.
    pub(crate) fn checked(self, now: Timestamp) -> Self {
        let times = [
            self.backfill_began,
            self.backfilled,
            self.head,
            self.sweep.finished,
        ];
        let mut times = times
            .into_iter()
            .flatten()
            .chain(self.lookbacks.values().copied());
        let wrong =
            |time: Timestamp| time.since(now) > Timestamp::DAY || (time < EARLIEST && now >= EARLIEST);
        if !times.any(wrong) {
            return self;
        }
        tracing::warn!(
            "the clock was wrong when the checkpoint was written, so the list is read again from its beginning"
        );
        Self {
            failures: self.failures,
            ..Self::default()
        }
    }

    /// As JSON to store.
    pub(crate) fn store(&self) -> Json {
        serde_json::to_value(self).unwrap_or_else(|_| Json::Object(serde_json::Map::new()))
    }
}
