//! The encryption keys: checked against the database at start, and read again when the key file changes.
//!
//! A key in memory stays in use until the process ends, whatever happens to its file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::{Clock, Timestamp};
use parking_lot::{Mutex, RwLock};
use secrecy::SecretString;
use store::vault_keys::{self, VaultKey};
use store::{DbConn, Store, StoreError, credentials, integration_secrets, webhook_secrets};
use vault::{KeyFile, KeyId, KeyRing, SealContext, Sealed, VaultError};

use crate::error::{GatewayError, Result, refusable};

/// The source of the keys.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Configuration: the first seals, all open. It changes by a restart.
    Given(KeyRing),
    /// A file, read again before something is sealed and when a value was sealed with an unknown key. That is how a rotation
    /// reaches running processes.
    File(KeyFile),
}

impl KeySource {
    /// Loads the keys. Blocks if they are in a file.
    pub(crate) fn load(&self) -> Result<KeyRing, VaultError> {
        match self {
            Self::Given(ring) => Ok(ring.clone()),
            Self::File(file) => file.load(),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("the setting TRUNKLINE_ENCRYPTION_KEY"),
            Self::File(file) => write!(f, "the key file {}", file.path().display()),
        }
    }
}

/// The key that seals from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentKey {
    /// Its public id.
    pub id: KeyId,
    /// Whether it was just created. An interrupted rotation continues with its key.
    pub made: bool,
}

/// The encryption keys of this process.
pub(crate) struct EncryptionKeys {
    store: Store,
    clock: Clock,
    source: KeySource,
    loaded: RwLock<Loaded>,
    /// The last problem of the key file, so that it is logged once.
    problem: Mutex<Option<String>>,
}

struct Loaded {
    ring: Arc<KeyRing>,
    /// The ids of the keys that the source held when it was last accepted.
    source_ids: Vec<KeyId>,
}

impl EncryptionKeys {
    /// Loads the keys and checks that they are those that the database was used with.
    ///
    /// Creates a key file only for a database that has never been used with a key.
    pub(crate) async fn open(source: KeySource, store: Store, clock: Clock) -> Result<Self> {
        let (of, now) = (source.clone(), clock.now());
        let ring = store.write(refusable(move |c| load_first(c, &of, now))).await??;
        Ok(Self {
            store,
            clock,
            source,
            loaded: RwLock::new(Loaded {
                source_ids: ring.ids(),
                ring: Arc::new(ring),
            }),
            problem: Mutex::default(),
        })
    }

    /// The keys in memory.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.loaded.read().ring)
    }

    /// Returns what seals with the newest key.
    pub(crate) async fn sealer(&self) -> Sealer {
        self.refresh().await;
        Sealer(self.ring())
    }

    /// Opens what was sealed for a place, if need be with a key that another process has put into the key file.
    pub(crate) async fn unseal(
        &self,
        place: &SealContext<'_>,
        sealed: &str,
    ) -> Result<SecretString, VaultError> {
        let sealed: Sealed = sealed.parse()?;
        match self.ring().open(place, &sealed) {
            Err(VaultError::UnknownKey(_)) => {
                self.refresh().await;
                self.ring().open(place, &sealed)
            }
            opened => opened,
        }
    }

    /// Like [`Self::reload`], but a key file that cannot be used is logged, and the keys in memory stay in use.
    async fn refresh(&self) {
        let problem = self.reload().await.err().map(|error| error.to_string());
        let mut known = self.problem.lock();
        if *known == problem {
            return;
        }
        if let Some(problem) = &problem {
            tracing::error!(
                "the key file cannot be used: the keys in memory stay in use, but the next start will fail: {problem}"
            );
        } else {
            tracing::info!("the key file can be used again");
        }
        *known = problem;
    }

    /// Reads the key file again; returns the keys in memory then, of which the current one is in the file.
    pub(crate) async fn reload(&self) -> Result<Arc<KeyRing>> {
        if let KeySource::File(file) = &self.source {
            let file = file.clone();
            let loaded = tokio::task::spawn_blocking(move || file.load()).await;
            let ring = loaded.map_err(|stopped| GatewayError::EncryptionKey(stopped.to_string()))??;
            if self.loaded.read().source_ids != ring.ids() {
                let usage = self.store.read(Usage::read).await?;
                usage.check(&ring, &self.source)?;
                self.accept(ring);
            }
        }
        Ok(self.ring())
    }

    fn accept(&self, ring: KeyRing) {
        let mut loaded = self.loaded.write();
        loaded.source_ids = ring.ids();
        loaded.ring = Arc::new(ring.with_keys_of(&loaded.ring));
    }

    /// Puts a new key into the key file, unless credentials are left that an earlier rotation did not reach. Keys from
    /// configuration are taken as they are.
    pub(crate) async fn rotate(&self) -> Result<CurrentKey> {
        let (source, now) = (self.source.clone(), self.clock.now());
        let (ring, made) = self
            .store
            .write(refusable(move |c| next_ring(c, &source, now)))
            .await??;
        let id = ring.current().id();
        self.accept(ring);
        Ok(CurrentKey { id, made })
    }
}

/// Seals with one key, within a transaction, since the place of a new row is known only there.
pub(crate) struct Sealer(Arc<KeyRing>);

impl Sealer {
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.0
    }

    /// Seals the text for its place, and records the key in the transaction that stores the result. Returns the sealed text and the key's
    /// id.
    pub(crate) fn seal(
        &self,
        c: &mut DbConn,
        place: &SealContext<'_>,
        text: &SecretString,
        now: Timestamp,
    ) -> Result<(String, String), StoreError> {
        record(c, &self.0, now)?;
        let sealed = self.0.seal(place, text);
        Ok((sealed.to_string(), sealed.key_id().to_string()))
    }
}

