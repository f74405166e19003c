//! Lost encryption keys, and the secrets that they encrypted.

use std::collections::BTreeMap;

use domain::{Clock, IntegrationKey, Problem};
use store::{DbConn, Store, StoreError, credentials, integration_secrets, vault_keys, webhook_secrets};
use vault::VaultError;

use crate::encryption_keys::{KeySource, SealedCount, Usage};
use crate::error::Result;
use crate::health::AUTH_PROBLEM;

/// The problem of a connection whose credentials were given up.
const MESSAGE: &str = "the encryption key that sealed these credentials is lost: connect again with new ones; the records are kept";

/// Encryption keys that the database was used with and that the configuration does not hold, so that no process starts: what each sealed,
/// by the key's public id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostKeys(BTreeMap<String, SealedCount>);

/// The secrets that were given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many connections need new credentials now.
    pub connections: usize,
    /// The integrations whose secret fields must be set again, of any environment.
    pub integrations: Vec<IntegrationKey>,
    /// How many secrets of webhooks must be rotated or set again.
    pub webhooks: usize,
}

impl LostKeys {
    /// Reads which keys are lost.
    pub async fn find(store: &Store, source: &KeySource) -> Result<Self> {
        let held = held(source)?;
        let usage = store.read(Usage::read).await?;
        Ok(Self::of(&usage, &held))
    }

    /// What each lost key sealed, by the key's public id.
    pub fn sealed_by_key(&self) -> &BTreeMap<String, SealedCount> {
        &self.0
    }

    /// How many connections need new credentials once the keys are given up.
    pub fn connections(&self) -> i64 {
        self.0.values().map(|sealed| sealed.connections).sum()
    }

    /// Gives up the secrets that the keys sealed, and returns them. Each connection is marked as needing new credentials; its records,
    /// syncs and public configuration stay.
    ///
    /// A key that is no longer lost is skipped.
    pub async fn forget(&self, store: &Store, source: &KeySource, clock: &Clock) -> Result<Forgotten> {
        let held = held(source)?;
        let (shown, now) = (self.clone(), clock.now());
        let problem = Problem {
            kind: AUTH_PROBLEM.to_owned(),
            code: None,
            message: MESSAGE.to_owned(),
            at: now,
        };
        let forgotten = store.write_durably(move |c: &mut DbConn| -> Result<Forgotten, StoreError> {
            vault_keys::lock(c)?;
            let still = Self::of(&Usage::read(c)?, &held);
            let still = still.0.into_keys();
            let ids: Vec<String> = still.filter(|id| shown.0.contains_key(id)).collect();
            let forgotten = Forgotten {
                connections: credentials::give_up(c, &ids, &problem, now)?,
                integrations: integration_secrets::give_up(c, &ids)?,
                webhooks: webhook_secrets::give_up(c, &ids)?,
            };
            vault_keys::delete(c, &ids)?;
            Ok(forgotten)
        });
        Ok(forgotten.await?)
    }

    /// The keys that still seal something. If none of the held keys is of this database, also all others that it was used with,
    /// since they too keep a process from starting.
    fn of(usage: &Usage, held: &[String]) -> Self {
        let mut lost = usage.sealed.clone();
        if !usage.known.iter().any(|key| held.contains(&key.key_id)) {
            for key in &usage.known {
                lost.entry(key.key_id.clone()).or_default();
            }
        }
        lost.retain(|id, _| !held.contains(id));
        Self(lost)
    }
}

/// Returns the ids of the available keys; none if the key file is missing. An unreadable key file is an error.
fn held(source: &KeySource) -> Result<Vec<String>> {
    match source.load() {
        Err(VaultError::KeyFileMissing(_)) => Ok(Vec::new()),
        loaded => Ok(loaded?.ids().iter().map(ToString::to_string).collect()),
    }
}
