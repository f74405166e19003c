//! Subscriptions of connections to what their providers send. They are leased work; see [`crate::lease`].
//!
//! A subscription is stored before its first request is sent, and what each request brings before the next one is. So it is known after a
//! crash what the provider may hold.

use diesel::prelude::*;
use domain::{ConnectionId, RowId, StoredSubscription, SubscriptionId, SubscriptionStatus, Timestamp};
use serde_json::{Map, Value as Json};

use crate::column::{row, to_json};
use crate::dialect::{Bind, on_db};
use crate::lease::{self, Lease};
use crate::schema::webhook_subscriptions as subscriptions;
use crate::{DbConn, StoreError};

row!(StoredSubscription: subscriptions {
    number, id, name, input, status, steps, attempts, error, created_at
}, connection = subscriptions::connection_id);

/// The most subscriptions of a connection.
pub const MOST_SUBSCRIPTIONS: usize = 100;

/// A subscription to create.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Its id, if there is none with this name and input yet.
    pub id: SubscriptionId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name in the provider's file.
    pub name: String,
    /// The input of its requests.
    pub input: Map<String, Json>,
    /// A hash that is equal for equal inputs.
    pub input_hash: String,
}

/// The result of [`find_or_insert`].
#[derive(Debug)]
pub enum FoundOrInserted {
    /// It is active already.
    Active(StoredSubscription),
    /// It is new, or was left unfinished; the lease is the caller's.
    Leased(StoredSubscription, Lease<StoredSubscription>),
    /// It is being ended.
    Ending,
    /// Another request works on it.
    Busy,
    /// The connection has [`MOST_SUBSCRIPTIONS`].
    TooMany,
    /// The connection is being deleted.
    ConnectionDeleted,
}

