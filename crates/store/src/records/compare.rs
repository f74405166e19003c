//! Finds out without a transaction whether a page holds anything new: most pages of most runs do not.

use std::collections::HashSet;

use domain::Record;
use foldhash::fast::RandomState;

use super::Rows;
use super::commit::stored;
use crate::{DbConn, StoreError};

/// Leaves of each page's records those that differ from what is stored; gives how many of each page do not. Of several records of a
/// page with one key the last counts.
///
/// Nothing is locked: a record that was read as it is stored needs no writing, whatever is written after that.
pub fn keep_differing(
    c: &mut DbConn,
    rows: &Rows<'_>,
    pages: &mut [Vec<Record>],
) -> Result<Vec<u64>, StoreError> {
    let all: Vec<_> = pages.iter().flatten().collect();
    let stored = stored(c, rows, &all)?;
    let differs = |record: &Record| {
        let there = stored.get(record.key.as_str());
        there.is_none_or(|there| there.deleted || there.hash != record.hash)
    };
    let compare = |records: &mut Vec<Record>| {
        let mut later = HashSet::with_capacity_and_hasher(records.len(), RandomState::default());
        let mut kept: Vec<bool> = Vec::with_capacity(records.len());
        let mut unchanged = 0;
        for record in records.iter().rev() {
            let counts = later.insert(record.key.as_str());
            let keep = counts && differs(record);
            unchanged += u64::from(counts && !keep);
            kept.push(keep);
        }
        drop(later);
        records.retain(|_| kept.pop().unwrap_or_default());
        unchanged
    };
    Ok(pages.iter_mut().map(compare).collect())
}
