//! Compares pages with the table without a lock: most pages of most runs hold nothing new.

use std::collections::HashSet;

use domain::Record;
use foldhash::fast::RandomState;

use super::Rows;
use super::commit::{is_last_of_its_key, stored};
use crate::{DbConn, StoreError};

/// Returns for each record of each page whether it must be written: the stored row differs, or another page has another record of the same
/// key, so that their order decides. If a page has a key several times, only its last record counts.
///
/// No lock is needed: a record that equals the stored row needs no writing.
pub fn differing(c: &mut DbConn, rows: &Rows<'_>, pages: &[&[Record]]) -> Result<Vec<Vec<bool>>, StoreError> {
    let all = pages.iter().copied().flatten();
    let stored = stored(
        c,
        rows,
        &all.map(|record| record.key.as_str()).collect::<Vec<_>>(),
    )?;
    let is_stored = |record: &Record| {
        let there = stored.get(record.key.as_str());
        there.is_some_and(|there| !there.deleted && there.hash == record.hash)
    };
    // The keys of which the last record of some page differs from the row.
    let mut changed = HashSet::with_hasher(RandomState::default());
    let last_of_pages: Vec<Vec<bool>> = pages.iter().map(|records| is_last_of_its_key(records)).collect();
    for (records, last) in pages.iter().zip(&last_of_pages) {
        let counting = records.iter().zip(last).filter(|(_, last)| **last);
        changed.extend(
            counting
                .filter(|(record, _)| !is_stored(record))
                .map(|(record, _)| record.key.as_str()),
        );
    }
    let differ = |(records, last): (&&[Record], &Vec<bool>)| {
        let each = records.iter().zip(last);
        each.map(|(record, last)| *last && changed.contains(record.key.as_str()))
            .collect()
    };
    Ok(pages.iter().zip(&last_of_pages).map(differ).collect())
}
