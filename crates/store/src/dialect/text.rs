//! SQL of the control tables that diesel cannot express.

use diesel::connection::SimpleConnection;
use domain::ConnectionId;

use super::{Bind, Statement, table_shape};
use crate::{DbConn, Dialect, StoreError};

/// The advisory lock for creating and changing tables, so that several processes can start at once. Any unused number.
pub(crate) const TABLES_LOCK: i64 = 0x7472_756e_6b6c_696e;
/// The advisory lock for deciding which keys seal credentials.
pub(crate) const VAULT_KEYS_LOCK: i64 = 0x7472_756e_6b6c_766b;

/// Returns the settings of a new SQLite connection. The timeout comes first, since enabling WAL may have to wait.
///
/// A checkpoint comes every 64 MB instead of 4: a page of records touches leaves all over the indexes, which a checkpoint writes and syncs
/// one by one, so rarer checkpoints write each leaf once for many pages. Overwritten and deleted data is zeroed in pages that are written
/// anyway (`secure_delete`), so that no secret remains in the file. The caches have fixed sizes and the file is not mapped, so that memory
/// does not grow with the file.
pub(crate) const fn session(writer: bool) -> &'static str {
    if writer {
        "PRAGMA busy_timeout = 4000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768;
         PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY;"
    } else {
        "PRAGMA busy_timeout = 4000; PRAGMA query_only = ON;
         PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;"
    }
}

/// Moves SQLite's write-ahead log into the file and truncates it, except what readers still need.
pub(crate) fn checkpoint(c: &mut DbConn) -> Result<(), StoreError> {
    match c {
        DbConn::Sqlite(c) => {
            Ok(c.batch_execute("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE)")?)
        }
        DbConn::Pg(_) => Ok(()),
    }
}

/// Returns whether PostgreSQL accepts writes, without trying one.
pub(crate) fn takes_writes(c: &mut DbConn) -> Result<bool, StoreError> {
    let sql = "SELECT current_setting('default_transaction_read_only') = 'off' AND NOT pg_is_in_recovery()";
    Statement::new(sql, Vec::new()).is_true(c)
}

/// Returns whether PostgreSQL's messages are not in English and this role may change that. See `error.rs` for why it matters.
pub(crate) fn speaks_another_language(c: &mut DbConn) -> Result<bool, StoreError> {
    let sql = "SELECT current_setting('lc_messages') !~* '^(C|POSIX|en)([_.@]|$)' \
               AND has_parameter_privilege('lc_messages', 'SET')";
    Statement::new(sql, Vec::new()).is_true(c)
}

/// Returns the versions of the applied migrations; none if diesel's table of them does not exist, which is not created.
pub(crate) fn applied_migrations(c: &mut DbConn) -> Result<Vec<String>, StoreError> {
    const TABLE: &str = "__diesel_schema_migrations";
    if table_shape(c, TABLE)?.columns.is_empty() {
        return Ok(Vec::new());
    }
    Statement::new(
        format!("SELECT version FROM {TABLE} ORDER BY version"),
        Vec::new(),
    )
    .load(c, |row| row.some_text(0))
}

/// Takes an advisory lock of PostgreSQL until the transaction ends. In SQLite a transaction that writes is alone anyway.
pub(crate) fn advisory_lock(c: &mut DbConn, number: i64) -> Result<(), StoreError> {
    if c.dialect() == Dialect::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(?)";
        Statement::new(sql, vec![Bind::integer(number)]).execute(c)?;
    }
    Ok(())
}

/// Returns the clause that locks rows; SQLite's transaction locks the whole file.
pub(crate) fn locking(c: &DbConn, clause: &'static str) -> &'static str {
    match c.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => clause,
    }
}

/// Locks the rows of a table that meet the condition until the transaction ends. Returns whether there are any.
pub(crate) fn lock_rows(
    c: &mut DbConn,
    table: &str,
    condition: &str,
    binds: Vec<Bind<'_>>,
    lock: &'static str,
) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM {table} WHERE {condition}{}", locking(c, lock));
    Ok(!Statement::new(sql, binds).load(c, |_| Ok(()))?.is_empty())
}

