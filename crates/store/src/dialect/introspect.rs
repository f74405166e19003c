//! Reads the shape of tables from the database's catalogue.

use diesel::RunQueryDsl;

use domain::TableName;

use super::{Bind, Statement, on_db, quoted};
use crate::{DbConn, StoreError};

/// The shape of a table.
#[derive(Debug, Default)]
pub(crate) struct TableShape {
    /// The columns; empty if there is no such table.
    pub(crate) columns: Vec<ColumnShape>,
    /// The names of its indexes.
    pub(crate) indexes: Vec<String>,
}

impl TableShape {
    /// Returns the column of that name.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnShape> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The shape of a column.
#[derive(Debug)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    /// The type, as the catalogue writes it.
    pub(crate) kind: String,
    /// Whether it is part of the primary key.
    pub(crate) key: bool,
    /// The comment; SQLite has none.
    pub(crate) comment: Option<String>,
}

/// Returns the table of that name in the current schema.
pub(crate) fn table_shape(c: &mut DbConn, table: &str) -> Result<TableShape, StoreError> {
    let (columns, indexes) = match c {
        DbConn::Sqlite(_) => (
            "SELECT name, type, pk > 0, NULL FROM pragma_table_info(?)",
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?",
        ),
        DbConn::Pg(_) => (
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
             EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)), \
             col_description(t.oid, a.attnum) \
             FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE t.relname::text = ? AND t.relnamespace = current_schema()::regnamespace ORDER BY a.attnum",
            "SELECT indexname::text FROM pg_indexes WHERE tablename::text = ? AND schemaname = current_schema()",
        ),
    };
    let columns = Statement::new(columns, vec![Bind::text(table)]).load(c, |row| {
        Ok(ColumnShape {
            name: row.some_text(0)?,
            kind: row.some_text(1)?,
            key: row.boolean(2)?.unwrap_or_default(),
            comment: row.text(3)?,
        })
    })?;
    let indexes = Statement::new(indexes, vec![Bind::text(table)]).load(c, |row| row.some_text(0))?;
    Ok(TableShape { columns, indexes })
}

/// Returns the tables in the current schema whose names begin with the prefix.
pub(crate) fn tables_named(c: &mut DbConn, prefix: &str) -> Result<Vec<String>, StoreError> {
    let sql = match c {
        DbConn::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' AND instr(name, ?) = 1",
        DbConn::Pg(_) => {
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace \
             AND starts_with(relname::text, ?)"
        }
    };
    Statement::new(sql, vec![Bind::text(prefix)]).load(c, |row| row.some_text(0))
}

/// Returns whether the table has no row.
pub(crate) fn is_empty(c: &mut DbConn, table: &TableName) -> Result<bool, StoreError> {
    let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", quoted(table));
    Statement::new(sql, Vec::new()).is_true(c)
}

/// Executes statements that create or change tables, one at a time: the extended protocol, which extensions such as Citus need here, allows
/// only one.
pub(crate) fn ddl(c: &mut DbConn, statements: &[String]) -> Result<(), StoreError> {
    for statement in statements {
        on_db!(&mut *c, c => diesel::sql_query(statement.as_str()).execute(c))?;
    }
    Ok(())
}

/// Describes all tables but that of the migrations, with one line for each column, index and foreign key, alike on both databases.
#[cfg(feature = "testing")]
pub fn describe_tables(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    let sql = match c {
        DbConn::Sqlite(_) => {
            "SELECT 'column ' || t.name || '.' || c.name || CASE WHEN c.\"notnull\" OR c.pk > 0 THEN ' not null' ELSE '' END \
             FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
             AND t.name NOT LIKE 'sqlite%' \
             UNION ALL SELECT 'index ' || t.name || ' on ' || c.name FROM sqlite_master t, pragma_index_list(t.name) i, \
             pragma_index_info(i.name) c WHERE t.type = 'table' AND c.seqno = 0 AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
             UNION ALL SELECT 'index ' || t.name || ' on ' || c.name FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER' AND t.name NOT LIKE 'sqlite%' \
             UNION ALL SELECT 'foreign ' || t.name || ' on ' || f.\"from\" FROM sqlite_master t, pragma_foreign_key_list(t.name) f \
             WHERE t.type = 'table' ORDER BY 1"
        }
        DbConn::Pg(_) => {
            "SELECT 'column ' || table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END AS line \
             FROM information_schema.columns WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_\\_%' \
             UNION ALL SELECT 'index ' || i.indrelid::regclass || ' on ' || a.attname FROM pg_index i JOIN pg_attribute a \
             ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] JOIN pg_class t ON t.oid = i.indrelid \
             WHERE t.relnamespace = current_schema()::regnamespace AND t.relname NOT LIKE '\\_\\_%' \
             UNION ALL SELECT 'foreign ' || f.conrelid::regclass || ' on ' || a.attname FROM pg_constraint f JOIN pg_attribute a \
             ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] WHERE f.contype = 'f' ORDER BY line"
        }
    };
    let mut lines = Statement::new(sql, Vec::new()).load(c, |row| row.some_text(0))?;
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// Returns every row of PostgreSQL's tables as XML, for tests.
#[cfg(feature = "testing")]
pub(crate) fn all_rows(c: &mut DbConn) -> Result<String, StoreError> {
    let sql = "SELECT schema_to_xml(current_schema()::name, true, false, '')::text";
    let rows = Statement::new(sql, Vec::new()).load(c, |row| row.some_text(0))?;
    Ok(rows.concat())
}

/// Returns whether a session of PostgreSQL in this database waits for a lock.
#[cfg(feature = "testing")]
pub fn waits_for_lock(c: &mut DbConn) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
    Statement::new(sql, Vec::new()).is_true(c)
}
