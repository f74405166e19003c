//! The transactions of a group of events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, IncomingEvent, IncomingStatus, RowId, SyncFilter, SyncName, Timestamp, stored_key};
use registry::Provider;
use store::incoming::{self, IncomingEnd, LeasedIncoming};
use store::records::{self, RowChanges};
use store::{DbConn, StoreError, lease, syncs};

use super::apply::apply;
use super::plan::{Plan, Tables};
use super::reread::{Found, Wanted};
use super::{again, shown, wants_forward};

/// What a group means, and for whom.
pub(super) struct Work {
    pub(super) now: Timestamp,
    pub(super) connection: Connection,
    pub(super) provider: Arc<Provider>,
    pub(super) tables: Tables,
    /// One for each event.
    pub(super) plans: Vec<Plan>,
    pub(super) events: Arc<Vec<LeasedIncoming>>,
    pub(super) holder: String,
}

/// What the first transaction left to do: the positions of events that have not ended, each with the records that it needs.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) events: BTreeMap<usize, BTreeSet<(SyncName, String)>>,
    /// The syncs of rows that may be older than their events.
    pub(super) unsure: BTreeSet<SyncName>,
}

impl Pending {
    pub(super) fn wanted(&self, work: &Work) -> Wanted {
        let mut wanted = Wanted::new();
        for (index, keys) in &self.events {
            let Some(leased) = work.events.get(*index) else {
                continue;
            };
            // A replay reads the record again, even if this process has read it since the event arrived.
            let replayed = leased.event.processed_at.is_some();
            let number = if replayed {
                i64::MAX
            } else {
                leased.event.number.raw()
            };
            for (sync, key) in keys {
                let of_sync = wanted.entry(sync.clone()).or_default();
                let need = of_sync.entry(key.clone()).or_default();
                need.event = need.event.max(number);
                need.first |= leased.event.attempts == 0;
            }
        }
        wanted
    }
}

impl Work {
    /// Applies what the events say by themselves, and ends those that need no more.
    pub(super) fn apply(&self, c: &mut DbConn) -> Result<Pending, StoreError> {
        let numbers: Vec<i64> = self
            .events
            .iter()
            .map(|leased| leased.event.number.raw())
            .collect();
        incoming::check(c, &self.holder, &numbers)?;
        // Before the rows, as a page locks its sync before them.
        self.start_runs(c, &self.plans.iter().flat_map(|plan| &plan.runs).collect())?;
        let mut pending = Pending::default();
        let mut changed = BTreeMap::new();
        // In the order of the tables' names, so that two workers never wait for each other.
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by(|(_, one), (_, other)| one.model.table.cmp(&other.model.table));
        for (sync, table) in tables {
            let changes = self.plans.iter().enumerate().flat_map(|(index, plan)| {
                let of_sync = plan.changes.iter().filter(move |(name, _)| name == sync);
                of_sync.map(move |(_, change)| (index, change))
            });
            let (indexes, changes): (Vec<usize>, Vec<_>) = changes.unzip();
            if changes.is_empty() {
                continue;
            }
            let declared = self.provider.syncs.get(sync);
            let can_reread = declared.is_some_and(|declared| declared.reread.is_some());
            let applied = apply(c, table, self.connection.id, &changes, can_reread, self.now)?;
            let Some(applied) = applied else {
                // The connection is being deleted, which erases the events.
                return Err(StoreError::LeaseLost);
            };
            for (key, positions) in &applied.reread {
                for index in positions.iter().filter_map(|position| indexes.get(*position)) {
                    let keys = pending.events.entry(*index).or_default();
                    keys.insert((sync.clone(), key.clone()));
                }
            }
            if applied.unsure {
                pending.unsure.insert(sync.clone());
            }
            changed.insert(sync.clone(), applied.rows);
        }
        self.note_changes(c, &changed, self.now)?;
        for index in 0..self.events.len() {
            if !pending.events.contains_key(&index) {
                self.end(c, index, None, self.now)?;
            }
        }
        Ok(pending)
    }

