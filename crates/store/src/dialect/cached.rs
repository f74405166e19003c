//! Statements that stay prepared although diesel would prepare them each time.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;
use diesel::{Connection, QueryResult};

use crate::DbConn;

/// A statement with few possible texts, which stays prepared.
///
/// Diesel does not keep an `UPDATE` prepared, since it cannot know how many texts a changeset may have. PostgreSQL takes longer to parse and
/// plan one than to execute it.
#[derive(Debug)]
pub(crate) struct Cached<T>(pub(crate) T);

impl<T> QueryId for Cached<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for Cached<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    // Not in diesel's public documentation. If it is removed, this does not compile.
    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T: QueryFragment<Pg> + QueryFragment<Sqlite>> Cached<T> {
    /// Executes the statement. Returns the number of affected rows.
    pub(crate) fn execute(&self, c: &mut DbConn) -> QueryResult<usize> {
        // On the inner connection, which asks the statement whether it may stay prepared.
        match c {
            DbConn::Pg(c) => c.execute_returning_count(self),
            DbConn::Sqlite(c) => c.execute_returning_count(self),
        }
    }
}
