//! API keys: made, recognised by their hash, and the scopes they carry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::{ApiKey, ApiKeyId, Environment, EnvironmentId, EnvironmentName};
use secrecy::{ExposeSecret, SecretString};
use store::StoreError;
use store::api_keys::{self, NewApiKey};
use store::environments;

use crate::gateway::Inner;
use crate::{FieldError, GatewayError};

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What a key may do. Written as Nango writes them: `environment:connections:read`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scope {
            $($(#[$doc])* $name),*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it is stored and shown; never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}
scopes! {
    /// See providers and integrations.
    IntegrationsList = "environment:integrations:list",
    /// See one integration.
    IntegrationsRead = "environment:integrations:read",
    /// Make integrations.
    IntegrationsCreate = "environment:integrations:create",
    /// Change integrations.
    IntegrationsUpdate = "environment:integrations:update",
    /// Delete an integration with its connections.
    IntegrationsDelete = "environment:integrations:delete",
    /// See which syncs and actions an integration has.
    FunctionsList = "environment:functions:list",
    /// List connections.
    ConnectionsList = "environment:connections:list",
    /// See one connection, without its credentials.
    ConnectionsRead = "environment:connections:read",
    /// See one connection with its credentials in plain.
    ConnectionsReadCredentials = "environment:connections:read_credentials",
    /// Connect, and import connections.
    ConnectionsCreate = "environment:connections:create",
    /// Change connections, and their credentials.
    ConnectionsUpdate = "environment:connections:update",
    /// Delete a connection with its rows.
    ConnectionsDelete = "environment:connections:delete",
    /// Make connect sessions for front ends.
    ConnectSessionsWrite = "environment:connect_sessions:write",
    /// See syncs and runs.
    SyncsRead = "environment:syncs:read",
    /// Trigger, pause and start syncs.
    SyncsExecute = "environment:syncs:execute",
    /// Set how often syncs run.
    SyncsUpdate = "environment:syncs:update",
    /// Make variants of syncs.
    SyncsVariantCreate = "environment:syncs:variant:create",
    /// Delete variants of syncs.
    SyncsVariantDelete = "environment:syncs:variant:delete",
    /// Read synced records.
    RecordsRead = "environment:records:read",
    /// Prune synced records.
    RecordsWrite = "environment:records:write",
    /// Run actions.
    ActionsExecute = "environment:actions:execute",
    /// Call providers through the proxy.
    Proxy = "environment:proxy",
    /// See environment variables.
    VariablesRead = "environment:variables:read",
    /// See the environments.
    EnvironmentsList = "account:environments:list",
    /// Make environments.
    EnvironmentsCreate = "account:environments:create",
    /// Delete environments.
    EnvironmentsDelete = "account:environments:delete",
    /// See the API keys of environments, never the keys themselves.
    ApiKeysList = "account:environments:api_keys:list",
    /// Make API keys.
    ApiKeysCreate = "account:environments:api_keys:create",
    /// Revoke API keys.
    ApiKeysDelete = "account:environments:api_keys:delete",
}

/// What a key holds that may do everything, now and in later versions.
fn everything() -> Vec<String> {
    ["environment:*", "account:*"].map(str::to_owned).to_vec()
}

impl Scope {
    /// Whether somebody who holds `held` has this scope: itself, one that holds it (`read_credentials` holds `read`), or all of
    /// its kind.
    fn is_in(self, held: &str) -> bool {
        let name = self.as_str();
        held == name
            || held
                .strip_suffix('*')
                .is_some_and(|kind| kind.ends_with(':') && name.starts_with(kind))
            || held.replace("_credentials", "") == name
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody with a good key: all that a use case may touch lies within their environment.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The environment that the key belongs to.
    pub environment: EnvironmentId,
    pub(crate) key: ApiKeyId,
    scopes: Arc<[String]>,
}

impl Caller {
    /// Whether the key carries `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| scope.is_in(held))
    }
}

/// A key just made: the only time that it is there to be shown.
pub struct NewKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key.
    pub secret: SecretString,
}

/// A key that somebody wants.
#[derive(Debug, Clone)]
pub struct NewKeyRequest {
    /// What people call it.
    pub name: String,
    /// What it may do, as scopes are written: `environment:records:read`, `environment:connections:*`.
    pub scopes: Vec<String>,
    /// Whether it is to be a UUID, which programs written for Nango's first servers demand, in place of a key with a prefix.
    pub uuid: bool,
}

/// The longest name of a key, in bytes.
const MAX_KEY_NAME: usize = 255;

/// The use cases of API keys.
pub struct Keys<'a>(pub(crate) &'a Inner);

/// How long a good key is accepted without another read of the database.
pub(crate) const CACHED: Duration = Duration::from_secs(2);

/// A key's last use is noted at most this often: a write for each read would cost more than the read.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How long a request waits for that note.
const TOUCH_WAIT: Duration = Duration::from_millis(100);

impl Keys<'_> {
    /// Whose key `secret` is. A good key is cached for two seconds: for so long one that another process revoked is still accepted.
    /// What this process revokes is refused at once.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, GatewayError> {
        match self.0.callers.get(&vault::api_key::hash(secret)) {
            Some(caller) => Ok(caller),
            None => self.authenticate_anew(secret).await,
        }
    }

    /// The same without the cache: for requests whose effects last, such as the making of another key.
    pub async fn authenticate_anew(&self, secret: &str) -> Result<Caller, GatewayError> {
        let hash = vault::api_key::hash(secret);
        let (reading, wanted) = (self.0.callers.begin(), hash.clone());
        let row = self
            .0
            .store
            .read(move |c| api_keys::by_hash(c, &wanted))
            .await?
            .ok_or(GatewayError::UnknownKey)?;
        self.touch(&row).await;
        let caller = Caller {
            environment: row.environment,
            key: row.id,
            scopes: row.scopes.into(),
        };
        self.0.callers.put(hash, caller.clone(), reading);
        Ok(caller)
    }

    async fn touch(&self, row: &ApiKey) {
        let (id, now) = (row.id, self.0.clock.now());
        if row
            .last_used_at
            .is_some_and(|last| !now.has_elapsed(TOUCH_EVERY, last))
        {
            return;
        }
        let store = self.0.store.clone();
        // On a task of its own, so that a read does not wait for a database that takes no writes: the caller is who they are all the same.
        let noted = tokio::spawn(async move {
            match store.write(move |c| api_keys::touch(c, id, now)).await {
                Err(error) if !error.is_transient() => {
                    tracing::warn!(%error, "the last use of an API key was not noted");
                }
                _ => {}
            }
        });
        drop(tokio::time::timeout(TOUCH_WAIT, noted).await);
    }

    /// Makes sure that `environment` is there and takes `secret` as a key of it, or makes a key if it has none. A `secret` that was
    /// revoked stays so, and one that is another environment's stays that.
    ///
    /// Returns the key if one was made.
    pub async fn bootstrap(
        &self,
        environment: &EnvironmentName,
        secret: Option<SecretString>,
    ) -> Result<Option<NewKey>, GatewayError> {
        let now = self.0.clock.now();
        let name = environment.clone();
        let environment = self
            .0
            .store
            .write(move |c| environments::ensure(c, &name, now))
            .await?;
        if let Some(secret) = secret {
            vault::api_key::check(secret.expose_secret())?;
            let added = self.add(environment.id, "from configuration", &secret, everything());
            if let (_, Some(known)) = added.await? {
                warn_of(&known, &environment);
            }
            return Ok(None);
        }
        let id = environment.id;
        let secret = vault::api_key::generate(&environment.name);
        let key = self.new_key(id, "first start", &secret, everything());
        let made = key.id;
        // Of processes that start at once, one makes a key.
        let first = self.0.store.write(move |c| {
            environments::lock(c, id)?;
            let first = api_keys::count(c, id)? == 0;
            if first {
                api_keys::insert(c, &key)?;
            }
            Ok(first)
        });
        Ok(first.await?.then_some(NewKey { id: made, secret }))
    }

    /// The keys of an environment, newest first, revoked ones among them.
    pub async fn list(&self, environment: EnvironmentId) -> Result<Vec<ApiKey>, GatewayError> {
        Ok(self.0.store.read(move |c| api_keys::list(c, environment)).await?)
    }

    /// Makes a key. It may do no more than the caller may; `None` for somebody at the command line, who may do everything.
    pub async fn create(
        &self,
        caller: Option<&Caller>,
        environment: &Environment,
        request: NewKeyRequest,
    ) -> Result<NewKey, GatewayError> {
        let mut errors = Vec::new();
        if request.name.is_empty() || request.name.len() > MAX_KEY_NAME || request.name.contains('\0') {
            errors.push(FieldError::at(
                "invalid",
                "name",
                "must be text of 1 to 255 bytes",
            ));
        }
        if let Err(rule) = domain::check_new(&request.name) {
            errors.push(FieldError::at("invalid", "name", rule.to_string()));
        }
        if request.scopes.is_empty() {
            errors.push(FieldError::at(
                "missing",
                "scopes",
                "are needed: a list such as [\"environment:*\"]",
            ));
        }
        for (index, scope) in request.scopes.iter().enumerate() {
            let mut wrong = |message: String| {
                errors.push(FieldError {
                    code: "invalid",
                    path: vec!["scopes".to_owned(), index.to_string()],
                    message,
                });
            };
            let mut covered = Scope::ALL.iter().filter(|known| known.is_in(scope)).peekable();
            if covered.peek().is_none() {
                wrong("is no scope; such are environment:*, environment:records:read, environment:connections:*".to_owned());
            } else if let Some(lacking) = caller.and_then(|caller| covered.find(|scope| !caller.may(**scope)))
            {
                wrong(format!("gives more than your own key may do: it lacks {lacking}"));
            }
        }
        if !errors.is_empty() {
            return Err(GatewayError::InvalidBody(errors));
        }
        let secret = if request.uuid {
            SecretString::from(uuid::Uuid::new_v4().to_string())
        } else {
            vault::api_key::generate(&environment.name)
        };
        let (id, _) = self
            .add(environment.id, &request.name, &secret, request.scopes)
            .await?;
        Ok(NewKey { id, secret })
    }

    /// Revokes a key of an environment.
    pub async fn revoke(&self, environment: EnvironmentId, id: &str) -> Result<(), GatewayError> {
        let unknown = || GatewayError::UnknownApiKey(id.to_owned());
        let (key, now): (ApiKeyId, _) = (id.parse().map_err(|_| unknown())?, self.0.clock.now());
        let revoked = self
            .0
            .store
            .write(move |c| api_keys::revoke(c, environment, key, now));
        let revoked = revoked.await;
        self.0.callers.clear();
        revoked.map_err(|error| match error {
            StoreError::NotFound { .. } => unknown(),
            other => other.into(),
        })
    }

    /// Stores the hash of `secret`; a key that is already there stays as it is, and is given back.
    async fn add(
        &self,
        environment: EnvironmentId,
        name: &str,
        secret: &SecretString,
        scopes: Vec<String>,
    ) -> Result<(ApiKeyId, Option<ApiKey>), GatewayError> {
        let key = self.new_key(environment, name, secret, scopes);
        let id = key.id;
        let stored = self
            .0
            .store
            .write(move |c| match api_keys::by_hash_even_revoked(c, &key.hash)? {
                Some(known) => Ok((known.id, Some(known))),
                None => api_keys::insert(c, &key).map(|()| (id, None)),
            });
        Ok(stored.await?)
    }

    fn new_key(
        &self,
        environment: EnvironmentId,
        name: &str,
        secret: &SecretString,
        scopes: Vec<String>,
    ) -> NewApiKey {
        let now = self.0.clock.now();
        NewApiKey {
            environment,
            id: ApiKeyId::new(now),
            name: name.to_owned(),
            prefix: vault::api_key::display_prefix(secret.expose_secret()),
            hash: vault::api_key::hash(secret.expose_secret()),
            scopes,
            created_at: now,
        }
    }
}

/// Tells of a configured key that does not do what its being there suggests.
fn warn_of(known: &ApiKey, wanted: &Environment) {
    if known.revoked_at.is_some() {
        tracing::warn!(
            key.id = %known.id,
            "the configured API key (TRUNKLINE_SECRET_KEY) was revoked and stays so: configure another, or none"
        );
    } else if known.environment != wanted.id {
        tracing::warn!(
            key.id = %known.id,
            environment = %known.environment_name,
            "the configured API key (TRUNKLINE_SECRET_KEY) belongs to another environment than {} and opens that one alone",
            wanted.name,
        );
    }
}