/// Finds or stores a subscription, and leases it to `holder` unless it is active.
pub fn find_or_insert(
    c: &mut DbConn,
    new: &NewSubscription,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<FoundOrInserted, StoreError> {
    if !crate::credentials::lock(c, new.connection)? {
        return Ok(FoundOrInserted::ConnectionDeleted);
    }
    let same = subscriptions::table
        .filter(subscriptions::connection_id.eq(new.connection.raw()))
        .filter(subscriptions::name.eq(&new.name))
        .filter(subscriptions::input_hash.eq(&new.input_hash))
        .select(StoredSubscription::as_select());
    let found: Option<StoredSubscription> = same.get_result(c).optional()?;
    if let Some(row) = found {
        return Ok(match row.status {
            SubscriptionStatus::Active => FoundOrInserted::Active(row),
            SubscriptionStatus::Ending => FoundOrInserted::Ending,
            _ => match lease_free(c, row.number, holder, until, now)? {
                Some((row, lease)) => FoundOrInserted::Leased(row, lease),
                None => FoundOrInserted::Busy,
            },
        });
    }
    if of_connection(c, new.connection)?.len() >= MOST_SUBSCRIPTIONS {
        return Ok(FoundOrInserted::TooMany);
    }
    let (due_at, due_within) = lease::due(Some(until), now);
    let values = (
        subscriptions::id.eq(new.id.to_string()),
        subscriptions::connection_id.eq(new.connection.raw()),
        subscriptions::name.eq(&new.name),
        subscriptions::input.eq(to_json(&new.input)?),
        subscriptions::input_hash.eq(&new.input_hash),
        subscriptions::status.eq(SubscriptionStatus::Creating.as_str()),
        subscriptions::created_at.eq(now.as_micros()),
        subscriptions::due_at.eq(due_at),
        subscriptions::due_within.eq(due_within),
        subscriptions::holder.eq(holder),
    );
    on_db!(&mut *c, c => diesel::insert_into(subscriptions::table).values(values).execute(c))?;
    let row: StoredSubscription = subscriptions::table
        .filter(subscriptions::id.eq(new.id.to_string()))
        .select(StoredSubscription::as_select())
        .get_result(c)?;
    let lease = Lease::new(row.number, holder);
    Ok(FoundOrInserted::Leased(row, lease))
}

/// Leases a subscription if no other holder has it, and returns its current row. Returns `None` if it is leased or deleted.
pub fn lease_free(
    c: &mut DbConn,
    number: RowId<StoredSubscription>,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<(StoredSubscription, Lease<StoredSubscription>)>, StoreError> {
    lease::lock(c, number)?;
    let free = subscriptions::table.find(number.raw()).filter(
        subscriptions::holder
            .is_null()
            .or(subscriptions::due_at.le(now.as_micros())),
    );
    let row: Option<StoredSubscription> = free.select(StoredSubscription::as_select()).first(c).optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    let lease = Lease::new(number, holder);
    lease.take(c, until, now)?;
    Ok(Some((row, lease)))
}

/// Whether the subscription is still stored.
pub fn exists(c: &mut DbConn, number: RowId<StoredSubscription>) -> Result<bool, StoreError> {
    let found = subscriptions::table.find(number.raw());
    Ok(found.count().get_result::<i64>(c)? == 1)
}

/// Returns the subscriptions of a connection, oldest first.
pub fn of_connection(
    c: &mut DbConn,
    connection: ConnectionId,
) -> Result<Vec<StoredSubscription>, StoreError> {
    Ok(subscriptions::table
        .filter(subscriptions::connection_id.eq(connection.raw()))
        .order(subscriptions::number)
        .select(StoredSubscription::as_select())
        .load(c)?)
}

/// Stores, while the lease is held, what state a subscription is in and how many of its requests are done. Returns false if the lease is
/// lost.
pub fn progress(
    c: &mut DbConn,
    lease: &Lease<StoredSubscription>,
    status: SubscriptionStatus,
    steps: i64,
) -> Result<bool, StoreError> {
    let held = subscriptions::table
        .filter(subscriptions::number.eq(lease.id.raw()))
        .filter(subscriptions::holder.eq(&lease.holder));
    let values = (
        subscriptions::status.eq(status.as_str()),
        subscriptions::steps.eq(steps),
    );
    Ok(diesel::update(held).set(values).execute(c)? == 1)
}

/// Forgets what a leased subscription keeps and how many of its requests are done, because the provider has ended it.
pub fn start_over(c: &mut DbConn, lease: &Lease<StoredSubscription>) -> Result<bool, StoreError> {
    let held = progress(c, lease, SubscriptionStatus::Failed, 0)?;
    if held {
        crate::webhook_secrets::delete_of_subscription(c, lease.id)?;
    }
    Ok(held)
}

/// What is stored when the work on a subscription ends.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Its state.
    pub status: SubscriptionStatus,
    /// Failed attempts in a row to renew or to end it.
    pub attempts: i64,
    /// Why.
    pub error: Option<String>,
    /// When the worker takes it up.
    pub due_at: Option<Timestamp>,
}

/// Stores the state and releases the lease. Returns false if the lease is lost.
pub fn finish(
    c: &mut DbConn,
    lease: &Lease<StoredSubscription>,
    end: &Finish,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let columns = vec![
        ("status", Bind::text(end.status.as_str())),
        ("attempts", Bind::integer(end.attempts)),
        ("error", Bind::Text(end.error.as_deref().map(Into::into))),
    ];
    lease.finish_with(c, end.due_at, columns, now)
}

/// Deletes a subscription that is leased, with what it kept. Returns false if the lease is lost.
pub fn delete(c: &mut DbConn, lease: &Lease<StoredSubscription>) -> Result<bool, StoreError> {
    let held = subscriptions::table
        .filter(subscriptions::number.eq(lease.id.raw()))
        .filter(subscriptions::holder.eq(&lease.holder));
    Ok(diesel::delete(held).execute(c)? == 1)
}

/// Leases up to `limit` subscriptions that are due at `now` to `holder` until `until`.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<StoredSubscription>, StoreError> {
    let numbers = lease::claim::<StoredSubscription>(c, now, until, holder, limit)?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    Ok(subscriptions::table
        .filter(subscriptions::number.eq_any(&numbers))
        .select(StoredSubscription::as_select())
        .load(c)?)
}
