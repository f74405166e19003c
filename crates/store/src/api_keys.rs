//! API keys: stored hashed, never as such.

use diesel::prelude::*;
use domain::{ApiKey, ApiKeyId, EnvironmentId, Timestamp};

use crate::column::{JsonText, MaybeMicros, Micros, Number, Row, Word, row, to_json};
use crate::dialect::keep_api_key;
use crate::schema::{api_keys, environments};
use crate::{DbConn, StoreError};

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The environment that it opens.
    pub environment: EnvironmentId,
    /// Its public id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// The beginning of the key, to tell keys apart by sight.
    pub prefix: String,
    /// The hash of the whole key, unique.
    pub hash: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

row!(ApiKey {
    environment: Number = api_keys::environment_id,
    environment_name: Word = environments::name,
    id: Word = api_keys::id,
    name: String = api_keys::name,
    prefix: String = api_keys::prefix,
    scopes: JsonText = api_keys::scopes,
    created_at: Micros = api_keys::created_at,
    last_used_at: MaybeMicros = api_keys::last_used_at,
    revoked_at: MaybeMicros = api_keys::revoked_at,
});

/// Stores a key; [`StoreError::Conflict`] if its hash or id is there already.
pub fn insert(c: &mut DbConn, key: &NewApiKey) -> Result<(), StoreError> {
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::id.eq(key.id.to_string()),
            api_keys::environment_id.eq(key.environment.raw()),
            api_keys::name.eq(&key.name),
            api_keys::prefix.eq(&key.prefix),
            api_keys::hash.eq(&key.hash),
            api_keys::scopes.eq(to_json(&key.scopes)?),
            api_keys::created_at.eq(key.created_at.as_micros()),
        ))
        .execute(c)
        .map_err(StoreError::about("API key"))?;
    Ok(())
}

/// The key with that hash, unless it is revoked.
pub fn by_hash(c: &mut DbConn, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    let found = by_hash_even_revoked(c, hash)?;
    Ok(found.filter(|key| key.revoked_at.is_none()))
}

/// The key with that hash, revoked or not.
pub fn by_hash_even_revoked(c: &mut DbConn, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    Ok(api_keys::table
        .inner_join(environments::table)
        .filter(api_keys::hash.eq(hash))
        .select(Row::<ApiKey>::as_select())
        .get_result(c)
        .map(Row::into_inner)
        .optional()?)
}

/// Keeps the key from being revoked until the transaction ends; false if it is revoked or gone.
pub fn keep(c: &mut DbConn, id: ApiKeyId) -> Result<bool, StoreError> {
    keep_api_key(c, id)
}

/// Notes that the key was used.
pub fn touch(c: &mut DbConn, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(api_keys::table.filter(api_keys::id.eq(id.to_string())))
        .set(api_keys::last_used_at.eq(now.as_micros()))
        .execute(c)?;
    Ok(())
}

/// The environment's keys, newest first, revoked ones among them.
pub fn list(c: &mut DbConn, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError> {
    Ok(api_keys::table
        .inner_join(environments::table)
        .filter(api_keys::environment_id.eq(environment.raw()))
        .order((api_keys::created_at.desc(), api_keys::id.desc()))
        .select(Row::<ApiKey>::as_select())
        .load(c)
        .map(Row::all)?)
}

/// Revokes a key of the environment; a key revoked before keeps its time.
pub fn revoke(
    c: &mut DbConn,
    environment: EnvironmentId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = api_keys::table
        .filter(api_keys::id.eq(id.to_string()))
        .filter(api_keys::environment_id.eq(environment.raw()));
    let revoked = diesel::update(key.clone().filter(api_keys::revoked_at.is_null()))
        .set(api_keys::revoked_at.eq(now.as_micros()))
        .execute(c)?;
    if revoked == 0 && key.count().get_result::<i64>(c)? == 0 {
        return Err(StoreError::NotFound { what: "API key" });
    }
    Ok(())
}

/// How many keys of the environment are not revoked.
pub fn count(c: &mut DbConn, environment: EnvironmentId) -> Result<i64, StoreError> {
    Ok(api_keys::table
        .filter(
            api_keys::environment_id
                .eq(environment.raw())
                .and(api_keys::revoked_at.is_null()),
        )
        .count()
        .get_result(c)?)
}
