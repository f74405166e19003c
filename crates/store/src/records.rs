//! The rows of synced records: writing, marking as deleted, listing, the change feed, and pruning.

mod commit;
mod compare;
mod events;
mod feed;
mod query;
mod requested;
mod select;
mod single;
mod sql;
mod write;
mod written;

pub use commit::{PageCommit, PageCounts, Rows, SliceChange, commit_page, mark_deleted};
pub use compare::differing;
pub use events::{
    RowChanges, RowVersion, StoredRow, forget_versions, lock_and_read, put_and_remove, set_versions,
};
pub use feed::{ChangeQuery, Pruned, changes, delete_connection, prune};
#[cfg(feature = "testing")]
pub use query::query_plan;
pub use query::{Bound, KeyQuery, KeyRange, RecordQuery, count_live, last_number, list, live_keys, long_key};
pub use requested::Requested;
pub use single::{put, remove};
pub use sql::TableSql;
pub use written::WrittenKeys;
