//! What differs between the two databases, and SQL that is text.

mod cached;
mod copy;
mod introspect;
pub(crate) mod lineage;
mod model;
mod statement;
mod text;

pub(crate) use cached::Cached;
pub(crate) use copy::copy;
#[cfg(feature = "testing")]
pub(crate) use introspect::all_rows;
pub(crate) use introspect::{TableShape, ddl, is_empty, table_shape, tables_named};
#[cfg(feature = "testing")]
pub use introspect::{describe_tables, waits_for_lock};
pub(crate) use model::{
    Comparison, column_type, comparison, long_condition, order_time, quoted, short_condition,
    shortest_decimal, text_prefix,
};
pub(crate) use statement::{Bind, Fields, Statement, any, inserts, integer_list, text_list};
pub(crate) use text::{
    TABLES_LOCK, VAULT_KEYS_LOCK, advisory_lock, applied_migrations, checkpoint, connection_budget,
    is_in_gap, json_field, lock_counter, lock_rows, locking, raise_counters, session,
    speaks_another_language, tag_is, takes_writes,
};

/// Runs one query body against whichever database is open.
///
/// Diesel's `MultiConnection` alone has no `ON CONFLICT`, no migrations and no transactions of a chosen kind; expanding the body
/// once for each database does, and both expansions are type-checked.
macro_rules! on_db {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::DbConn::Pg($c) => $body,
            $crate::DbConn::Sqlite($c) => $body,
        }
    };
}
pub(crate) use on_db;