    /// Stores the records that were read, and ends the events that needed them. A row that was written since the request may have older
    /// values, of a request before: it stays as it is, and its events are processed again. Returns the stored keys of such rows.
    pub(super) fn store_found(
        &self,
        c: &mut DbConn,
        pending: &Pending,
        found: &BTreeMap<SyncName, Found>,
        now: Timestamp,
    ) -> Result<BTreeMap<SyncName, BTreeSet<String>>, StoreError> {
        let numbers = pending.events.keys().filter_map(|index| self.events.get(*index));
        let numbers: Vec<i64> = numbers.map(|leased| leased.event.number.raw()).collect();
        incoming::check(c, &self.holder, &numbers)?;
        let mut changed = BTreeMap::new();
        let mut passed_over = BTreeMap::new();
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by(|(_, one), (_, other)| one.model.table.cmp(&other.model.table));
        for (sync, table) in tables {
            let Some(found) = found.get(sync) else { continue };
            let rows = table.rows(self.connection.id, now);
            let keys = found.records.iter().map(|record| record.key.as_str());
            let keys: Vec<&str> = keys.chain(found.gone.iter().map(String::as_str)).collect();
            let Some(stored) = records::lock_and_read(c, &rows, &keys)? else {
                return Err(StoreError::LeaseLost);
            };
            let newer = stored.into_iter().filter(|(_, row)| {
                let number = row.record.as_ref().map(|record| record.cursor);
                number.is_some_and(|number| number > found.up_to)
            });
            let newer: BTreeSet<String> = newer.map(|(key, _)| key).collect();
            passed_over.insert(sync.clone(), newer);
            let written = records::put_and_remove(c, &rows, &found.records, &found.gone, Some(found.up_to))?;
            changed.insert(sync.clone(), written);
        }
        self.note_changes(c, &changed, now)?;
        for (index, keys) in &pending.events {
            let failed = keys
                .iter()
                .find_map(|(sync, key)| found.get(sync)?.failed.get(key));
            let is_passed_over = |(sync, key): &(SyncName, String)| {
                let keys = passed_over.get(sync);
                keys.is_some_and(|keys| keys.contains(stored_key(key).as_ref()))
            };
            if failed.is_none()
                && keys.iter().any(is_passed_over)
                && let Some(leased) = self.events.get(*index)
            {
                incoming::release(c, &self.holder, &[leased.event.number.raw()], now)?;
                continue;
            }
            self.end(c, *index, failed, now)?;
        }
        Ok(passed_over)
    }

    /// Ends an event, with the event for the app, or has it tried again.
    fn end(
        &self,
        c: &mut DbConn,
        index: usize,
        failed: Option<&(String, Duration)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (Some(leased), Some(plan)) = (self.events.get(index), self.plans.get(index)) else {
            return Ok(());
        };
        let number: RowId<IncomingEvent> = leased.event.number;
        let failed = failed.map(|(error, wait)| again(leased, error, *wait, now));
        if let Some(again @ IncomingEnd::Again(..)) = &failed {
            return incoming::finish(c, number, again, now);
        }
        // The app gets an event that failed too.
        if wants_forward(c, &leased.event)? {
            let event = plan.forward.as_event(&leased.event);
            gateway::events::provider_event(c, &leased.event, Some(&self.connection), &event, now)?;
        }
        let end = match (failed, &plan.error) {
            (Some(end), _) => end,
            (None, Some(error)) => IncomingEnd::Ended(IncomingStatus::Failed, Some(shown(error))),
            (None, None) => IncomingEnd::Ended(IncomingStatus::Processed, None),
        };
        incoming::finish(c, number, &end, now)
    }

    /// Writes the events about changed rows.
    fn note_changes(
        &self,
        c: &mut DbConn,
        changed: &BTreeMap<SyncName, RowChanges>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (sync, rows) in changed.iter().filter(|(_, rows)| rows.any()) {
            if let Some(table) = self.tables.get(sync) {
                let started = self.now;
                gateway::events::rows_changed(
                    c,
                    &self.connection,
                    (sync, &table.model),
                    rows,
                    (started, now),
                )?;
            }
        }
        Ok(())
    }

    /// Makes syncs due.
    pub(super) fn start_runs(&self, c: &mut DbConn, names: &BTreeSet<&SyncName>) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let filter = SyncFilter {
            integration: Some(self.connection.integration.clone()),
            connection_name: Some(self.connection.name.clone()),
            names: Some(names.iter().copied().cloned().collect()),
        };
        for sync in syncs::list(c, self.connection.environment, &filter)? {
            if !sync.paused {
                lease::bring_forward(c, sync.id, self.now)?;
            }
        }
        Ok(())
    }
}
