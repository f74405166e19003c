//! Integrations: an environment's own settings for a provider.

use std::collections::BTreeMap;

use diesel::prelude::*;
use domain::{EnvironmentId, IntegrationId, IntegrationKey, ProviderName, StoredIntegration, Timestamp};

use crate::column::{row, to_json};
use crate::dialect::{Bind, lock_rows, on_db};
use crate::schema::integrations;
use crate::{DbConn, StoreError};

row!(StoredIntegration: integrations {
    id, key, provider, display_name, forward_webhooks, config, sealed_config, custom, created_at,
    updated_at
}, environment = integrations::environment_id);

/// A change of an integration; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct IntegrationChange {
    /// The key. [`StoreError::Conflict`] if the environment has it already.
    pub key: Option<IntegrationKey>,
    /// The name for people.
    pub display_name: Option<String>,
    /// Whether the provider's events are forwarded to the app.
    pub forward_webhooks: Option<bool>,
    /// The values for `${integrationConfig.…}`, without the secret ones.
    pub config: Option<BTreeMap<String, String>>,
    /// The app's own values.
    pub custom: Option<BTreeMap<String, String>>,
}

/// Creates the integration, with default settings, unless the environment has one of that key. Returns whether it was created.
pub fn ensure(
    c: &mut DbConn,
    environment: EnvironmentId,
    key: &IntegrationKey,
    provider: &ProviderName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let created = on_db!(c, c => diesel::insert_into(integrations::table)
        .values((
            integrations::environment_id.eq(environment.raw()),
            integrations::key.eq(key.as_str()),
            integrations::provider.eq(provider.as_str()),
            integrations::forward_webhooks.eq(true),
            integrations::config.eq("{}"),
            integrations::custom.eq("{}"),
            integrations::created_at.eq(now.as_micros()),
            integrations::updated_at.eq(now.as_micros()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(created == 1)
}

/// Returns the environment's integration of that key.
pub fn find(
    c: &mut DbConn,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<Option<StoredIntegration>, StoreError> {
    Ok(integrations::table
        .filter(integrations::environment_id.eq(environment.raw()))
        .filter(integrations::key.eq(key.as_str()))
        .select(StoredIntegration::as_select())
        .get_result(c)
        .optional()?)
}

/// The integration, kept from being changed or deleted until the transaction ends; `None` if it is gone.
pub fn keep(
    c: &mut DbConn,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<Option<StoredIntegration>, StoreError> {
    lock_and_find(c, environment, key, " FOR SHARE")
}

/// Waits for transactions that [`keep`] the integration, and blocks new ones until this one ends. `None` if it does not exist.
pub fn lock(
    c: &mut DbConn,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<Option<StoredIntegration>, StoreError> {
    lock_and_find(c, environment, key, " FOR UPDATE")
}

fn lock_and_find(
    c: &mut DbConn,
    environment: EnvironmentId,
    key: &IntegrationKey,
    lock: &'static str,
) -> Result<Option<StoredIntegration>, StoreError> {
    let binds = vec![Bind::integer(environment.raw()), Bind::text(key.as_str())];
    if lock_rows(c, "integrations", "environment_id = ? AND key = ?", binds, lock)? {
        find(c, environment, key)
    } else {
        Ok(None)
    }
}

/// Returns the environment's integrations, oldest first.
pub fn list(c: &mut DbConn, environment: EnvironmentId) -> Result<Vec<StoredIntegration>, StoreError> {
    Ok(integrations::table
        .filter(integrations::environment_id.eq(environment.raw()))
        .order(integrations::id)
        .select(StoredIntegration::as_select())
        .load(c)?)
}

/// Returns up to `limit` integrations of a provider, of any environment, with row numbers above `after`, in their order.
pub fn of_provider_any_environment(
    c: &mut DbConn,
    provider: &ProviderName,
    after: IntegrationId,
    limit: i64,
) -> Result<Vec<StoredIntegration>, StoreError> {
    Ok(integrations::table
        .filter(integrations::provider.eq(provider.as_str()))
        .filter(integrations::id.gt(after.raw()))
        .order(integrations::id)
        .limit(limit)
        .select(StoredIntegration::as_select())
        .load(c)?)
}

/// Changes the integration, which the caller has found or locked within its environment in the same transaction.
/// [`StoreError::NotFound`] if it does not exist.
pub fn change(
    c: &mut DbConn,
    id: IntegrationId,
    change: &IntegrationChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let json = |map: &Option<BTreeMap<String, String>>| map.as_ref().map(to_json).transpose();
    let set = (
        integrations::updated_at.eq(now.as_micros()),
        change.key.as_ref().map(|key| integrations::key.eq(key.as_str())),
        change
            .display_name
            .as_deref()
            .map(|name| integrations::display_name.eq(name)),
        change
            .forward_webhooks
            .map(|forward| integrations::forward_webhooks.eq(forward)),
        json(&change.config)?.map(|config| integrations::config.eq(config)),
        json(&change.custom)?.map(|custom| integrations::custom.eq(custom)),
    );
    let changed = diesel::update(integrations::table.find(id.raw()))
        .set(set)
        .execute(c)
        .map_err(StoreError::about("integration"))?;
    if changed == 0 {
        return Err(StoreError::NotFound { what: "integration" });
    }
    Ok(())
}

/// Deletes the integration, which the caller has locked within its environment in the same transaction. Delete its connections before.
pub fn delete(c: &mut DbConn, id: IntegrationId) -> Result<(), StoreError> {
    diesel::delete(integrations::table.find(id.raw())).execute(c)?;
    Ok(())
}
