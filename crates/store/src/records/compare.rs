//! Compares pages with the table without a lock: most pages of most runs hold nothing new.

use std::collections::HashMap;

use domain::Record;
use foldhash::fast::RandomState;

use super::Rows;
use super::commit::stored;
use crate::{DbConn, StoreError};

/// Returns for each record of each page whether it must be written: the stored row differs, or another page has the same key, so
/// that their order decides. If a page has a key several times, only its last record counts.
///
/// No lock is needed: a record that equals the stored row needs no writing.
pub fn differing(c: &mut DbConn, rows: &Rows<'_>, pages: &[&[Record]]) -> Result<Vec<Vec<bool>>, StoreError> {
    let all: Vec<_> = pages.iter().copied().flatten().collect();
    let stored = stored(c, rows, &all)?;
    // The last place of each key within a page, and how many pages have it.
    let mut last = HashMap::with_capacity_and_hasher(all.len(), RandomState::default());
    for (page, records) in pages.iter().enumerate() {
        for (place, record) in records.iter().enumerate() {
            let of_key: &mut (usize, usize, u32) =
                last.entry(record.key.as_str()).or_insert((page, place, 1));
            if of_key.0 != page {
                of_key.2 += 1;
            }
            (of_key.0, of_key.1) = (page, place);
        }
    }
    let differs = |page: usize, place: usize, record: &Record| {
        let Some(&(of_page, of_place, pages)) = last.get(record.key.as_str()) else {
            return true;
        };
        if pages > 1 {
            return true;
        }
        let there = stored.get(record.key.as_str());
        (page, place) == (of_page, of_place)
            && there.is_none_or(|there| there.deleted || there.hash != record.hash)
    };
    let compare = |(page, records): (usize, &&[Record])| {
        let each = records.iter().enumerate();
        each.map(|(place, record)| differs(page, place, record)).collect()
    };
    Ok(pages.iter().enumerate().map(compare).collect())
}
