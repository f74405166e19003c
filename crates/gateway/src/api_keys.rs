//! API keys: authenticates them by their hash, creates, lists and revokes them.

use std::time::Duration;

use domain::{ApiKey, ApiKeyId, Environment, EnvironmentId, EnvironmentName};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::api_keys::{self, NewApiKey};
use store::environments;
use utoipa::ToSchema;

use crate::caller::{Caller, Scope};
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::Gateway;

/// The scopes of a key with all permissions, also of later versions.
fn everything() -> Vec<String> {
    ["environment:*", "account:*"].map(str::to_owned).to_vec()
}

/// A new key, shown only once.
pub struct NewKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key.
    pub secret: SecretString,
}

/// The API key to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, example = json!({ "name": "ci", "scopes": ["environment:records:read", "environment:connections:*"] }))]
pub struct NewKeyRequest {
    /// Your name for it.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// The scopes of the key: at most those of your own key. `environment:*` and `account:*` mean all scopes with that prefix.
    #[schema(min_items = 1)]
    pub scopes: Vec<String>,
    /// Whether the key is a UUID, which some clients of Nango require.
    #[serde(default)]
    pub uuid: bool,
}

/// The longest name of a key, in bytes.
const MAX_KEY_NAME: usize = 255;

/// A key's last use is stored at most this often: a write for each read would cost more than the read.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How long a request waits for that write.
const TOUCH_WAIT: Duration = Duration::from_millis(100);

/// Returns the caller with the key `secret`. A valid key is cached for two seconds, in which a key that another process revoked is still
/// accepted. A key that this process revokes is refused at once.
pub async fn authenticate(gateway: &Gateway, secret: &str) -> Result<Caller> {
    match gateway.caches.callers.get(&vault::api_key::hash(secret)) {
        Some(caller) => Ok(caller),
        None => authenticate_anew(gateway, secret).await,
    }
}

/// [`authenticate`] without the cache: for requests with lasting effects, such as making another key.
pub async fn authenticate_anew(gateway: &Gateway, secret: &str) -> Result<Caller> {
    let hash = vault::api_key::hash(secret);
    let (generation, wanted) = (gateway.caches.callers.generation(), hash.clone());
    let row = gateway
        .store
        .read(move |c| api_keys::by_hash(c, &wanted))
        .await?
        .ok_or(GatewayError::UnknownKey)?;
    touch(gateway, &row).await;
    let caller = Caller {
        environment: row.environment,
        key: row.id,
        scopes: row.scopes.into(),
    };
    gateway.caches.callers.insert(hash, caller.clone(), generation);
    Ok(caller)
}

async fn touch(gateway: &Gateway, row: &ApiKey) {
    let (id, now) = (row.id, gateway.clock.now());
    if row
        .last_used_at
        .is_some_and(|last| !now.has_elapsed(TOUCH_EVERY, last))
    {
        return;
    }
    let store = gateway.store.clone();
    // Spawned as a task, so that read requests work while the database accepts no writes.
    let stored = gateway.spawn(async move {
        match store.write(move |c| api_keys::touch(c, id, now)).await {
            Err(error) if !error.is_transient() => {
                tracing::warn!(%error, "the last use of an API key was not stored");
            }
            _ => {}
        }
    });
    drop(tokio::time::timeout(TOUCH_WAIT, stored).await);
}

