//! The sealed secret fields of integrations' configurations. This crate never opens them.
//!
//! They are null if there are no such fields. Fields whose key is lost are given up, as credentials are: sealed text and key id are
//! [`GIVEN_UP`], so that requests which need them can say so.

use diesel::prelude::*;
use domain::{IntegrationId, IntegrationKey, StoredIntegration};

pub use crate::credentials::GIVEN_UP;
use crate::schema::integrations;
use crate::{DbConn, StoreError};

/// Stores or replaces the integration's sealed fields and the id of the key that sealed them; `None` deletes them.
pub fn put(
    c: &mut DbConn,
    integration: IntegrationId,
    sealed: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    diesel::update(integrations::table.find(integration.raw()))
        .set((
            integrations::sealed_config.eq(sealed.map(|(text, _)| text)),
            integrations::config_key_id.eq(sealed.map(|(_, key_id)| key_id)),
        ))
        .execute(c)?;
    Ok(())
}

/// Returns up to `limit` integrations, of any environment, whose fields another key than `key_id` sealed.
pub fn not_sealed_with(
    c: &mut DbConn,
    key_id: &str,
    limit: i64,
) -> Result<Vec<StoredIntegration>, StoreError> {
    Ok(integrations::table
        .filter(
            integrations::config_key_id
                .ne(key_id)
                .and(integrations::config_key_id.ne(GIVEN_UP)),
        )
        .order(integrations::id)
        .limit(limit)
        .select(StoredIntegration::as_select())
        .load(c)?)
}

/// Returns how many integrations of any environment have fields that each key sealed, by key id.
pub fn count_by_key_any_environment(c: &mut DbConn) -> Result<Vec<(String, i64)>, StoreError> {
    let counts: Vec<(Option<String>, i64)> = integrations::table
        .filter(integrations::config_key_id.ne(GIVEN_UP))
        .group_by(integrations::config_key_id)
        .order(integrations::config_key_id)
        .select((integrations::config_key_id, diesel::dsl::count_star()))
        .load(c)?;
    let counts = counts.into_iter();
    Ok(counts
        .filter_map(|(key_id, count)| Some((key_id?, count)))
        .collect())
}

/// Gives up what these encryption keys sealed, in any environment. Returns the integrations' keys.
pub fn give_up(c: &mut DbConn, key_ids: &[String]) -> Result<Vec<IntegrationKey>, StoreError> {
    let lost = || integrations::table.filter(integrations::config_key_id.eq_any(key_ids));
    let rows: Vec<StoredIntegration> = lost()
        .order(integrations::id)
        .select(StoredIntegration::as_select())
        .load(c)?;
    let given_up = (
        integrations::sealed_config.eq(GIVEN_UP),
        integrations::config_key_id.eq(GIVEN_UP),
    );
    diesel::update(lost()).set(given_up).execute(c)?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Replaces `old` by `new`. Returns false if the fields were changed since.
pub fn replace_if_same(
    c: &mut DbConn,
    integration: IntegrationId,
    old: &str,
    new: &str,
    key_id: &str,
) -> Result<bool, StoreError> {
    let same = integrations::table
        .filter(integrations::id.eq(integration.raw()))
        .filter(integrations::sealed_config.eq(old));
    let replaced = diesel::update(same)
        .set((
            integrations::sealed_config.eq(new),
            integrations::config_key_id.eq(key_id),
        ))
        .execute(c)?;
    Ok(replaced == 1)
}
