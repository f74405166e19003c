//! What is sealed for a connection: its credentials and the secret fields of its configuration.

use std::collections::BTreeMap;

use domain::{Connection, ConnectionId, EnvironmentId, Timestamp};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use store::{DbConn, StoreError, credentials};
use vault::{Owner, SealContext, VaultError};

use crate::encryption_keys::Sealer;

/// What is sealed for a connection: one JSON object of names and values.
const FIELD: &str = "credentials";

/// The place that the sealed credentials of the connection are bound to.
pub(crate) fn place(environment: EnvironmentId, connection: ConnectionId) -> SealContext<'static> {
    SealContext {
        environment,
        owner: Owner::Connection(connection),
        field: FIELD,
    }
}

impl Sealer {
    /// Stores what is sealed for the connection, in place of what is there.
    pub(crate) fn store(
        &self,
        c: &mut DbConn,
        row: &Connection,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (sealed, key_id) = self.seal(c, &place(row.environment, row.id), &secrets.to_json(), now)?;
        credentials::put(c, row.id, &sealed, &key_id, now)
    }

    /// Replaces the secrets that were opened from `old`; returns false if they have changed since.
    pub(crate) fn replace(
        &self,
        c: &mut DbConn,
        row: &Connection,
        (old, secrets): (&str, &Secrets),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (new, key_id) = self.seal(c, &place(row.environment, row.id), &secrets.to_json(), now)?;
        credentials::replace_if_same(c, row.id, old, &new, &key_id, now)
    }
}

/// Credentials and secret configuration of a connection, in plain.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// `apiKey`, or `username` and `password`.
    pub(crate) credentials: BTreeMap<String, SecretString>,
    /// The secret fields of the configuration.
    pub(crate) config: BTreeMap<String, SecretString>,
}

/// The prefix of secret fields of the configuration among the sealed credentials.
const CONFIG_PREFIX: &str = "connectionConfig.";

impl Secrets {
    fn to_json(&self) -> SecretString {
        let config = self.config.iter();
        let config = config.map(|(name, value)| (format!("{CONFIG_PREFIX}{name}"), value.expose_secret()));
        let credentials = self.credentials.iter();
        let credentials = credentials.map(|(name, value)| (name.clone(), value.expose_secret()));
        let object: Json = credentials.chain(config).collect();
        SecretString::from(object.to_string())
    }

    pub(crate) fn from_json(text: &SecretString) -> Result<Self, VaultError> {
        let all: BTreeMap<String, String> =
            serde_json::from_str(text.expose_secret()).map_err(|_| VaultError::Malformed)?;
        let mut secrets = Self::default();
        for (name, value) in all {
            match name.strip_prefix(CONFIG_PREFIX) {
                Some(field) => secrets.config.insert(field.to_owned(), value.into()),
                None => secrets.credentials.insert(name, value.into()),
            };
        }
        Ok(secrets)
    }

    /// Whether both hold the same values.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.to_json().expose_secret() == other.to_json().expose_secret()
    }

    /// Moves secret fields here from a stored configuration, where older versions left them in clear.
    pub(crate) fn take_from(&mut self, provider: &Provider, config: &mut Map<String, Json>) {
        config.retain(|name, value| match value {
            Json::String(text) if provider.is_secret_config(name) => {
                let text = std::mem::take(text);
                self.config.entry(name.clone()).or_insert_with(|| text.into());
                false
            }
            _ => true,
        });
    }
}
