//! API keys, of which only hashes are stored.

use diesel::prelude::*;
use domain::{ApiKey, ApiKeyId, EnvironmentId, Timestamp};

use crate::column::{row, to_json};
use crate::dialect::{Bind, lock_rows};
use crate::schema::{api_keys, environments};
use crate::{DbConn, StoreError};

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The environment that it gives access to.
    pub environment: EnvironmentId,
    /// Its public id.
    pub id: ApiKeyId,
    /// Its name for people.
    pub name: String,
    /// The first characters of the key, by which people recognise it.
    pub prefix: String,
    /// The hash of the whole key, unique.
    pub hash: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
}

row!(ApiKey: api_keys {
    id, name, prefix, scopes, created_at, last_used_at, revoked_at
}, environment = api_keys::environment_id, environment_name = environments::name);

/// Stores a key. [`StoreError::Conflict`] if its hash or id exists.
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

/// Returns the key with that hash, unless it is revoked.
pub fn by_hash(c: &mut DbConn, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    let found = by_hash_even_revoked(c, hash)?;
    Ok(found.filter(|key| key.revoked_at.is_none()))
}

/// Returns the key with that hash, revoked or not.
pub fn by_hash_even_revoked(c: &mut DbConn, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    Ok(api_keys::table
        .inner_join(environments::table)
        .filter(api_keys::hash.eq(hash))
        .select(ApiKey::as_select())
        .get_result(c)
        .optional()?)
}

/// Locks the key against being revoked until the transaction ends. Returns false if it is revoked or deleted.
pub fn keep(c: &mut DbConn, id: ApiKeyId) -> Result<bool, StoreError> {
    let (valid, id) = ("id = ? AND revoked_at IS NULL", Bind::text(id.to_string()));
    lock_rows(c, "api_keys", valid, vec![id], " FOR SHARE")
}

/// Sets when the key was last used.
pub fn touch(c: &mut DbConn, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(api_keys::table.filter(api_keys::id.eq(id.to_string())))
        .set(api_keys::last_used_at.eq(now.as_micros()))
        .execute(c)?;
    Ok(())
}

/// Returns the environment's keys, newest first, including revoked ones.
pub fn list(c: &mut DbConn, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError> {
    Ok(api_keys::table
        .inner_join(environments::table)
        .filter(api_keys::environment_id.eq(environment.raw()))
        .order((api_keys::created_at.desc(), api_keys::id.desc()))
        .select(ApiKey::as_select())
        .load(c)?)
}

/// Revokes a key of the environment. A key that is revoked already keeps its time.
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

/// Returns how many keys of the environment are not revoked.
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
