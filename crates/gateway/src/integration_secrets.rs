//! Secret fields of integrations' configurations: sealed separately from the public ones, and opened for requests.

use domain::{StoredIntegration, Timestamp};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use store::integration_secrets::{self, GIVEN_UP};
use store::{DbConn, StoreError};
use vault::{Owner, SealContext, VaultError};

use crate::encryption_keys::Sealer;
use crate::integration_config::{self, Config, ConfigChange};

/// What is sealed for an integration: one JSON object of names and values.
const FIELD: &str = "integration_config";

/// The place that the sealed fields of the integration are bound to.
pub(crate) fn place(row: &StoredIntegration) -> SealContext<'static> {
    SealContext {
        environment: row.environment,
        owner: Owner::Integration(row.id),
        field: FIELD,
    }
}

/// Splits the configuration into the fields to seal and the public ones. Sealed fields stay sealed, even if the provider's file is missing or
/// no longer calls them secret.
pub(crate) fn split(config: Config, provider: Option<&Provider>, sealed_before: &Config) -> (Config, Config) {
    config.into_iter().partition(|(name, _)| {
        sealed_before.contains_key(name)
            || provider.is_some_and(|provider| provider.is_secret_integration_config(name))
    })
}

/// A change of an integration's configuration.
pub(crate) struct ConfigUpdate {
    /// The whole configuration before.
    pub(crate) old: Config,
    /// The whole configuration after.
    pub(crate) new: Config,
    /// What of it is sealed, and what is stored as it is.
    secret: Config,
    public: Config,
    /// Whether the secret fields are others than those that are sealed.
    reseals: bool,
}

impl ConfigUpdate {
    /// Sets `sent` over the configuration of the row. `opened` are its secret fields; `None` if they were given up.
    pub(crate) fn of(
        row: &StoredIntegration,
        opened: Option<Config>,
        sent: &ConfigChange,
        provider: Option<&Provider>,
    ) -> Self {
        let is_lost = opened.is_none();
        let sealed = opened.unwrap_or_default();
        // Fields in clear were written by an older version after the sealed ones, so they win.
        let mut old = sealed.clone();
        old.extend(row.config.clone());
        let new = integration_config::merged(&old, sent);
        let (secret, public) = split(new.clone(), provider, &sealed);
        let is_secret =
            |name: &String| provider.is_some_and(|provider| provider.is_secret_integration_config(name));
        // Lost secrets stay marked as lost until a request sets or removes one.
        let reseals = sealed != secret || (is_lost && sent.keys().any(is_secret));
        Self {
            old,
            new,
            secret,
            public,
            reseals,
        }
    }

    /// Stores the secret fields, and returns the public ones for the row.
    pub(crate) fn seal(
        self,
        c: &mut DbConn,
        sealer: &Sealer,
        row: &StoredIntegration,
        now: Timestamp,
    ) -> Result<Config, StoreError> {
        if self.reseals {
            sealer.store_config(c, row, &self.secret, now)?;
        }
        Ok(self.public)
    }
}

pub(crate) fn parse(text: &SecretString) -> Result<Config, VaultError> {
    serde_json::from_str(text.expose_secret()).map_err(|_| VaultError::Malformed)
}

impl Sealer {
    /// The secret fields of the integration; `None` if they were given up with a lost key. [`VaultError::UnknownKey`] if another process has put
    /// a new key into the key file since this sealer was made.
    pub(crate) fn open_config(&self, row: &StoredIntegration) -> Result<Option<Config>, VaultError> {
        match row.sealed_config.as_deref() {
            None => Ok(Some(Config::new())),
            Some(GIVEN_UP) => Ok(None),
            Some(sealed) => parse(&self.ring().open(&place(row), &sealed.parse()?)?).map(Some),
        }
    }

    /// Stores the secret fields of the integration, and replaces existing ones.
    pub(crate) fn store_config(
        &self,
        c: &mut DbConn,
        row: &StoredIntegration,
        secrets: &Config,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if secrets.is_empty() {
            return integration_secrets::put(c, row.id, None);
        }
        let object: Json = secrets.clone().into_iter().collect();
        let text = SecretString::from(object.to_string());
        let (sealed, key_id) = self.seal(c, &place(row), &text, now)?;
        integration_secrets::put(c, row.id, Some((&sealed, &key_id)))
    }
}
