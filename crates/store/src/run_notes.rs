//! The counts and other results of a run that are not yet in its row.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use domain::{MisfitCount, Model, Record, RunError, RunId, RunStatus, Timestamp};

use crate::column::to_json;
use crate::dialect::Cached;
use crate::schema::runs;
use crate::{DbConn, StoreError};

/// The statuses of runs that have not ended.
pub(crate) fn active() -> [&'static str; 2] {
    [RunStatus::Queued, RunStatus::Running].map(RunStatus::as_str)
}

/// The results of a run that are added to its row with its next transaction, so that reading unchanged pages needs none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunNotes {
    /// `backfill`, `incremental` or `full`; `None` keeps the stored value.
    pub kind: Option<&'static str>,
    /// Pages read.
    pub pages: u64,
    /// Records inserted.
    pub added: u64,
    /// Records updated.
    pub updated: u64,
    /// Records marked as deleted.
    pub deleted: u64,
    /// Records that were equal to what is stored.
    pub unchanged: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// Values that did not fit their column, by the column's name.
    pub misfits: BTreeMap<String, MisfitCount>,
    /// From 0 to 1; `None` keeps the stored value.
    pub progress: Option<f64>,
    /// Why a list may not have been read to its end; the first reason of a run stays.
    pub incomplete: Option<String>,
    /// The first and the last change number that were written.
    pub changes: Option<(i64, i64)>,
}

impl RunNotes {
    /// Adds later results.
    pub fn merge(&mut self, later: Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        self.kind = later.kind.or(self.kind);
        add(&mut self.pages, later.pages);
        add(&mut self.added, later.added);
        add(&mut self.updated, later.updated);
        add(&mut self.deleted, later.deleted);
        add(&mut self.unchanged, later.unchanged);
        add(&mut self.skipped, later.skipped);
        merge_misfits(&mut self.misfits, later.misfits);
        self.progress = later.progress.or(self.progress);
        self.incomplete = self.incomplete.take().or(later.incomplete);
        self.changes = match (self.changes, later.changes) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (earlier, later) => later.or(earlier),
        };
    }

    /// Counts the values of records that do not fit their columns.
    pub fn count_misfits<'r>(&mut self, model: &Model, records: impl IntoIterator<Item = &'r Record>) {
        for misfit in records.into_iter().flat_map(|record| &record.misfits) {
            if let Some((name, _)) = model.columns.get_index(misfit.column) {
                self.misfit(name.as_str(), misfit.reason);
            }
        }
    }

    fn misfit(&mut self, column: &str, reason: &'static str) {
        // Looked up first, since most misfits are of a column that has some.
        if let Some(of_column) = self.misfits.get_mut(column) {
            of_column.count = of_column.count.saturating_add(1);
            return;
        }
        let first = MisfitCount {
            count: 1,
            first: reason.to_owned(),
        };
        self.misfits.insert(column.to_owned(), first);
    }
}

fn merge_misfits(sum: &mut BTreeMap<String, MisfitCount>, more: BTreeMap<String, MisfitCount>) {
    for (column, more) in more {
        sum.entry(column)
            .and_modify(|sum| sum.count = sum.count.saturating_add(more.count))
            .or_insert(more);
    }
}

/// The end of a run.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Neither queued nor running.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<&'a RunError>,
    /// When it ended.
    pub at: Timestamp,
}

/// Adds the results to the run's row and, with an `ending`, ends the run. A run that has ended stays as it is. The caller must have locked
/// the sync, or be the run's only writer.
pub fn note(
    c: &mut DbConn,
    id: RunId,
    notes: &RunNotes,
    ending: Option<Ending<'_>>,
) -> Result<(), StoreError> {
    let run = || runs::table.filter(runs::id.eq(id.to_string()).and(runs::status.eq_any(active())));
    if let Some(reason) = &notes.incomplete {
        let first = run().filter(runs::incomplete.is_null());
        Cached(diesel::update(first).set(runs::incomplete.eq(reason))).execute(c)?;
    }
    let misfits = if notes.misfits.is_empty() {
        None
    } else {
        let stored: Option<Option<String>> = run().select(runs::misfits).get_result(c).optional()?;
        let stored = stored.flatten().map(|text| serde_json::from_str(&text));
        let mut sum: BTreeMap<String, MisfitCount> = stored
            .transpose()
            .map_err(|error| diesel::result::Error::DeserializationError(error.into()))?
            .unwrap_or_default();
        merge_misfits(&mut sum, notes.misfits.clone());
        Some(to_json(&sum)?)
    };
    let error = ending.and_then(|ending| ending.error);
    // Diesel omits `None` from an update.
    let grown = (
        runs::pages.eq(runs::pages + counted(notes.pages)),
        runs::added.eq(runs::added + counted(notes.added)),
        runs::updated.eq(runs::updated + counted(notes.updated)),
        runs::deleted.eq(runs::deleted + counted(notes.deleted)),
        runs::unchanged.eq(runs::unchanged + counted(notes.unchanged)),
        runs::skipped.eq(runs::skipped + counted(notes.skipped)),
        misfits.map(|misfits| runs::misfits.eq(misfits)),
        notes.progress.map(|progress| runs::progress.eq(progress)),
        notes.kind.map(|kind| runs::kind.eq(kind)),
        notes.changes.map(|(first, _)| {
            let first = sql::<Nullable<BigInt>>("coalesce(first_change, ").bind::<BigInt, _>(first);
            runs::first_change.eq(first.sql(")"))
        }),
        notes.changes.map(|(_, last)| runs::last_change.eq(last)),
        ending.map(|ending| runs::status.eq(ending.status.as_str())),
        ending.map(|ending| runs::finished_at.eq(ending.at.as_micros())),
        error.map(|error| runs::error_code.eq(&error.code)),
        error.map(|error| runs::error_message.eq(&error.message)),
        error
            .and_then(|error| error.hint.as_ref())
            .map(|hint| runs::error_hint.eq(hint)),
    );
    Cached(diesel::update(run()).set(grown)).execute(c)?;
    Ok(())
}

fn counted(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_notes_are_added_and_the_first_reason_stays() {
        let mut notes = RunNotes {
            kind: Some("full"),
            pages: 1,
            incomplete: Some("one".to_owned()),
            progress: Some(0.1),
            ..RunNotes::default()
        };
        notes.misfit("a", "a list");
        let mut later = RunNotes {
            pages: 2,
            unchanged: 7,
            incomplete: Some("two".to_owned()),
            progress: Some(0.5),
            ..RunNotes::default()
        };
        later.misfit("a", "an object");
        later.misfit("b", "an object");
        notes.merge(later);
        assert_eq!((notes.kind, notes.pages, notes.unchanged), (Some("full"), 3, 7));
        assert_eq!(
            (notes.incomplete.as_deref(), notes.progress),
            (Some("one"), Some(0.5))
        );
        assert_eq!(
            (notes.misfits["a"].count, notes.misfits["a"].first.as_str()),
            (2, "a list")
        );
        assert_eq!(notes.misfits["b"].count, 1);
    }
}
