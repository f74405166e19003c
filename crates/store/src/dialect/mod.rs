//! What differs between the two databases, and the one door for SQL that is text.

mod introspect;
mod model;
mod statement;
mod text;

#[cfg(feature = "testing")]
pub(crate) use introspect::describe;
pub(crate) use introspect::{TableShape, ddl, table_shape};
pub(crate) use model::{column_type, newest, quoted};
pub(crate) use statement::{Bind, Fields, Statement};
pub(crate) use text::{
    advisory_lock, begin, claim_actions, claim_due, delete_old_runs, json_field, lock_access, lock_counter,
    lock_holder, session, tag_is,
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

use crate::{DbConn, Dialect};

impl DbConn {
    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Pg(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }
}