/// Creates `environment` if it does not exist, and adds `secret` to its keys; without `secret`, creates a key if it has none. A `secret`
/// that was revoked, or that belongs to another environment, stays so.
///
/// Returns the key if one was created.
pub async fn bootstrap(
    gateway: &Gateway,
    environment: &EnvironmentName,
    secret: Option<SecretString>,
) -> Result<Option<NewKey>> {
    let now = gateway.clock.now();
    let name = environment.clone();
    let read = gateway.store.write(move |c| environments::ensure(c, &name, now));
    let environment = read.await?;
    if let Some(secret) = secret {
        vault::api_key::check(secret.expose_secret())?;
        let name = "from configuration";
        let key = new_key(gateway, environment.id, name, &secret, everything());
        let known = gateway
            .store
            .write(move |c| match api_keys::by_hash_even_revoked(c, &key.hash)? {
                None => api_keys::insert(c, &key).map(|()| None),
                known => Ok(known),
            });
        if let Some(known) = known.await? {
            warn_of(&known, &environment);
        }
        return Ok(None);
    }
    let id = environment.id;
    let secret = vault::api_key::generate(&environment.name);
    let key = new_key(gateway, id, "first start", &secret, everything());
    let made = key.id;
    // If processes start at the same time, only one creates a key.
    let first = gateway.store.write(move |c| {
        environments::lock(c, id)?;
        let first = api_keys::count(c, id)? == 0;
        if first {
            api_keys::insert(c, &key)?;
        }
        Ok(first)
    });
    Ok(first.await?.then_some(NewKey { id: made, secret }))
}

/// Lists the keys of an environment, newest first, including revoked ones.
pub async fn list(gateway: &Gateway, environment: EnvironmentId) -> Result<Vec<ApiKey>> {
    Ok(gateway
        .store
        .read(move |c| api_keys::list(c, environment))
        .await?)
}

/// Creates a key with at most the caller's scopes. `None` is the operator at the command line, who has all scopes.
pub async fn create(
    gateway: &Gateway,
    caller: Option<&Caller>,
    environment: &Environment,
    request: NewKeyRequest,
) -> Result<NewKey> {
    let mut errors = Vec::new();
    if request.name.is_empty() || request.name.len() > MAX_KEY_NAME || request.name.contains('\0') {
        let message = "must be text of 1 to 255 bytes";
        errors.push(FieldError::at("invalid", "name", message));
    }
    if let Err(rule) = domain::check_new_name(&request.name) {
        errors.push(FieldError::at("invalid", "name", rule.to_string()));
    }
    if request.scopes.is_empty() {
        let message = "are needed: a list such as [\"environment:*\"]";
        errors.push(FieldError::at("missing", "scopes", message));
    }
    for (index, scope) in request.scopes.iter().enumerate() {
        let mut wrong = |message: String| {
            errors.push(FieldError::new(
                "invalid",
                ["scopes", &index.to_string()],
                message,
            ));
        };
        let mut covered = Scope::ALL.iter().filter(|known| known.is_in(scope)).peekable();
        if covered.peek().is_none() {
            wrong(
                "is not a scope; scopes are, for example, environment:*, environment:records:read, environment:connections:*"
                    .to_owned(),
            );
        } else if let Some(lacking) = caller.and_then(|caller| covered.find(|scope| !caller.may(**scope))) {
            wrong(format!("gives more than your own key may do: it lacks {lacking}"));
        }
    }
    GatewayError::check_body(errors)?;
    let secret = if request.uuid {
        SecretString::from(uuid::Uuid::new_v4().to_string())
    } else {
        vault::api_key::generate(&environment.name)
    };
    let key = new_key(gateway, environment.id, &request.name, &secret, request.scopes);
    let id = key.id;
    let made = gateway.store.write(move |c| api_keys::insert(c, &key));
    made.await?;
    Ok(NewKey { id, secret })
}

/// Revokes a key of an environment.
pub async fn revoke(gateway: &Gateway, environment: EnvironmentId, id: &str) -> Result<()> {
    let unknown = || GatewayError::NotFound(format!("unknown API key {id:?} in this environment"));
    let (key, now): (ApiKeyId, _) = (id.parse().map_err(|_| unknown())?, gateway.clock.now());
    let store = &gateway.store;
    let revoke = store.write(move |c| api_keys::revoke(c, environment, key, now));
    let revoked = revoke.await;
    gateway.caches.callers.clear();
    revoked.map_err(GatewayError::or_unknown(unknown))
}

fn new_key(
    gateway: &Gateway,
    environment: EnvironmentId,
    name: &str,
    secret: &SecretString,
    scopes: Vec<String>,
) -> NewApiKey {
    let now = gateway.clock.now();
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

/// Logs that the configured key does not open the environment.
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
