//! The ids of the keys that sealed credentials, each with a text that detects a wrong key. The keys themselves are not stored.

use diesel::prelude::*;
use domain::Timestamp;

use crate::column::row;
use crate::dialect::{VAULT_KEYS_LOCK, advisory_lock, on_db};
use crate::schema::vault_keys;
use crate::{DbConn, StoreError};

/// An encryption key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultKey {
    /// The key's id.
    pub key_id: String,
    /// A text sealed with the key.
    pub check: String,
    /// When it was first used.
    pub created_at: Timestamp,
}

row!(VaultKey: vault_keys { key_id, created_at }, check = vault_keys::check_text);

/// Returns all keys, oldest first.
pub fn list(c: &mut DbConn) -> Result<Vec<VaultKey>, StoreError> {
    Ok(vault_keys::table
        .order((vault_keys::created_at, vault_keys::key_id))
        .select(VaultKey::as_select())
        .load(c)?)
}

/// Lets no other process decide about the keys until the transaction ends.
pub fn lock(c: &mut DbConn) -> Result<(), StoreError> {
    advisory_lock(c, VAULT_KEYS_LOCK)
}

/// Adds a key unless its id exists.
pub fn ensure(c: &mut DbConn, key: &VaultKey) -> Result<(), StoreError> {
    on_db!(c, c => diesel::insert_into(vault_keys::table)
        .values((
            vault_keys::key_id.eq(&key.key_id),
            vault_keys::check_text.eq(&key.check),
            vault_keys::created_at.eq(key.created_at.as_micros()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}

/// Deletes keys that are lost.
pub fn delete(c: &mut DbConn, key_ids: &[String]) -> Result<(), StoreError> {
    diesel::delete(vault_keys::table.filter(vault_keys::key_id.eq_any(key_ids))).execute(c)?;
    Ok(())
}
