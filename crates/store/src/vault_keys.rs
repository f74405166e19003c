//! Which keys have sealed credentials, with a text by which a wrong key is noticed; never the keys.

use diesel::prelude::*;
use domain::Timestamp;

use crate::column::{MaybeMicros, Micros};
use crate::dialect::{lock_vault_keys, on_db};
use crate::schema::vault_keys;
use crate::{DbConn, StoreError};

/// A key of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = vault_keys)]
pub struct VaultKey {
    /// The key's id.
    pub key_id: String,
    /// A text sealed with the key.
    #[diesel(column_name = check_text)]
    pub check: String,
    /// When it was first used.
    #[diesel(deserialize_as = Micros)]
    pub created_at: Timestamp,
    /// Since when nothing is sealed with it.
    #[diesel(deserialize_as = MaybeMicros)]
    pub retired_at: Option<Timestamp>,
}

/// All keys, oldest first.
pub fn list(c: &mut DbConn) -> Result<Vec<VaultKey>, StoreError> {
    Ok(vault_keys::table
        .order((vault_keys::created_at, vault_keys::key_id))
        .select(VaultKey::as_select())
        .load(c)?)
}

/// Lets no other process read or change the keys until the transaction ends: what follows from them is decided by one at a time.
pub fn lock(c: &mut DbConn) -> Result<(), StoreError> {
    lock_vault_keys(c)
}

/// Adds a key unless its id is there.
pub fn ensure(c: &mut DbConn, key: &VaultKey) -> Result<(), StoreError> {
    on_db!(c, c => diesel::insert_into(vault_keys::table)
        .values((
            vault_keys::key_id.eq(&key.key_id),
            vault_keys::check_text.eq(&key.check),
            vault_keys::created_at.eq(key.created_at.as_micros()),
            vault_keys::retired_at.eq(key.retired_at.map(Timestamp::as_micros)),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}

/// Notes that nothing is sealed with the key any more.
pub fn retire(c: &mut DbConn, key_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let retired = diesel::update(vault_keys::table.filter(vault_keys::key_id.eq(key_id)))
        .set(vault_keys::retired_at.eq(now.as_micros()))
        .execute(c)?;
    if retired == 0 {
        Err(StoreError::NotFound {
            what: "encryption key",
        })
    } else {
        Ok(())
    }
}

/// Forgets keys that are lost.
pub fn delete(c: &mut DbConn, key_ids: &[String]) -> Result<(), StoreError> {
    diesel::delete(vault_keys::table.filter(vault_keys::key_id.eq_any(key_ids))).execute(c)?;
    Ok(())
}
