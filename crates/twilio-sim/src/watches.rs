//! The messages whose status changes are reported, and the changes that are not reported yet.

use std::collections::{BTreeSet, HashMap};

use crate::message::{Message, Status};

/// A new status of a message.
#[derive(Debug, Clone)]
pub(crate) struct StatusChange {
    /// The message as it was then.
    pub(crate) message: Message,
    /// The second of the change.
    pub(crate) at: i64,
    pub(crate) status_callback: Option<String>,
}

/// A message whose changes are reported.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) status_callback: Option<String>,
    /// The last status that was reported, or the initial one.
    pub(crate) reported: Status,
}

/// All watched messages of an account, by rank.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    pub(crate) all: HashMap<u64, Watch>,
    /// When the clock changes the status of a watched message.
    pub(crate) due: BTreeSet<(i64, u64)>,
    pub(crate) changes: Vec<StatusChange>,
    /// Whether every message is watched, because the account has a subscription of events.
    pub(crate) everything: bool,
}

impl Watches {
    /// Returns whether changes are due at `now` that are not in `changes` yet.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Stops watching a message.
    pub(crate) fn remove(&mut self, rank: u64) {
        if self.all.remove(&rank).is_some() {
            self.due.retain(|(_, watched)| *watched != rank);
        }
    }
}
