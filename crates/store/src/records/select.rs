//! Builds the statements that read a connection's rows.

use domain::{ConnectionId, Model, TableName, Timestamp};

use super::TableSql;
use super::query::KeyRange;
use crate::dialect::{Bind, Statement, quoted};
use crate::{DbConn, StoreError};

/// The limits of most statements: pages of 100 and 1,000 rows and the row after them, and what a sync reads at once.
///
/// They are written into the SQL: if the limit is a parameter, PostgreSQL cannot estimate the cost of a plan, and plans the statement again
/// each time. Any other limit is a parameter, so that the number of statements is limited.
const USUAL_LIMITS: [i64; 7] = [1, 100, 101, 200, 1_000, 1_001, 5_000];
/// As a sum: SQLite prepares a statement again for each value of a parameter that is the whole limit.
const OTHER_LIMIT: &str = " LIMIT ? + 0";

/// A statement to which conditions are added.
pub(super) struct Select<'a> {
    sql: String,
    binds: Vec<Bind<'a>>,
}

impl<'a> Select<'a> {
    /// Selects the rows of a connection; `select` ends with `WHERE`.
    pub(super) fn of(select: &str, connection: ConnectionId) -> Self {
        Self {
            sql: format!("{select}\"_connection_id\" = ?"),
            binds: vec![Bind::integer(connection.raw())],
        }
    }

    /// Selects the keys of a connection's live rows.
    pub(super) fn live_keys(table: &TableSql, connection: ConnectionId) -> Self {
        let mut select = Self::of(&table.select_key, connection);
        select.and("\"_deleted_at\" IS NULL", []);
        select
    }

    pub(super) fn and(&mut self, condition: &str, binds: impl IntoIterator<Item = Bind<'a>>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.binds.extend(binds);
    }

    /// Adds a condition on a timestamp column. If rows are ordered by this column first, the condition implies one on the order, which is
    /// added too since the order has an index.
    pub(super) fn and_time(
        &mut self,
        table: &TableSql,
        model: &Model,
        column: &TableName,
        comparison: &str,
        time: Timestamp,
    ) {
        self.and(
            &format!("{} {comparison} ?", quoted(column)),
            [Bind::moment(time)],
        );
        if model.newest_by.len() > 1 && model.newest_by.first() == Some(column) {
            self.and(&format!("{} {comparison} ?", table.newest), [Bind::moment(time)]);
        }
    }

    pub(super) fn within(&mut self, table: &TableSql, model: &Model, range: &KeyRange<'_>) {
        self.and_time(table, model, range.column, ">=", range.from);
        self.and_time(table, model, range.column, "<", range.to);
    }

    pub(super) fn keys(
        mut self,
        c: &mut DbConn,
        table: &TableSql,
        after: Option<&'a str>,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let key = &table.key;
        if let Some(after) = after {
            self.and(&format!("{key} > ?"), [Bind::text(after)]);
        }
        self.ordered(key, limit).load(c, |row| row.some_text(0))
    }

    pub(super) fn ordered(mut self, order: &str, limit: i64) -> Statement<'a> {
        self.sql.extend([" ORDER BY ", order]);
        if USUAL_LIMITS.contains(&limit) {
            self.sql.extend([" LIMIT ", &limit.to_string()]);
        } else {
            self.sql.push_str(OTHER_LIMIT);
            self.binds.push(Bind::integer(limit));
        }
        Statement::new(self.sql, self.binds)
    }
}
