//! Writes single records, which the responses of actions contain.
//!
//! They take the same locks and change numbers as a page, so they can be written while a sync runs.

use domain::{Record, stored_key};

use super::commit::{count, mark_live_deleted, write_rows};
use super::{PageCounts, Rows};
use crate::{DbConn, StoreError, credentials};

/// Writes records. Call it in [`crate::Store::write`]. Does nothing if the connection is being deleted, whose rows are deleted already.
pub fn put(c: &mut DbConn, rows: &Rows<'_>, records: &[Record]) -> Result<PageCounts, StoreError> {
    if credentials::lock(c, rows.connection)? {
        write_rows(c, rows, records, None, None)
    } else {
        Ok(PageCounts::default())
    }
}

/// Marks the records with these keys of the provider as deleted, and clears all but the keys. Returns how many were live. See [`put`].
pub fn remove(c: &mut DbConn, rows: &Rows<'_>, keys: &[String]) -> Result<u64, StoreError> {
    if credentials::lock(c, rows.connection)? {
        let keys: Vec<_> = keys.iter().map(|key| stored_key(key).into_owned()).collect();
        let changes = mark_live_deleted(c, rows, &keys, i64::MAX)?;
        Ok(count(changes.as_ref()))
    } else {
        Ok(0)
    }
}
