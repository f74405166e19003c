//! Sealed secrets of webhooks: those of endpoints, of environments (the signing key), of connections (address, challenge) and of
//! subscriptions. This crate never opens them.
//!
//! A secret whose key is lost is given up, as credentials are: sealed text and key id are [`GIVEN_UP`].

use diesel::prelude::*;
use domain::{ConnectionId, Endpoint, EnvironmentId, RowId, StoredSubscription, Timestamp};

use crate::column::row;
pub use crate::credentials::GIVEN_UP;
use crate::dialect::{Bind, Statement, on_db};
use crate::schema::webhook_secrets as secrets;
use crate::{DbConn, StoreError};

/// A sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    /// Its row number.
    pub id: RowId<WebhookSecret>,
    /// Its environment.
    pub environment: EnvironmentId,
    /// The endpoint that it belongs to; `None` if it is the environment's own.
    pub endpoint: Option<RowId<Endpoint>>,
    /// The connection that it belongs to, if any.
    pub connection_id: Option<ConnectionId>,
    /// The subscription of that connection that it belongs to, if any.
    pub subscription: Option<RowId<StoredSubscription>>,
    /// What it is, a word of the gateway.
    pub kind: String,
    /// The sealed text.
    pub sealed: String,
    /// Until when it is used, after it was replaced.
    pub expires_at: Option<Timestamp>,
}

row!(WebhookSecret: secrets { id, endpoint, connection_id, subscription, kind, sealed, expires_at }, environment = secrets::environment_id);

/// Stores a secret, which has no row number yet, and the id of the key that sealed it.
pub fn insert(
    c: &mut DbConn,
    environment: EnvironmentId,
    endpoint: Option<RowId<Endpoint>>,
    kind: &str,
    (sealed, key_id): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = (
        secrets::environment_id.eq(environment.raw()),
        secrets::endpoint.eq(endpoint.map(RowId::raw)),
        secrets::kind.eq(kind),
        secrets::sealed.eq(sealed),
        secrets::key_id.eq(key_id),
        secrets::created_at.eq(now.as_micros()),
    );
    on_db!(c, c => diesel::insert_into(secrets::table).values(values).execute(c))?;
    Ok(())
}

/// Whether a secret of a connection was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It was.
    Done,
    /// The connection has one of this kind.
    Exists,
    /// The connection is being deleted.
    ConnectionDeleted,
}

/// Stores a secret of a connection that has none of this kind, and the hash by which [`by_hash_any_environment`] finds it, if any.
pub fn insert_of_connection(
    c: &mut DbConn,
    (environment, connection): (EnvironmentId, ConnectionId),
    kind: &str,
    (sealed, key_id): (&str, &str),
    hash: Option<&str>,
    now: Timestamp,
) -> Result<Inserted, StoreError> {
    if !crate::credentials::lock(c, connection)? {
        return Ok(Inserted::ConnectionDeleted);
    }
    let known = of_connection(c, connection)?;
    if known.iter().any(|row| row.kind == kind && row.sealed != GIVEN_UP) {
        return Ok(Inserted::Exists);
    }
    let values = (
        secrets::environment_id.eq(environment.raw()),
        secrets::connection_id.eq(connection.raw()),
        secrets::kind.eq(kind),
        secrets::sealed.eq(sealed),
        secrets::key_id.eq(key_id),
        secrets::hash.eq(hash),
        secrets::created_at.eq(now.as_micros()),
    );
    on_db!(c, c => diesel::insert_into(secrets::table).values(values).execute(c))?;
    Ok(Inserted::Done)
}

/// Stores what a subscription keeps, in place of what it kept before.
pub fn set_of_subscription(
    c: &mut DbConn,
    (environment, connection): (EnvironmentId, ConnectionId),
    subscription: RowId<StoredSubscription>,
    kind: &str,
    (sealed, key_id): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    delete_of_subscription(c, subscription)?;
    let values = (
        secrets::environment_id.eq(environment.raw()),
        secrets::connection_id.eq(connection.raw()),
        secrets::subscription.eq(subscription.raw()),
        secrets::kind.eq(kind),
        secrets::sealed.eq(sealed),
        secrets::key_id.eq(key_id),
        secrets::created_at.eq(now.as_micros()),
    );
    on_db!(c, c => diesel::insert_into(secrets::table).values(values).execute(c))?;
    Ok(())
}

/// Deletes what a subscription keeps.
pub(crate) fn delete_of_subscription(
    c: &mut DbConn,
    subscription: RowId<StoredSubscription>,
) -> Result<(), StoreError> {
    diesel::delete(secrets::table.filter(secrets::subscription.eq(subscription.raw()))).execute(c)?;
    Ok(())
}

/// Returns the secrets that a connection has, newest first.
pub fn of_connection(c: &mut DbConn, connection: ConnectionId) -> Result<Vec<WebhookSecret>, StoreError> {
    load(
        c,
        secrets::table
            .filter(secrets::connection_id.eq(connection.raw()))
            .order(secrets::id.desc())
            .into_boxed(),
    )
}

/// Returns the secret with this hash, of any environment.
pub fn by_hash_any_environment(c: &mut DbConn, hash: &str) -> Result<Option<WebhookSecret>, StoreError> {
    let found = secrets::table.filter(secrets::hash.eq(hash.to_owned()));
    Ok(load(c, found.into_boxed())?.into_iter().next())
}

