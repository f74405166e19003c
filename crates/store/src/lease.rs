//! Leased work: rows that fall due, each of which one holder at a time may work on.
//!
//! A table of leased work has a numeric key and three columns:
//!
//! - `due_at`: when the work is due or, while `holder` names a holder, when the lease expires. Null if there is nothing to do. So the work
//!   of a dead holder falls due by itself, and a holder must still be the holder when it stores its result.
//! - `holder`: the name of the claim that has the lease. Each claim has a name of its own, even those of one worker: what is left of
//!   earlier work must not pass for the work that was claimed after it.
//! - `due_within`: how far `due_at` was ahead of the clock when it was written. A `due_at` that is further ahead was written by a wrong
//!   clock, and [`release_misdated`] makes it due.
//!
//! A further kind of work is a table with these columns, an implementation of [`Leased`] here, and one of `Work` in the worker.
//!
//! Syncs, actions, events of providers and webhook subscriptions are leased themselves. Deliveries are not: the endpoint is leased, and its
//! holder makes and sends all its deliveries.

use std::time::Duration;

use domain::{ActionJob, Clock, Endpoint, IncomingEvent, RowId, StoredSubscription, Sync, SyncId, Timestamp};
use tokio::time::Instant;

use crate::dialect::{Bind, Statement, any, integer_list, locking};
use crate::{DbConn, Store, StoreError};

/// Work in a table of leased work.
pub trait Leased {
    /// The table.
    const TABLE: &'static str;
    /// The column of its key.
    const KEY: &'static str;
    /// How claims are shared out; `None` for longest due first.
    const SHARES: Option<Shares> = None;
}

/// Shares out claims: the values of a column take turns, and each has a limit.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// The column.
    pub column: &'static str,
    /// How many rows with one value may be claimed at once.
    pub most: i64,
}

impl Leased for Sync {
    const TABLE: &'static str = "schedule";
    const KEY: &'static str = "sync_id";
}

impl Leased for ActionJob {
    const TABLE: &'static str = "actions";
    const KEY: &'static str = "number";
    /// So that the backlog of one connection leaves room for others.
    const SHARES: Option<Shares> = Some(Shares {
        column: "connection_id",
        most: 8,
    });
}

impl Leased for Endpoint {
    const TABLE: &'static str = "webhook_endpoints";
    const KEY: &'static str = "number";
}

impl Leased for IncomingEvent {
    const TABLE: &'static str = "incoming_events";
    const KEY: &'static str = "number";
    /// So that the backlog of one connection leaves room for others.
    const SHARES: Option<Shares> = Some(Shares {
        column: "connection_id",
        most: 200,
    });
}

impl Leased for StoredSubscription {
    const TABLE: &'static str = "webhook_subscriptions";
    const KEY: &'static str = "number";
}

/// The right of one claim to work on a row, until it expires.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease<W> {
    /// The row.
    pub id: RowId<W>,
    /// The name of the claim.
    pub holder: String,
}

impl<W: Leased> Lease<W> {
    /// Returns the lease of `holder` on a row, whether it has it or not.
    pub fn new(id: RowId<W>, holder: impl Into<String>) -> Self {
        Self {
            id,
            holder: holder.into(),
        }
    }

    /// Takes the row from its holder, if any, which can store nothing any more.
    pub fn take(&self, c: &mut DbConn, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let filter = format!("{} = ?", W::KEY);
        let binds = vec![Bind::text(&*self.holder), Bind::integer(self.id.raw())];
        set_due::<W>(c, Some(until), now, ", holder = ?", &filter, binds).map(drop)
    }

    /// Extends the lease. Returns false if it is lost.
    pub fn renew(&self, c: &mut DbConn, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        set_due::<W>(c, Some(until), now, "", &Self::filter(), self.binds()).map(|rows| rows == 1)
    }

