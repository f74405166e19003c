//! Builds the statements that read a connection's rows.

use domain::{ConnectionId, TableName, Timestamp};

use super::TableSql;
use crate::StoreError;
use crate::dialect::{Bind, Statement, any, quoted, text_list};

/// The limits of most statements: pages of 100 and 1,000 rows and the row after them, and what a sync reads at once.
///
/// They are written into the SQL: if the limit is a parameter, PostgreSQL cannot estimate the cost of a plan, and plans the statement again
/// each time. Any other limit is a parameter, so that the number of statements is limited.
const USUAL_LIMITS: [i64; 7] = [1, 100, 101, 200, 1_000, 1_001, 5_000];
/// As a sum: SQLite prepares a statement again for each value of a parameter that is the whole limit.
const OTHER_LIMIT: &str = " LIMIT ? + 0";

/// A statement to which conditions are added.
pub(super) struct Select<'a> {
    pub(super) table: &'a TableSql,
    sql: String,
    binds: Vec<Bind<'a>>,
}

impl<'a> Select<'a> {
    /// Selects the rows of a connection; `select` is one of the table's statements that end with `WHERE`.
    pub(super) fn of(table: &'a TableSql, select: &str, connection: ConnectionId) -> Self {
        Self {
            table,
            sql: format!("{select}\"_connection_id\" = ?"),
            binds: vec![Bind::integer(connection.raw())],
        }
    }

    pub(super) fn and(&mut self, condition: &str, binds: impl IntoIterator<Item = Bind<'a>>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.binds.extend(binds);
    }

    /// Adds the condition that a text column has one of the values.
    pub(super) fn and_any_of(&mut self, column: &TableName, values: &[&'a str]) -> Result<(), StoreError> {
        let dialect = self.table.dialect;
        let condition = format!("{} {}", quoted(column), any(dialect));
        self.and(&condition, [text_list(dialect, values)?]);
        Ok(())
    }

    /// Adds a condition on a timestamp column. If rows are ordered by this column first, the condition implies one on the order, which is
    /// added too since the order has an index.
    pub(super) fn and_time(&mut self, column: &TableName, comparison: &str, time: Timestamp) {
        self.and(
            &format!("{} {comparison} ?", quoted(column)),
            [Bind::moment(time)],
        );
        let newest_by = &self.table.model.newest_by;
        if newest_by.len() > 1 && newest_by.first() == Some(column) {
            let condition = format!("{} {comparison} ?", self.table.order_time);
            self.and(&condition, [Bind::moment(time)]);
        }
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
