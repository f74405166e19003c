//! Records that come by themselves and not with a page of a sync: the answers of actions.
//!
//! They take the same locks as a page and are numbered with it, so that they may be written beside a running sync.

use domain::{Record, stored_key};

use super::commit::{bury, write_rows};
use super::{PageCounts, Rows};
use crate::dialect::lock_access;
use crate::{DbConn, StoreError};

/// Writes records; to be called within [`crate::Store::write`]. Nothing happens if the connection is being deleted, whose rows
/// are gone already.
pub fn put(c: &mut DbConn, rows: &Rows<'_>, records: &[Record]) -> Result<PageCounts, StoreError> {
    if lock_access(c, rows.connection)? {
        write_rows(c, rows, records, None, None)
    } else {
        Ok(PageCounts::default())
    }
}

/// Marks the records with these keys, as the provider knows them, deleted and empties all but the keys; gives how many were live. As [`put`] otherwise.
pub fn remove(c: &mut DbConn, rows: &Rows<'_>, keys: &[String]) -> Result<u64, StoreError> {
    if lock_access(c, rows.connection)? {
        let keys: Vec<_> = keys.iter().map(|key| stored_key(key).into_owned()).collect();
        bury(c, rows, &keys, i64::MAX)
    } else {
        Ok(0)
    }
}
