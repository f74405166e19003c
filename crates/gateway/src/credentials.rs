//! Credentials between the vault and the store: sealed on the way in, opened for the length of a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Clock, Connection, ConnectionId, EnvironmentId, Timestamp};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use store::{DbConn, Store, StoreError, credentials};
use upstream::{Priority, Target, Variables};
use vault::{KeyRing, Owner, SealContext, Sealed, VaultError};

use crate::gateway::Inner;
use crate::integration_config::Config;
use crate::key_ring::{self, CurrentKey, EncryptionKeys, KeySource};
use crate::{GatewayError, given};

/// What is sealed for a connection: one JSON object of names and values.
const FIELD: &str = "credentials";

/// Where the credentials of the connection stand.
pub(crate) fn place(environment: EnvironmentId, connection: ConnectionId) -> SealContext<'static> {
    SealContext {
        environment,
        owner: Owner::Connection(connection),
        field: FIELD,
    }
}

pub(crate) struct Credentials {
    pub(crate) keys: EncryptionKeys,
}

impl Credentials {
    /// Loads the keys and checks that they are those that the database was used with.
    pub(crate) async fn open(source: KeySource, store: &Store, clock: &Clock) -> Result<Self, GatewayError> {
        let keys = EncryptionKeys::open(source, store, clock).await?;
        Ok(Self { keys })
    }

    /// Seals with the newest key there is.
    pub(crate) async fn sealer(&self, store: &Store) -> Sealer {
        self.keys.refresh(store).await;
        Sealer(self.keys.ring())
    }

    /// Opens what was sealed for a place, with a key that another process has put into the key file, if need be.
    pub(crate) async fn unseal(
        &self,
        store: &Store,
        place: &SealContext<'_>,
        sealed: &str,
    ) -> Result<SecretString, VaultError> {
        let sealed: Sealed = sealed.parse()?;
        match self.keys.ring().open(place, &sealed) {
            Err(VaultError::UnknownKey { .. }) => {
                self.keys.refresh(store).await;
                self.keys.ring().open(place, &sealed)
            }
            opened => opened,
        }
    }

    /// See [`crate::Gateway::rotate_key`].
    pub(crate) async fn rotate_key(&self, store: &Store, clock: &Clock) -> Result<CurrentKey, GatewayError> {
        self.keys.rotate(store, clock).await
    }
}

/// Seals within a transaction, since the connection's number is known only there.
pub(crate) struct Sealer(Arc<KeyRing>);

impl Sealer {
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.0
    }

    /// Makes the key that seals known to the database, in the transaction that stores what it sealed.
    pub(crate) fn record(&self, c: &mut DbConn, now: Timestamp) -> Result<(), StoreError> {
        key_ring::record(c, &self.0, now)
    }

    pub(crate) fn store(
        &self,
        c: &mut DbConn,
        row: &Connection,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sealed = self.seal(row, secrets);
        self.record(c, now)?;
        credentials::put(c, row.id, &sealed.to_string(), sealed.key_id().as_str(), now)
    }

    /// Puts the secrets in place of those that were opened from `old`; false if they have changed meanwhile.
    pub(crate) fn replace(
        &self,
        c: &mut DbConn,
        row: &Connection,
        (old, secrets): (&str, &Secrets),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sealed = self.seal(row, secrets);
        self.record(c, now)?;
        let (new, key_id) = (sealed.to_string(), sealed.key_id().as_str());
        credentials::replace_if_same(c, row.id, old, &new, key_id, now)
    }

    fn seal(&self, row: &Connection, secrets: &Secrets) -> Sealed {
        self.0.seal(&place(row.environment, row.id), &secrets.to_json())
    }
}

/// What is sealed for a connection.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// `apiKey`, or `username` and `password`.
    pub(crate) credentials: BTreeMap<String, SecretString>,
    /// The secret fields of the configuration.
    pub(crate) config: BTreeMap<String, SecretString>,
}

/// Stands before the name of a secret field of the configuration where it is sealed, beside the credentials.
const CONFIG_PREFIX: &str = "connectionConfig.";

