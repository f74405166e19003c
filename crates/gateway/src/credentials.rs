//! Credentials between the vault and the store: sealed on the way in, opened for the length of a call, sealed anew on rotation.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Clock, ConnectionId, EnvironmentId, Timestamp};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use store::connections::ConnectionRow;
use store::vault_keys::{self, VaultKeyRow};
use store::{DbConn, Store, StoreError, credentials};
use upstream::{Target, Urgency, Variables};
use vault::{KeyFile, KeyRing, SealContext, Sealed, VaultError};

use crate::GatewayError;
use crate::gateway::Inner;

/// Where the keys come from.
#[derive(Debug)]
pub enum KeySource {
    /// Configuration: the first seals, all open. It changes by a restart.
    Given(KeyRing),
    /// A file, read again when a value was sealed with a key that was not there before: that is how a rotation reaches
    /// processes that are running.
    File(KeyFile),
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Credentials sealed anew.
    pub sealed: u64,
    /// Credentials that changed meanwhile, and so are sealed with the current key already.
    pub changed: u64,
}

/// What is sealed for a connection: one JSON object of names and values.
const FIELD: &str = "credentials";
/// Credentials read for one step of a rotation.
const BATCH: i64 = 200;

pub(crate) struct Credentials {
    source: KeySource,
    ring: RwLock<Arc<KeyRing>>,
}

impl Credentials {
    /// Loads the keys and proves that they are those which the database was made with.
    pub(crate) async fn open(source: KeySource, store: &Store, clock: &Clock) -> Result<Self, GatewayError> {
        let ring = Arc::new(load(&source)?);
        let (checked, now) = (Arc::clone(&ring), clock.now());
        store.write(move |c| prove(c, &checked, now)).await??;
        Ok(Self {
            source,
            ring: RwLock::new(ring),
        })
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Seals with the newest key there is.
    pub(crate) fn sealer(&self) -> Result<Sealer, GatewayError> {
        self.reload()?;
        Ok(Sealer(self.ring()))
    }

    fn reload(&self) -> Result<(), VaultError> {
        if let KeySource::File(_) = self.source {
            let ring = Arc::new(load(&self.source)?);
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        }
        Ok(())
    }

    fn unseal(
        &self,
        environment: EnvironmentId,
        connection: ConnectionId,
        sealed: &str,
    ) -> Result<SecretString, VaultError> {
        let sealed: Sealed = sealed.parse()?;
        let context = SealContext {
            environment,
            connection,
            field: FIELD,
        };
        match self.ring().open(&context, &sealed) {
            Err(VaultError::UnknownKey { .. }) => {
                self.reload()?;
                self.ring().open(&context, &sealed)
            }
            opened => opened,
        }
    }

    pub(crate) async fn reseal(
        &self,
        store: &Store,
        clock: &Clock,
        mut progress: impl FnMut(Rotation),
    ) -> Result<Rotation, GatewayError> {
        self.reload()?;
        let ring = self.ring();
        let (checked, now) = (Arc::clone(&ring), clock.now());
        store.write(move |c| prove(c, &checked, now)).await??;
        let current = ring.current().id().as_str().to_owned();
        let mut done = Rotation::default();
        loop {
            let key_id = current.clone();
            let rows = store
                .read(move |c| credentials::not_sealed_with(c, &key_id, BATCH))
                .await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for row in rows {
                let context = SealContext {
                    environment: row.environment,
                    connection: row.connection,
                    field: FIELD,
                };
                let Some(new) = ring.reseal(&context, &row.sealed.parse()?)? else {
                    continue;
                };
                let (key_id, now) = (current.clone(), clock.now());
                let replaced = store.write_durably(move |c| {
                    credentials::replace_if_same(
                        c,
                        row.connection,
                        &row.sealed,
                        &new.to_string(),
                        &key_id,
                        now,
                    )
                });
                if replaced.await? {
                    done.sealed += 1;
                } else {
                    done.changed += 1;
                }
                progress(done);
            }
        }
    }
}

fn load(source: &KeySource) -> Result<KeyRing, VaultError> {
    match source {
        KeySource::Given(ring) => Ok(KeyRing::new(ring.current().clone(), ring.older().to_vec())),
        KeySource::File(file) => file.load_or_create().map(|(ring, _)| ring),
    }
}

/// Checks the ring against the keys that the database knows, and makes its current key known.
///
/// The outer result is the transaction's, the inner one the check's.
fn prove(c: &mut DbConn, ring: &KeyRing, now: Timestamp) -> Result<Result<(), VaultError>, StoreError> {
    let current = ring.current().id().as_str().to_owned();
    let known = vault_keys::list(c)?;
    let mut outcome = Ok(());
    let mut opened = known.is_empty();
    for key in &known {
        match key.check.parse().and_then(|check| ring.verify_check(&check)) {
            Ok(()) => opened = true,
            Err(error) => outcome = Err(error),
        }
    }
    if !opened {
        return Ok(outcome);
    }
    if !known.iter().any(|key| key.key_id == current) {
        let check = ring.check_value().to_string();
        vault_keys::insert(
            c,
            &VaultKeyRow {
                key_id: current,
                check,
                created_at: now,
                retired_at: None,
            },
        )?;
    }
    Ok(Ok(()))
}

/// Seals within a transaction, since the connection's number is known only there.
pub(crate) struct Sealer(Arc<KeyRing>);

impl Sealer {
    pub(crate) fn store(
        &self,
        c: &mut DbConn,
        row: &ConnectionRow,
        values: &BTreeMap<String, SecretString>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let object: Map<String, Json> = values
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().into()))
            .collect();
        let plain = SecretString::from(Json::Object(object).to_string());
        let context = SealContext {
            environment: row.environment,
            connection: row.id,
            field: FIELD,
        };
        let sealed = self.0.seal(&context, &plain);
        credentials::put(c, row.id, &sealed.to_string(), sealed.key_id().as_str(), now)
    }
}

impl Inner {
    /// A connection's credentials as they are stored. No text comes twice, not even of the same credentials, so that an equal one
    /// tells that nothing was replaced since.
    pub(crate) async fn sealed(&self, connection: ConnectionId) -> Result<String, GatewayError> {
        Ok(self.store.read(move |c| credentials::get(c, connection)).await?)
    }

    /// The credentials that were sealed for the connection.
    pub(crate) fn open(
        &self,
        row: &ConnectionRow,
        sealed: &str,
    ) -> Result<BTreeMap<String, String>, GatewayError> {
        let opened = self.credentials.unseal(row.environment, row.id, sealed)?;
        Ok(serde_json::from_str(opened.expose_secret()).map_err(|_| VaultError::Malformed)?)
    }

    /// Opens a connection's credentials for calls.
    pub(crate) async fn target(&self, row: &ConnectionRow) -> Result<Target, GatewayError> {
        let provider: &Arc<Provider> = self.provider(&row.provider)?;
        let sealed = self.sealed(row.id).await?;
        let values = self.open(row, &sealed)?;
        let config = row.connection_config.iter();
        let integration_config = if provider.integration_config.is_empty() {
            BTreeMap::new()
        } else {
            let integration = self.integration(row.environment, row.integration.as_str());
            integration.await?.config()
        };
        let variables = Variables {
            credentials: values
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            connection_config: config
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            integration_config,
            metadata: row.metadata.clone().unwrap_or_default(),
            variant: None,
        };
        Ok(Target {
            provider: Arc::clone(provider),
            connection: Some(row.id),
            variables: Arc::new(variables),
            urgency: Urgency::Interactive,
        })
    }
}