/// Records the ring's current key in the database.
pub(crate) fn record(c: &mut DbConn, ring: &KeyRing, now: Timestamp) -> Result<(), StoreError> {
    let key = VaultKey {
        key_id: ring.current().id().to_string(),
        check: ring.check_value().to_string(),
        created_at: now,
    };
    vault_keys::ensure(c, &key)
}

fn load_first(c: &mut DbConn, source: &KeySource, now: Timestamp) -> Result<KeyRing> {
    vault_keys::lock(c)?;
    let usage = Usage::read(c)?;
    let loaded = match (source, source.load()) {
        (KeySource::File(file), Err(VaultError::KeyFileMissing(_))) if usage.is_empty() => create(file),
        (_, Err(error @ VaultError::KeyFileMissing(_))) => Err(usage.without_file(&error)),
        (_, loaded) => loaded.map_err(GatewayError::from),
    };
    let ring = loaded?;
    usage.check(&ring, source)?;
    record(c, &ring, now)?;
    Ok(ring)
}

fn create(file: &KeyFile) -> Result<KeyRing> {
    let Some(ring) = file.create()? else {
        // Another process that is starting created it first.
        return Ok(file.load()?);
    };
    tracing::info!(
        key.id = %ring.current().id(),
        key.file = %file.path().display(),
        "created an encryption key: back up this file, apart from the database; without it stored credentials cannot be read",
    );
    Ok(ring)
}

fn next_ring(c: &mut DbConn, source: &KeySource, now: Timestamp) -> Result<(KeyRing, bool)> {
    vault_keys::lock(c)?;
    let usage = Usage::read(c)?;
    let ring = source.load()?;
    usage.check(&ring, source)?;
    let (ring, made) = match source {
        KeySource::File(file) if usage.is_sealed_with(&ring.current().id()) => (file.rotate()?, true),
        _ => (ring, false),
    };
    record(c, &ring, now)?;
    Ok((ring, made))
}

/// The advice if no copy of a key exists.
const IF_LOST: &str = "If the key is lost for good, `trunkline key forget --lost` gives up what it sealed";

/// Which keys the database was used with.
pub(crate) struct Usage {
    /// Every key that ever sealed something, but those that were given up.
    pub(crate) known: Vec<VaultKey>,
    /// What each key seals now, by the key's id.
    pub(crate) sealed: BTreeMap<String, SealedCount>,
}

/// How much a key seals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedCount {
    /// Connections, with their credentials and the secret fields of their configurations.
    pub connections: i64,
    /// Integrations, with the secret fields of their configurations.
    pub integrations: i64,
    /// Secrets of webhooks.
    pub webhooks: i64,
}

impl fmt::Display for SealedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stored credentials", self.connections)?;
        match self.integrations {
            0 => {}
            count => write!(f, " and the secret fields of {count} integrations")?,
        }
        match self.webhooks {
            0 => Ok(()),
            count => write!(f, " and {count} secrets of webhooks"),
        }
    }
}

impl Usage {
    pub(crate) fn read(c: &mut DbConn) -> Result<Self, StoreError> {
        let mut sealed = BTreeMap::<String, SealedCount>::new();
        for (id, count) in credentials::count_by_key_any_environment(c)? {
            sealed.entry(id).or_default().connections = count;
        }
        for (id, count) in integration_secrets::count_by_key_any_environment(c)? {
            sealed.entry(id).or_default().integrations = count;
        }
        for (id, count) in webhook_secrets::count_by_key_any_environment(c)? {
            sealed.entry(id).or_default().webhooks = count;
        }
        Ok(Self {
            known: vault_keys::list(c)?,
            sealed,
        })
    }

    /// Whether the database has never been used with a key.
    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.sealed.is_empty()
    }

    /// Whether the key sealed everything that is sealed.
    fn is_sealed_with(&self, key: &KeyId) -> bool {
        self.sealed.keys().all(|id| id == key.as_str())
    }

    /// Checks that the ring opens everything that is sealed, and that it is of this database.
    fn check(&self, ring: &KeyRing, source: &KeySource) -> Result<()> {
        let ids = ring.ids();
        let held = |id: &str| ids.iter().any(|held| held.as_str() == id);
        let missing: Vec<String> = self
            .sealed
            .iter()
            .filter(|(id, _)| !held(id))
            .map(|(id, sealed)| format!("{id} (needed for {sealed})"))
            .collect();
        if !missing.is_empty() {
            return Err(GatewayError::EncryptionKey(format!(
                "{source} lacks the encryption key {}: add it after the first key. It holds: {}. {IF_LOST}",
                missing.join(" and "),
                names(ids.iter())
            )));
        }
        let mut proved = self.known.is_empty();
        for key in self.known.iter().filter(|key| held(&key.key_id)) {
            ring.verify_check(&key.check.parse()?)?;
            proved = true;
        }
        if !proved {
            return Err(GatewayError::EncryptionKey(format!(
                "{source} is not of this database. It holds the encryption key {}, but the database was used with {}: give it one \
                 of those keys too. {IF_LOST}",
                names(ids.iter()),
                names(self.known.iter().map(|key| &key.key_id))
            )));
        }
        Ok(())
    }

    /// Returns an error for a database whose key file is missing.
    fn without_file(&self, missing: &VaultError) -> GatewayError {
        let count: i64 = self.sealed.values().map(|sealed| sealed.connections).sum();
        GatewayError::EncryptionKey(format!(
            "{missing}. No new key was made, since the database was used with the encryption key {} and holds {count} sealed \
             credentials, which no other key opens. {IF_LOST}",
            names(self.known.iter().map(|key| &key.key_id))
        ))
    }
}

fn names(ids: impl Iterator<Item = impl fmt::Display>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
}