impl Secrets {
    fn to_json(&self) -> SecretString {
        let config = self.config.iter();
        let config = config.map(|(name, value)| (format!("{CONFIG_PREFIX}{name}"), value));
        let credentials = self.credentials.iter();
        let object: Map<String, Json> = credentials
            .map(|(name, value)| (name.clone(), value))
            .chain(config)
            .map(|(name, value)| (name, value.expose_secret().into()))
            .collect();
        SecretString::from(Json::Object(object).to_string())
    }

    fn from_json(text: &SecretString) -> Result<Self, VaultError> {
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
        let same = |a: &BTreeMap<String, SecretString>, b: &BTreeMap<String, SecretString>| {
            let value = |value: &SecretString| value.expose_secret().to_owned();
            a.len() == b.len()
                && a.iter()
                    .all(|(name, one)| b.get(name).map(value) == Some(value(one)))
        };
        same(&self.credentials, &other.credentials) && same(&self.config, &other.config)
    }

    /// Takes the secret fields out of a stored configuration, which older versions stored in clear.
    pub(crate) fn take_from(&mut self, provider: &Provider, config: &mut Map<String, Json>) {
        let mut public = Map::new();
        for (name, value) in std::mem::take(config) {
            match value {
                Json::String(text) if provider.is_secret_config(&name) => {
                    self.config.entry(name).or_insert_with(|| text.into());
                }
                value => drop(public.insert(name, value)),
            }
        }
        *config = public;
    }
}

impl Inner {
    /// A connection's credentials as they are stored. No text comes twice, not even of the same credentials, so that an equal one
    /// tells that nothing was replaced since.
    pub(crate) async fn sealed(&self, connection: ConnectionId) -> Result<String, GatewayError> {
        Ok(self.store.read(move |c| credentials::get(c, connection)).await?)
    }

    /// What was sealed for the connection.
    pub(crate) async fn open(&self, row: &Connection, sealed: &str) -> Result<Secrets, GatewayError> {
        if sealed == credentials::GIVEN_UP {
            return Err(GatewayError::CredentialsLost(row.name.clone()));
        }
        let opened = self
            .credentials
            .unseal(&self.store, &place(row.environment, row.id), sealed)
            .await?;
        Ok(Secrets::from_json(&opened)?)
    }

    /// Opens a connection's credentials for calls.
    pub(crate) async fn target(&self, row: &Connection) -> Result<Target, GatewayError> {
        let sealed = self.sealed(row.id).await?;
        self.target_of(row, &sealed).await
    }

    /// The same with what is stored of them in hand.
    pub(crate) async fn target_of(&self, row: &Connection, sealed: &str) -> Result<Target, GatewayError> {
        let secrets = self.open(row, sealed).await?;
        self.target_with(row, secrets).await
    }

    /// Like [`Self::target`] for a connection that gets new credentials: if its own were given up, the target has none.
    pub(crate) async fn target_to_renew(&self, row: &Connection) -> Result<Target, GatewayError> {
        match self.target(row).await {
            Err(GatewayError::CredentialsLost(_)) => self.target_with(row, Secrets::default()).await,
            target => target,
        }
    }

    async fn target_with(&self, row: &Connection, mut secrets: Secrets) -> Result<Target, GatewayError> {
        let provider: &Arc<Provider> = self.provider(&row.provider)?;
        let mut config = row.connection_config.clone();
        secrets.take_from(provider, &mut config);
        let integration_config = if provider.integration_config.is_empty() {
            Config::new()
        } else {
            let integration = self.integration(row.environment, row.integration.as_str());
            self.integration_config(&integration.await?).await?
        };
        let variables = Variables {
            credentials: secrets.credentials,
            secret_config: secrets.config,
            connection_config: given::holes(&config),
            integration_config,
            metadata: row.metadata.clone().unwrap_or_default(),
            variant: None,
        };
        Ok(Target {
            provider: Arc::clone(provider),
            connection: Some(row.id),
            variables: Arc::new(variables),
            priority: Priority::Interactive,
        })
    }
}