/// Deletes the secrets of a kind that a connection has.
pub fn delete_of_kind(c: &mut DbConn, connection: ConnectionId, kind: &str) -> Result<(), StoreError> {
    let found = secrets::table
        .filter(secrets::connection_id.eq(connection.raw()))
        .filter(secrets::kind.eq(kind.to_owned()));
    diesel::delete(found).execute(c)?;
    Ok(())
}

/// Deletes the secrets of a connection.
pub(crate) fn delete_of_connection(c: &mut DbConn, connection: ConnectionId) -> Result<(), StoreError> {
    diesel::delete(secrets::table.filter(secrets::connection_id.eq(connection.raw()))).execute(c)?;
    Ok(())
}

/// Lets the current secrets of a kind expire at `at`, and deletes those that have expired.
pub fn expire(
    c: &mut DbConn,
    environment: EnvironmentId,
    endpoint: Option<RowId<Endpoint>>,
    kind: &str,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let theirs = "environment_id = ? AND endpoint IS NOT DISTINCT FROM ? AND kind = ?";
    let binds = |first: Option<Timestamp>, last: Option<Timestamp>| {
        let first = first.map(|at| Bind::integer(at.as_micros()));
        let whose = [
            Bind::integer(environment.raw()),
            Bind::Integer(endpoint.map(RowId::raw)),
            Bind::text(kind),
        ];
        let last = last.map(|at| Bind::integer(at.as_micros()));
        first.into_iter().chain(whose).chain(last).collect()
    };
    let sql = format!("UPDATE webhook_secrets SET expires_at = ? WHERE {theirs} AND expires_at IS NULL");
    Statement::new(sql, binds(Some(at), None)).execute(c)?;
    let sql = format!("DELETE FROM webhook_secrets WHERE {theirs} AND expires_at <= ?");
    Statement::new(sql, binds(None, Some(now))).execute(c)?;
    Ok(())
}

/// Returns the secrets of an endpoint and those of its environment that have not expired, newest first.
pub fn of_endpoint(
    c: &mut DbConn,
    environment: EnvironmentId,
    endpoint: RowId<Endpoint>,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, StoreError> {
    load(
        c,
        secrets::table
            .filter(secrets::environment_id.eq(environment.raw()))
            .filter(secrets::connection_id.is_null())
            .filter(
                secrets::endpoint
                    .is_null()
                    .or(secrets::endpoint.eq(endpoint.raw())),
            )
            .filter(
                secrets::expires_at
                    .is_null()
                    .or(secrets::expires_at.gt(now.as_micros())),
            )
            .order(secrets::id.desc())
            .into_boxed(),
    )
}

/// Returns the environment's own secrets of a kind that have not expired, newest first.
pub fn of_environment(
    c: &mut DbConn,
    environment: EnvironmentId,
    kind: &str,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, StoreError> {
    load(
        c,
        secrets::table
            .filter(secrets::environment_id.eq(environment.raw()))
            .filter(secrets::endpoint.is_null())
            .filter(secrets::connection_id.is_null())
            .filter(secrets::kind.eq(kind.to_owned()))
            .filter(
                secrets::expires_at
                    .is_null()
                    .or(secrets::expires_at.gt(now.as_micros())),
            )
            .order(secrets::id.desc())
            .into_boxed(),
    )
}

/// Returns up to `limit` secrets, of any environment, that another key than `key_id` sealed.
pub fn not_sealed_with(c: &mut DbConn, key_id: &str, limit: i64) -> Result<Vec<WebhookSecret>, StoreError> {
    load(
        c,
        secrets::table
            .filter(secrets::key_id.ne(key_id.to_owned()))
            .filter(secrets::key_id.ne(GIVEN_UP))
            .order(secrets::id)
            .limit(limit)
            .into_boxed(),
    )
}

type Query = secrets::BoxedQuery<'static, crate::db_conn::MultiBackend>;

fn load(c: &mut DbConn, query: Query) -> Result<Vec<WebhookSecret>, StoreError> {
    Ok(query.select(WebhookSecret::as_select()).load(c)?)
}

/// Returns how many secrets of any environment each key sealed, by key id.
pub fn count_by_key_any_environment(c: &mut DbConn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(secrets::table
        .filter(secrets::key_id.ne(GIVEN_UP))
        .group_by(secrets::key_id)
        .order(secrets::key_id)
        .select((secrets::key_id, diesel::dsl::count_star()))
        .load(c)?)
}

/// Gives up what these keys sealed, in any environment. Returns how many secrets those are.
pub fn give_up(c: &mut DbConn, key_ids: &[String]) -> Result<usize, StoreError> {
    let lost = secrets::table.filter(secrets::key_id.eq_any(key_ids));
    Ok(diesel::update(lost)
        .set((secrets::sealed.eq(GIVEN_UP), secrets::key_id.eq(GIVEN_UP)))
        .execute(c)?)
}

/// Replaces `old` by `new`. Returns false if the secret was changed or deleted since.
pub fn replace_if_same(
    c: &mut DbConn,
    id: RowId<WebhookSecret>,
    old: &str,
    new: &str,
    key_id: &str,
) -> Result<bool, StoreError> {
    let same = secrets::table
        .filter(secrets::id.eq(id.raw()))
        .filter(secrets::sealed.eq(old));
    let replaced = diesel::update(same)
        .set((secrets::sealed.eq(new), secrets::key_id.eq(key_id)))
        .execute(c)?;
    Ok(replaced == 1)
}
