//! Environments: the tenants of all other objects.

use diesel::prelude::*;
use domain::{Environment, EnvironmentId, EnvironmentName, Timestamp};

use crate::column::row;
use crate::dialect::{Bind, lock_rows, on_db};
use crate::schema::environments;
use crate::{DbConn, StoreError};

row!(Environment: environments {
    id, name, created_at
});

/// Returns the environment of that name, and creates it if there is none.
pub fn ensure(c: &mut DbConn, name: &EnvironmentName, now: Timestamp) -> Result<Environment, StoreError> {
    on_db!(&mut *c, c => diesel::insert_into(environments::table)
        .values((environments::name.eq(name.as_str()), environments::created_at.eq(now.as_micros())))
        .on_conflict_do_nothing()
        .execute(c))?;
    by_name(c, name)
}

/// Creates an environment. [`StoreError::Conflict`] if the name is taken.
pub fn create(c: &mut DbConn, name: &EnvironmentName, now: Timestamp) -> Result<Environment, StoreError> {
    diesel::insert_into(environments::table)
        .values((
            environments::name.eq(name.as_str()),
            environments::created_at.eq(now.as_micros()),
        ))
        .execute(c)
        .map_err(StoreError::about("environment"))?;
    by_name(c, name)
}

/// Deletes the environment with its keys, integrations and sessions. Delete its connections before, since their rows would stay.
pub fn delete(c: &mut DbConn, id: EnvironmentId) -> Result<(), StoreError> {
    diesel::delete(environments::table.find(id.raw())).execute(c)?;
    Ok(())
}

/// Prevents the deletion of the environment until the transaction ends. Returns false if it does not exist.
pub fn keep(c: &mut DbConn, id: EnvironmentId) -> Result<bool, StoreError> {
    let id = vec![Bind::integer(id.raw())];
    lock_rows(c, "environments", "id = ?", id, " FOR KEY SHARE")
}

/// Waits for transactions that [`keep`] the environment, and blocks new ones until this one ends. Returns false if it does not exist.
pub fn lock(c: &mut DbConn, id: EnvironmentId) -> Result<bool, StoreError> {
    let id = vec![Bind::integer(id.raw())];
    lock_rows(c, "environments", "id = ?", id, " FOR UPDATE")
}

/// Lets one transaction at a time decide about the environment's webhooks. Waits for no transaction that only [`keep`]s it.
pub fn lock_webhooks(c: &mut DbConn, id: EnvironmentId) -> Result<bool, StoreError> {
    let id = vec![Bind::integer(id.raw())];
    lock_rows(c, "environments", "id = ?", id, " FOR NO KEY UPDATE")
}

/// Returns the environment with that row number.
pub fn by_id(c: &mut DbConn, id: EnvironmentId) -> Result<Environment, StoreError> {
    environments::table
        .find(id.raw())
        .select(Environment::as_select())
        .get_result(c)
        .map_err(StoreError::about("environment"))
}

/// Returns the environment of that name.
pub fn by_name(c: &mut DbConn, name: &EnvironmentName) -> Result<Environment, StoreError> {
    environments::table
        .filter(environments::name.eq(name.as_str()))
        .select(Environment::as_select())
        .get_result(c)
        .map_err(StoreError::about("environment"))
}

/// Returns all environments, ordered by name.
pub fn list(c: &mut DbConn) -> Result<Vec<Environment>, StoreError> {
    Ok(environments::table
        .order(environments::name)
        .select(Environment::as_select())
        .load(c)?)
}