    /// Locks the row until the transaction ends. [`StoreError::LeaseLost`] if the lease is lost.
    pub fn check(&self, c: &mut DbConn) -> Result<(), StoreError> {
        if lock(c, self.id)?.as_deref() == Some(&*self.holder) {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }

    /// Gives the row back, due at `next_due` (`None`: never). Returns false if the lease is lost.
    pub fn finish(
        &self,
        c: &mut DbConn,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.finish_with(c, next_due, Vec::new(), now)
    }

    /// Gives the row back as [`Lease::finish`] does, and sets further columns of it.
    pub(crate) fn finish_with<'a>(
        &'a self,
        c: &mut DbConn,
        next_due: Option<Timestamp>,
        columns: Vec<(&str, Bind<'a>)>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut set = ", holder = NULL".to_owned();
        let mut binds = Vec::with_capacity(columns.len() + 2);
        for (column, value) in columns {
            set.extend([", ", column, " = ?"]);
            binds.push(value);
        }
        binds.extend(self.binds());
        set_due::<W>(c, next_due, now, &set, &Self::filter(), binds).map(|rows| rows == 1)
    }

    /// Renews the lease every third of `length`. Returns when it is lost: another claim has the row, or the database could not be
    /// reached for `length`.
    pub async fn keep(self, store: &Store, clock: &Clock, length: Duration)
    where
        W: Clone + Send + 'static,
    {
        // By the monotonic clock: the wall clock may be set back.
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(length / 3).await;
            let (lease, now, began) = (self.clone(), clock.now(), Instant::now());
            let renewal = store.write(move |c| lease.renew(c, now.plus(length), now));
            match renewal.await {
                Ok(true) => renewed = began,
                Err(error) if renewed.elapsed() < length => {
                    error.log_retry("a lease could not be renewed; the worker tries again");
                }
                Ok(false) | Err(_) => return,
            }
        }
    }

    fn filter() -> String {
        format!("{} = ? AND holder = ?", W::KEY)
    }

    fn binds(&self) -> Vec<Bind<'_>> {
        vec![Bind::integer(self.id.raw()), Bind::text(&*self.holder)]
    }
}

/// Leases up to `limit` rows that are due at `now` to `holder` until `until`, and returns their keys in the order in which they are due.
///
/// Rows that another worker claims at the same moment are passed over.
pub(crate) fn claim<W: Leased>(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let (table, key) = (W::TABLE, W::KEY);
    let lock = locking(c, " FOR UPDATE SKIP LOCKED");
    let at = || Bind::integer(now.as_micros());
    let due = match W::SHARES {
        None => Statement::new(
            format!("SELECT {key} FROM {table} WHERE due_at <= ? ORDER BY due_at, {key} LIMIT ?{lock}"),
            vec![at(), Bind::integer(limit)],
        ),
        Some(Shares { column, most }) => {
            let busy = format!(
                "SELECT {column}, COUNT(*) AS held FROM {table} WHERE holder IS NOT NULL AND due_at > ? GROUP BY {column}"
            );
            let ranked = format!(
                "SELECT {key}, due_at, COALESCE(held, 0) + row_number() OVER (PARTITION BY {table}.{column} ORDER BY due_at, {key}) \
                 AS place FROM {table} LEFT JOIN ({busy}) AS busy ON busy.{column} = {table}.{column} WHERE due_at <= ?"
            );
            let candidates = format!(
                "SELECT {key} FROM ({ranked}) AS ranked WHERE place <= ? ORDER BY place, due_at, {key} LIMIT ?"
            );
            // A window function takes no lock, so its rows are locked in a second step, which checks again that they are due.
            Statement::new(
                format!("SELECT {key} FROM {table} WHERE {key} IN ({candidates}) AND due_at <= ?{lock}"),
                vec![at(), at(), Bind::integer(most), Bind::integer(limit), at()],
            )
        }
    };
    let keys = due.load(c, |row| row.some_integer(0))?;
    if !keys.is_empty() {
        let filter = format!("{key} {}", any(c.dialect()));
        let binds = vec![Bind::text(holder), integer_list(c.dialect(), &keys)?];
        set_due::<W>(c, Some(until), now, ", holder = ?", &filter, binds)?;
    }
    Ok(keys)
}

