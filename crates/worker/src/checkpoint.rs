//! The checkpoint of a sync: the state of the engine between two runs.
//!
//! It is stored as JSON with the sync, after the pages that it covers or in their transaction. Names never change.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Every correct clock shows a later time than this: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// How far a sync has read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Checkpoint {
    /// When the backfill was planned. Its slices have their own table.
    pub(crate) backfill_began: Option<Timestamp>,
    /// When the backfill was complete.
    pub(crate) backfilled: Option<Timestamp>,
    /// When each lookback window was last read whole, by its reach in microseconds.
    pub(crate) lookbacks: BTreeMap<u64, Timestamp>,
    /// The newest pages were searched for rows without a date up to this time.
    pub(crate) head: Option<Timestamp>,
    /// How far the scan of the whole list for rows without a date is.
    pub(crate) sweep: Sweep,
    /// The last keys that were rechecked, after which the next run continues.
    pub(crate) followed: Followed,
    /// How many runs have failed in a row.
    pub(crate) failures: u32,
}

/// See [`Checkpoint::sweep`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sweep {
    /// The cursor from which it continues; `None` at its beginning.
    pub(crate) next: Option<String>,
    /// When the last complete scan ended.
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
    /// Returns when the lookback window of this reach was last read.
    pub(crate) fn lookback(&self, reach: Duration) -> Option<Timestamp> {
        self.lookbacks.get(&lookback_key(reach)).copied()
    }

    /// Records that the lookback windows of these reaches were read at `now`.
    pub(crate) fn note_lookbacks(&mut self, reaches: Vec<Duration>, now: Timestamp) {
        let read = reaches.into_iter().map(|reach| (lookback_key(reach), now));
        self.lookbacks.extend(read);
    }

    /// Reads the stored JSON. If it cannot be read, nothing counts as read yet: reading again is always right.
    pub(crate) fn from_json(stored: &Json) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }

    /// Returns the checkpoint, or an empty one if a wrong clock wrote it: one more than a day ahead of `now`, or years behind.
    ///
    /// With such a clock, the engine requested the wrong ranges. So nothing counts as read, and everything is read again.
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

    /// Returns the JSON to store.
    pub(crate) fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_else(|_| Json::Object(serde_json::Map::new()))
    }
}

fn lookback_key(reach: Duration) -> u64 {
    u64::try_from(reach.as_micros()).unwrap_or(u64::MAX)
}
