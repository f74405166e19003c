//! Sealed credentials, one row for each connection. This crate never opens them.
//!
//! Credentials whose key is lost are given up: their sealed text and key id are [`GIVEN_UP`]. The row stays, since a connection without
//! one is being deleted.

use diesel::prelude::*;
use domain::{ConnectionId, EnvironmentId, Problem, Timestamp};

use crate::column::{row, to_json};
use crate::dialect::{Bind, lock_rows, on_db};
use crate::schema::{connections, credentials};
use crate::{DbConn, StoreError};

/// The sealed text and the key id of credentials that were given up.
pub const GIVEN_UP: &str = "";

/// Sealed credentials, and what they are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredentials {
    /// The connection that they belong to.
    pub connection: ConnectionId,
    /// The connection's environment.
    pub environment: EnvironmentId,
    /// The sealed text.
    pub sealed: String,
}

row!(SealedCredentials: credentials { sealed }, connection = credentials::connection_id, environment = connections::environment_id);

/// Stores or replaces the connection's credentials.
pub fn put(
    c: &mut DbConn,
    connection: ConnectionId,
    sealed: &str,
    key_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let stored = (
        credentials::sealed.eq(sealed),
        credentials::key_id.eq(key_id),
        credentials::updated_at.eq(now.as_micros()),
    );
    on_db!(c, c => diesel::insert_into(credentials::table)
        .values((credentials::connection_id.eq(connection.raw()), stored))
        .on_conflict(credentials::connection_id)
        .do_update()
        .set(stored)
        .execute(c))?;
    Ok(())
}

/// Returns the connection's sealed credentials.
pub fn get(c: &mut DbConn, connection: ConnectionId) -> Result<String, StoreError> {
    credentials::table
        .filter(credentials::connection_id.eq(connection.raw()))
        .select(credentials::sealed)
        .get_result(c)
        .map_err(StoreError::about("connection's credentials"))
}

/// Locks the connection's credentials against being deleted until the transaction ends. Returns false if there are none, which means that
/// the connection is being deleted.
pub fn lock(c: &mut DbConn, connection: ConnectionId) -> Result<bool, StoreError> {
    let id = vec![Bind::integer(connection.raw())];
    lock_rows(c, "credentials", "connection_id = ?", id, " FOR KEY SHARE")
}

/// Deletes the connection's credentials.
pub fn delete(c: &mut DbConn, connection: ConnectionId) -> Result<(), StoreError> {
    diesel::delete(credentials::table.find(connection.raw())).execute(c)?;
    Ok(())
}

/// Returns up to `limit` credentials, of any environment, that another key than `key_id` sealed.
pub fn not_sealed_with(
    c: &mut DbConn,
    key_id: &str,
    limit: i64,
) -> Result<Vec<SealedCredentials>, StoreError> {
    Ok(credentials::table
        .inner_join(connections::table)
        .filter(
            credentials::key_id
                .ne(key_id)
                .and(credentials::key_id.ne(GIVEN_UP)),
        )
        .order(credentials::connection_id)
        .limit(limit)
        .select(SealedCredentials::as_select())
        .load(c)?)
}

/// Gives up what these keys sealed, in any environment, and sets the problem of its connections. Returns how many those are.
pub fn give_up(
    c: &mut DbConn,
    key_ids: &[String],
    problem: &Problem,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let lost = || credentials::table.filter(credentials::key_id.eq_any(key_ids));
    let theirs = connections::table.filter(connections::id.eq_any(lost().select(credentials::connection_id)));
    // The connections first, in the order in which every transaction locks the two tables.
    diesel::update(theirs)
        .set(connections::problem.eq(to_json(problem)?))
        .execute(c)?;
    let given_up = (
        credentials::sealed.eq(GIVEN_UP),
        credentials::key_id.eq(GIVEN_UP),
        credentials::updated_at.eq(now.as_micros()),
    );
    Ok(diesel::update(lost()).set(given_up).execute(c)?)
}

/// Returns how many credentials of any environment each key sealed, by key id.
pub fn count_by_key_any_environment(c: &mut DbConn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(credentials::table
        .filter(credentials::key_id.ne(GIVEN_UP))
        .group_by(credentials::key_id)
        .order(credentials::key_id)
        .select((credentials::key_id, diesel::dsl::count_star()))
        .load(c)?)
}

/// Replaces `old` by `new`. Returns false if the credentials were changed since.
pub fn replace_if_same(
    c: &mut DbConn,
    connection: ConnectionId,
    old: &str,
    new: &str,
    key_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let same = credentials::table
        .filter(credentials::connection_id.eq(connection.raw()))
        .filter(credentials::sealed.eq(old));
    let replaced = diesel::update(same)
        .set((
            credentials::sealed.eq(new),
            credentials::key_id.eq(key_id),
            credentials::updated_at.eq(now.as_micros()),
        ))
        .execute(c)?;
    Ok(replaced == 1)
}