/// Locks the row until the transaction ends, so that what depends on its state is decided by one transaction at a time. Returns the holder.
pub fn lock<W: Leased>(c: &mut DbConn, id: RowId<W>) -> Result<Option<String>, StoreError> {
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!("SELECT holder FROM {} WHERE {} = ?{lock}", W::TABLE, W::KEY);
    let holder = Statement::new(sql, vec![Bind::integer(id.raw())]).first(c, |row| row.text(0))?;
    Ok(holder.flatten())
}

/// Sets when the sync is due next (`None`: never). A sync that is leased stays as it is: its holder sets that at the end of the run.
pub fn reschedule(
    c: &mut DbConn,
    sync: SyncId,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let filter = "sync_id = ? AND holder IS NULL";
    set_due::<Sync>(c, due_at, now, "", filter, vec![Bind::integer(sync.raw())]).map(drop)
}

/// Makes the sync due now, unless it is leased or due already.
pub fn bring_forward(c: &mut DbConn, sync: SyncId, now: Timestamp) -> Result<(), StoreError> {
    let filter = "sync_id = ? AND holder IS NULL AND (due_at IS NULL OR due_at > ?)";
    let binds = vec![Bind::integer(sync.raw()), Bind::integer(now.as_micros())];
    set_due::<Sync>(c, Some(now), now, "", filter, binds).map(drop)
}

/// Makes rows due now, unless they are leased or due already.
pub(crate) fn make_due<W: Leased>(c: &mut DbConn, keys: &[i64], now: Timestamp) -> Result<(), StoreError> {
    let filter = format!(
        "holder IS NULL AND (due_at IS NULL OR due_at > ?) AND {} {}",
        W::KEY,
        any(c.dialect())
    );
    let binds = vec![Bind::integer(now.as_micros()), integer_list(c.dialect(), keys)?];
    set_due::<W>(c, Some(now), now, "", &filter, binds).map(drop)
}

/// Makes due what a wrong clock set to be due, or leased, too far in the future. Returns how many rows that were.
pub fn release_misdated<W: Leased>(c: &mut DbConn, now: Timestamp) -> Result<usize, StoreError> {
    let limit = now.plus(Timestamp::CLOCK_SKEW).as_micros();
    let binds = vec![Bind::integer(limit), Bind::integer(limit)];
    let filter = "due_at > ? AND due_at - due_within > ?";
    set_due::<W>(c, Some(now), now, "", filter, binds)
}

/// Returns when the next row is due or its lease expires.
pub fn next_due<W: Leased>(c: &mut DbConn) -> Result<Option<Timestamp>, StoreError> {
    let sql = format!("SELECT min(due_at) FROM {}", W::TABLE);
    let due = Statement::new(sql, Vec::new()).first(c, |row| row.integer(0))?;
    Ok(due.flatten().map(Timestamp::from_micros))
}

/// Returns how many rows have a holder.
pub fn count_held<W: Leased>(c: &mut DbConn) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE due_at IS NOT NULL AND holder IS NOT NULL",
        W::TABLE
    );
    let count = Statement::new(sql, Vec::new()).first(c, |row| row.some_integer(0))?;
    Ok(count.unwrap_or_default())
}

/// Returns `due_at` and `due_within` of a due time that is written at `now`.
pub(crate) fn due(at: Option<Timestamp>, now: Timestamp) -> (Option<i64>, i64) {
    let within = at.map_or(Duration::ZERO, |at| at.since(now));
    let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
    (at.map(Timestamp::as_micros), within)
}

/// Sets the due time, and what `set` says, of the rows that pass the filter. `binds` are those of both. Returns how many rows those were.
fn set_due<W: Leased>(
    c: &mut DbConn,
    at: Option<Timestamp>,
    now: Timestamp,
    set: &str,
    filter: &str,
    binds: Vec<Bind<'_>>,
) -> Result<usize, StoreError> {
    let (at, within) = due(at, now);
    let sql = format!(
        "UPDATE {} SET due_at = ?, due_within = ?{set} WHERE {filter}",
        W::TABLE
    );
    let mut all = vec![Bind::Integer(at), Bind::integer(within)];
    all.extend(binds);
    Statement::new(sql, all).execute(c)
}
