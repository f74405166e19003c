//! Statements that are prepared once for each connection though diesel would prepare them each time.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;
use diesel::{Connection, QueryResult};

use crate::DbConn;

/// A statement whose text is one of few, to be kept prepared under that text.
///
/// Diesel keeps no `UPDATE` prepared, since it cannot know how many texts a changeset may have. To parse and plan one takes PostgreSQL longer
/// than to carry it out.
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

    // Not in diesel's documents, which leave it to implementations of connections. If it goes, this does not compile.
    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T: QueryFragment<Pg> + QueryFragment<Sqlite>> Cached<T> {
    /// Runs it; returns how many rows it touched.
    pub(crate) fn execute(&self, c: &mut DbConn) -> QueryResult<usize> {
        // On the connection itself: diesel's connection of either kind asks the statement within whether it may be kept.
        match c {
            DbConn::Pg(c) => c.execute_returning_count(self),
            DbConn::Sqlite(c) => c.execute_returning_count(self),
        }
    }
}
