//! Watches messages: finds out when their status changes, by the clock or by a test.

use crate::message::Status;
use crate::message_store::MessageStore;
use crate::watches::{StatusChange, Watch};

impl MessageStore {
    /// Reports the changes of a message after `now`. Without a `status_callback`, they go to Event Streams only.
    pub(crate) fn watch(&mut self, rank: u64, status_callback: Option<String>, now: i64) {
        let Some(row) = self.row_of_rank(rank, now) else {
            return;
        };
        let reported = row.status;
        let inbound = row.direction == crate::message::Direction::Inbound;
        if let Some(watch) = self.watches.all.get_mut(&rank) {
            watch.status_callback = status_callback.or(watch.status_callback.take());
            return;
        }
        if inbound {
            return;
        }
        self.watches.all.insert(
            rank,
            Watch {
                status_callback,
                reported,
            },
        );
        let times = self
            .lifecycle(rank)
            .map(|lifecycle| lifecycle.changes())
            .unwrap_or_default();
        let due = times.into_iter().filter(|at| *at > now).map(|at| (at, rank));
        self.watches.due.extend(due);
    }

    /// Reports the changes of every message from now on, or only of those with a status callback.
    pub(crate) fn watch_everything(&mut self, everything: bool, now: i64) {
        let starts = everything && !self.watches.everything;
        self.watches.everything = everything;
        if starts {
            for rank in self.unfinished(now) {
                self.watch(rank, None, now);
            }
        }
    }

    /// Collects the changes that the clock has made.
    pub(crate) fn collect_changes(&mut self, now: i64) {
        while let Some((at, rank)) = self.watches.due.first().copied().filter(|(at, _)| *at <= now) {
            self.watches.due.remove(&(at, rank));
            self.collect(rank, None, at);
        }
    }

    /// Collects a change that a test made. `before` was the status until then.
    pub(crate) fn collect(&mut self, rank: u64, before: Option<Status>, at: i64) {
        let watched = self.watches.all.get(&rank);
        let known = watched.map(|watch| watch.reported);
        let reports = known.is_some() || self.watches.everything;
        let Some(row) = self.row_of_rank(rank, at).filter(|_| reports) else {
            return;
        };
        if known.or(before) == Some(row.status) {
            return;
        }
        let change = StatusChange {
            message: row.to_message(),
            at,
            status_callback: watched.and_then(|watch| watch.status_callback.clone()),
        };
        if let Some(watch) = self.watches.all.get_mut(&rank) {
            watch.reported = change.message.status;
        }
        self.watches.changes.push(change);
    }

    /// Returns when the clock makes the next change, or a past second if changes wait to be taken.
    pub(crate) fn next_change(&self) -> Option<i64> {
        if self.watches.changes.is_empty() {
            self.watches.due.first().map(|(at, _)| *at)
        } else {
            Some(i64::MIN)
        }
    }

    /// Takes the collected changes, in the order of their times.
    pub(crate) fn take_changes(&mut self) -> Vec<StatusChange> {
        std::mem::take(&mut self.watches.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use crate::change::{NewMessage, Patch};
    use crate::plan::Planner;

    const NOW: i64 = 1_795_000_000;

    fn store() -> MessageStore {
        let calendar = Calendar::new(9, 20, NOW, 5);
        MessageStore::new("AC9".to_owned(), Planner::new(9, NOW, 0), calendar, 400)
    }

    fn inserted(store: &mut MessageStore, url: Option<&str>) -> u64 {
        let new = NewMessage {
            status_callback: url.map(str::to_owned),
            ..NewMessage::default()
        };
        store.insert(new, NOW)
    }

    fn statuses(store: &mut MessageStore) -> Vec<Status> {
        store
            .take_changes()
            .iter()
            .map(|change| change.message.status)
            .collect()
    }

    #[test]
    fn every_status_after_the_first_is_reported_even_if_the_clock_jumps() {
        let mut store = store();
        inserted(&mut store, Some("https://a.example/"));
        assert!(statuses(&mut store).is_empty());
        store.settle(NOW + 30 * 86_400);
        let seen = statuses(&mut store);
        assert_eq!(seen[..2], [Status::Sending, Status::Sent]);
        store.settle(NOW + 60 * 86_400);
        assert!(statuses(&mut store).is_empty());
    }

    #[test]
    fn a_patch_is_reported_once_and_ends_the_clocks_changes() {
        let mut store = store();
        let rank = inserted(&mut store, Some("https://a.example/"));
        let patch = Patch {
            status: Some(Status::Undelivered),
            error_code: Some(Some(30005)),
            ..Patch::default()
        };
        store.patch(rank, patch.clone(), NOW);
        store.patch(rank, patch, NOW);
        let changes = store.take_changes();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].message.error_code, Some(30005));
        store.settle(NOW + 30 * 86_400);
        assert!(statuses(&mut store).is_empty());
    }

    #[test]
    fn unwatched_messages_are_reported_only_while_everything_is_watched() {
        let mut store = store();
        let rank = inserted(&mut store, None);
        store.watch_everything(true, NOW);
        store.settle(NOW + 30 * 86_400);
        assert!(!statuses(&mut store).is_empty());
        let read = Patch {
            status: Some(Status::Read),
            ..Patch::default()
        };
        // A generated message, which is not watched.
        store.patch(3, read.clone(), NOW + 30 * 86_400);
        assert_eq!(statuses(&mut store), [Status::Read]);
        store.delete(rank);
        store.watch_everything(false, NOW);
        store.patch(4, read, NOW + 30 * 86_400);
        assert!(statuses(&mut store).is_empty());
    }
}
