//! Sealed credentials, one row a connection; this crate never opens them.

use diesel::prelude::*;
use domain::{ConnectionId, EnvironmentId, Timestamp};

use crate::column::Number;
use crate::dialect::{lock_access, on_db};
use crate::schema::{connections, credentials};
use crate::{DbConn, StoreError};

/// Sealed credentials with what they are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = credentials)]
pub struct SealedRow {
    /// The connection that they belong to.
    #[diesel(deserialize_as = Number, column_name = connection_id)]
    pub connection: ConnectionId,
    /// The connection's environment.
    #[diesel(deserialize_as = Number, select_expression = connections::environment_id)]
    pub environment: EnvironmentId,
    /// The sealed text.
    pub sealed: String,
}

/// Stores the connection's credentials, in place of those that are there.
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

/// The connection's sealed credentials.
pub fn get(c: &mut DbConn, connection: ConnectionId) -> Result<String, StoreError> {
    credentials::table
        .filter(credentials::connection_id.eq(connection.raw()))
        .select(credentials::sealed)
        .first(c)
        .map_err(StoreError::about("connection's credentials"))
}

/// Keeps the connection's credentials where they are until the transaction ends; false if there are none: all connections have some
/// but one that is being deleted.
pub fn lock(c: &mut DbConn, connection: ConnectionId) -> Result<bool, StoreError> {
    lock_access(c, connection)
}

/// Takes the credentials of the connection away.
pub fn delete(c: &mut DbConn, connection: ConnectionId) -> Result<(), StoreError> {
    diesel::delete(credentials::table.find(connection.raw())).execute(c)?;
    Ok(())
}

/// Credentials of any environment that another key than `key_id` sealed, at most `limit`.
pub fn not_sealed_with(c: &mut DbConn, key_id: &str, limit: i64) -> Result<Vec<SealedRow>, StoreError> {
    Ok(credentials::table
        .inner_join(connections::table)
        .filter(credentials::key_id.ne(key_id))
        .order(credentials::connection_id)
        .limit(limit)
        .select(SealedRow::as_select())
        .load(c)?)
}

/// How many credentials of any environment each key sealed, by the key's id.
pub fn count_by_key_any_environment(c: &mut DbConn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(credentials::table
        .group_by(credentials::key_id)
        .order(credentials::key_id)
        .select((credentials::key_id, diesel::dsl::count_star()))
        .load(c)?)
}

/// Puts `new` in place of `old`; false if they have changed meanwhile.
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
