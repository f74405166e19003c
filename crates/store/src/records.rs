//! The rows of synced records: written by pages, marked deleted, listed, followed.

mod commit;
mod query;
mod single;
mod sql;
mod write;

pub use commit::{DeleteCommit, Lease, PageCommit, PageCounts, Rows, SliceChange, commit_page, mark_deleted};
pub use query::{
    Bound, KeyRange, Position, RecordQuery, StoredRecord, changes, count_live, delete_connection, list,
    live_keys, undated_since, unfinished,
};
pub use single::{put, remove};
pub use sql::TableSql;