/// Locks the counter of the connection's rows in a model's table, and creates it if there is none. Returns the last change number.
pub(crate) fn lock_counter(c: &mut DbConn, connection: ConnectionId, table: &str) -> Result<i64, StoreError> {
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!("SELECT last_number FROM counters WHERE connection_id = ? AND model_table = ?{lock}");
    let whose = || vec![Bind::integer(connection.raw()), Bind::text(table)];
    let select = Statement::new(sql, whose());
    if let Some(number) = select.first(c, |row| row.some_integer(0))? {
        return Ok(number);
    }
    let insert = "INSERT INTO counters (connection_id, model_table, last_number, live, gap_to) \
                  SELECT ?, ?, floor, 0, floor FROM lineage WHERE id = 1 ON CONFLICT DO NOTHING";
    Statement::new(insert, whose()).execute(c)?;
    select
        .first(c, |row| row.some_integer(0))?
        .ok_or(StoreError::NotFound { what: "connection" })
}

/// The fewest numbers that a raise skips: more than a counter assigns between two restores of one backup.
const RAISE: i64 = 1 << 32;

/// Raises all counters, and the floor of new ones, to one bound above any number that was assigned. Returns the bound.
///
/// The bound is the time in microseconds, which no counter reaches by counting: that would take a million changes per second since 1970. In
/// case the clock is wrong, it is at least [`RAISE`] above the counters.
pub(crate) fn raise_counters(c: &mut DbConn) -> Result<i64, StoreError> {
    let (now, most) = match c.dialect() {
        Dialect::Sqlite => ("CAST(unixepoch('subsec') * 1000000 AS INTEGER)", "max"),
        Dialect::Postgres => (
            "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            "greatest",
        ),
    };
    // This locks the row of the lineage, so that two raises run one after the other.
    let floor = format!(
        "UPDATE lineage SET floor = {most}(floor + {RAISE}, (SELECT coalesce(max(last_number), 0) FROM counters) + {RAISE}, {now}) \
         WHERE id = 1 RETURNING floor"
    );
    let bound = Statement::new(floor, Vec::new())
        .first(c, |row| row.some_integer(0))?
        .unwrap_or_default();
    // A counter without changes since the last raise keeps the beginning of its gap.
    let counters = "UPDATE counters SET gap_from = CASE WHEN last_number = gap_to THEN gap_from ELSE last_number END, \
                    gap_to = ?, last_number = ?";
    Statement::new(counters, vec![Bind::integer(bound), Bind::integer(bound)]).execute(c)?;
    Ok(bound)
}

/// Returns whether a change number was assigned in a time that a restore has undone.
pub(crate) fn is_in_gap(
    c: &mut DbConn,
    connection: ConnectionId,
    table: &str,
    number: i64,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM counters \
               WHERE connection_id = ? AND model_table = ? AND gap_from < ? AND gap_to > ?)";
    let binds = vec![
        Bind::integer(connection.raw()),
        Bind::text(table),
        Bind::integer(number),
        Bind::integer(number),
    ];
    Statement::new(sql, binds).is_true(c)
}

/// Returns PostgreSQL's number of connections for normal roles, and how many processes of Trunkline have some, including this one.
pub(crate) fn connection_budget(c: &mut DbConn) -> Result<Option<(i64, i64)>, StoreError> {
    if c.dialect() == Dialect::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint, \
               (SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE application_name LIKE 'trunkline %')";
    Statement::new(sql, Vec::new()).first(c, |row| Ok((row.some_integer(0)?, row.some_integer(1)?)))
}

/// Returns an expression for the text at `path` in the JSON object in `column`. `path` begins with the outermost name.
pub(crate) fn json_field(dialect: Dialect, column: &'static str, path: &[&'static str]) -> String {
    match dialect {
        Dialect::Sqlite => format!("({column} ->> '$.{}')", path.join(".")),
        Dialect::Postgres => format!("({column}::jsonb #>> '{{{}}}')", path.join(",")),
    }
}

/// Returns the condition that a connection has a tag. Bind the tag and its value between the parts.
pub(crate) const fn tag_is(dialect: Dialect) -> [&'static str; 3] {
    match dialect {
        Dialect::Sqlite => [
            "EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ",
            " AND value = ",
            ")",
        ],
        Dialect::Postgres => ["((tags::jsonb ->> ", ") = ", ")"],
    }
}
