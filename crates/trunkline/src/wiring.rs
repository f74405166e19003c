//! Puts the parts together: providers, database, keys and the way to the providers become a gateway.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use domain::{Clock, EnvironmentName, ProviderName};
use gateway::{Gateway, KeySource, Parts};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use store::{Dialect, Store, StoreOptions};
use upstream::{Upstream, UpstreamOptions};
use url::Url;
use vault::{KeyFile, KeyRing, SecretKey, api_key};
use worker::WorkerOptions;

use crate::config::{self, Config, ConfigError};
use crate::{output, suggest};

/// The environment that there is from the start.
pub(crate) const FIRST_ENVIRONMENT: &str = "dev";

/// Whether to bring the tables up to date before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrate {
    Yes,
    /// Somebody else does; tables that are not up to date are an error.
    No,
}

/// The providers of the configuration, checked, and every provider that a setting names is among them.
pub(crate) fn load_providers(config: &Config) -> Result<Registry, ConfigError> {
    let folder = config.integrations_dir.as_deref();
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let problem = format!(
            "there is no folder {}. Create it, correct the path, or remove the setting",
            folder.display()
        );
        return Err(ConfigError::unusable("integrations_dir", problem));
    }
    let registry = Registry::load(folder)?;
    for name in config.providers.keys() {
        provider_called(&registry, name)?;
    }
    Ok(registry)
}

/// The same; doubts about them go to the log.
pub(crate) fn registry(config: &Config) -> Result<Registry, ConfigError> {
    let registry = load_providers(config)?;
    for problem in registry.warnings() {
        tracing::warn!("{problem}");
    }
    for (file, entries) in not_served(&registry) {
        tracing::info!(
            file,
            entries,
            "entries are not served; `trunkline providers check` tells why"
        );
    }
    Ok(registry)
}

/// How many entries of each file are not served.
pub(crate) fn not_served(registry: &Registry) -> BTreeMap<&str, usize> {
    let mut files = BTreeMap::new();
    for entry in registry.unsupported() {
        *files.entry(entry.file.as_str()).or_default() += 1;
    }
    files
}

/// What a process that does not stay is called.
const COMMAND: &str = "command";

/// The open database, for a command.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Store> {
    store_of(COMMAND, config).await
}

/// The open database; `part` is what this process is, as PostgreSQL lists it.
async fn store_of(part: &str, config: &Config) -> anyhow::Result<Store> {
    let set = &config.database;
    let options = StoreOptions {
        readers: set.connections.get(),
        timeout: Duration::from_secs(set.timeout_seconds.get()),
        pooler: set.pooler,
        application_name: format!("trunkline {part} {}", process_name()),
    };
    let url = &config.database.url;
    Store::open(url, options).await.with_context(|| {
        format!(
            "cannot open the database {url}, which {} names",
            config::named("database.url")
        )
    })
}

/// Fails if there is no database yet, before anything is made: opening SQLite's file would create it.
///
/// Only `serve`, `worker` and `migrate` create a database; any other command in the wrong folder must leave no trace.
pub(crate) fn must_exist(config: &Config) -> Result<(), ConfigError> {
    match config.database.url.sqlite_path() {
        Some(path) if !path.is_file() => Err(ConfigError::NoDatabase {
            path: path.to_owned(),
            folder: std::env::current_dir().unwrap_or_default(),
        }),
        _ => Ok(()),
    }
}

/// Tells processes of one kind apart, wherever they run.
fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // PostgreSQL takes 63 bytes for the whole name.
    let host: String = host
        .trim()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(32)
        .collect();
    format!("{host}:{}", std::process::id())
}

/// A gateway over the database as configured, for a command.
pub(crate) async fn gateway(config: &Config, migrate: Migrate) -> anyhow::Result<Gateway> {
    gateway_of(COMMAND, config, migrate).await
}

/// The same for a process that stays: `serve` or `worker`.
pub(crate) async fn gateway_of(part: &str, config: &Config, migrate: Migrate) -> anyhow::Result<Gateway> {
    if migrate == Migrate::No {
        must_exist(config)?;
    }
    let registry = registry(config)?;
    let upstream = Upstream::new(upstream_options(config, &registry)?, Clock::system())?;
    let store = store_of(part, config).await?;
    match migrate {
        Migrate::Yes => {
            for name in store.migrate().await? {
                tracing::info!(migration = name, "brought the tables up to date");
            }
        }
        Migrate::No => must_be_migrated(&store).await?,
    }
    if part != COMMAND {
        if store.dialect() == Dialect::Sqlite {
            store.raise_change_numbers().await?;
        }
        warn_of_few_connections(config, &store).await?;
    }
    let keys = keys(config)?;
    Ok(Gateway::start(Parts {
        store,
        registry,
        upstream,
        keys,
        clock: Clock::system(),
    })
    .await?)
}

/// Fails if the tables are not up to date.
pub(crate) async fn must_be_migrated(store: &Store) -> anyhow::Result<()> {
    let pending = store.pending_migrations().await?;
    anyhow::ensure!(
        pending.is_empty(),
        "the tables are not up to date: run `trunkline migrate` ({} missing)",
        pending.len()
    );
    Ok(())
}

/// Processes that find no connection fail at the worst moment, so they say at their start that there may be too few.
async fn warn_of_few_connections(config: &Config, store: &Store) -> anyhow::Result<()> {
    let Some((connections, processes)) = store.connection_budget().await? else {
        return Ok(());
    };
    let each = i64::from(config.database.connections.get());
    let wanted = processes.max(1).saturating_mul(each);
    if wanted > connections {
        tracing::warn!(
            processes,
            each,
            connections,
            "{processes} processes may open {wanted} connections, and PostgreSQL takes {connections}: raise max_connections, lower \
             database.connections, or put a pooler between"
        );
    }
    Ok(())
}

/// Refuses an API key of the configuration that could be guessed, before anything is made.
pub(crate) fn check_secret_key(config: &Config) -> Result<(), ConfigError> {
    let Some(secret) = &config.secret_key else {
        return Ok(());
    };
    api_key::check(secret.expose_secret()).map_err(|error| {
        ConfigError::unusable(
            "secret_key",
            format!("{error}. `trunkline key generate` makes one; without the setting, the first start does"),
        )
    })
}

/// Makes sure that there is an environment with an API key; a key that is made is shown, this once.
pub(crate) async fn first_key(gateway: &Gateway, config: &Config) -> anyhow::Result<Option<SecretString>> {
    let environment: EnvironmentName = FIRST_ENVIRONMENT.parse()?;
    let made = gateway
        .keys()
        .bootstrap(&environment, config.secret_key.clone())
        .await?;
    Ok(made.map(|key| key.secret))
}

/// Shows an API key that was just made; not in the log, which others keep and read.
pub(crate) fn show_key(secret: &SecretString) {
    let lines = [
        String::new(),
        format!("TRUNKLINE_SECRET_KEY={}", secret.expose_secret()),
        String::new(),
        "It is stored as a hash alone and cannot be shown again. Keep it".to_owned(),
        "where your app finds it, and send it as `Authorization: Bearer …`.".to_owned(),
    ];
    output::verbatim_note(output::boxed(
        &format!("The API key of environment {FIRST_ENVIRONMENT}, shown this once"),
        &lines,
    ));
}

/// The keys that seal credentials: from configuration, else from a file beside SQLite's.
pub(crate) fn keys(config: &Config) -> anyhow::Result<KeySource> {
    if let Some(given) = &config.encryption_key {
        return Ok(KeySource::Given(given_keys(given)?));
    }
    Ok(KeySource::File(key_file(config)?))
}

/// The file that keeps the keys if configuration gives none.
pub(crate) fn key_file(config: &Config) -> Result<KeyFile, ConfigError> {
    config.database.url.sqlite_path().map(|path| KeyFile::at(beside(path.as_os_str().to_owned()))).ok_or_else(|| {
        ConfigError::Refused(
            format!(
                "with PostgreSQL the encryption key must be set, so that all processes share it: set {}. `trunkline key generate` \
                 or `openssl rand -base64 32` makes a key",
                config::named("encryption_key")
            ),
        )
    })
}

fn beside(mut database: std::ffi::OsString) -> PathBuf {
    database.push(".key");
    database.into()
}

/// Several keys are separated by commas: the first seals, all open.
fn given_keys(given: &SecretString) -> anyhow::Result<KeyRing> {
    let mut keys = given
        .expose_secret()
        .split(',')
        .map(SecretKey::from_base64)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ConfigError::unusable("encryption_key", error.to_string()))?
        .into_iter();
    let current = keys.next().context("a split text has a first part")?;
    Ok(KeyRing::new(current, keys.collect()))
}

fn upstream_options(config: &Config, registry: &Registry) -> Result<UpstreamOptions, ConfigError> {
    let set = &config.upstream;
    Ok(UpstreamOptions {
        allow_private_addresses: set.allow_private_addresses,
        base_urls: base_urls(config, registry)?,
        allowed_origins: allowed_origins(config, registry)?,
        connect_timeout: Duration::from_secs(set.connect_timeout_seconds.get()),
        request_timeout: Duration::from_secs(set.request_timeout_seconds.get()),
        deadline: Duration::from_secs(set.deadline_seconds.get()),
        list_check: Duration::from_secs(set.list_check_seconds.get()),
        max_attempts: set.max_attempts.get(),
        max_wait: Duration::from_secs(set.max_wait_seconds.get()),
        max_body: set.max_body_mb.get().saturating_mul(1 << 20),
        memory: set.memory_mb.get().saturating_mul(1 << 20),
        ..UpstreamOptions::default()
    })
}

/// Addresses that replace those of provider files.
fn base_urls(config: &Config, registry: &Registry) -> Result<HashMap<ProviderName, Url>, ConfigError> {
    let mut urls = HashMap::new();
    for (name, provider) in &config.providers {
        let known = provider_called(registry, name)?;
        if let Some(url) = &provider.base_url {
            urls.insert(known, url.clone());
        }
    }
    Ok(urls)
}

/// Origins beside those of provider files.
fn allowed_origins(
    config: &Config,
    registry: &Registry,
) -> Result<HashMap<ProviderName, Vec<Url>>, ConfigError> {
    let mut origins = HashMap::new();
    for (name, provider) in &config.providers {
        let given = provider.allowed_origins.as_deref().unwrap_or_default();
        let urls = given
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty())
            .map(|origin| {
                let url = Url::parse(origin).ok();
                url.filter(|url| matches!(url.scheme(), "http" | "https"))
                    .ok_or_else(|| {
                        ConfigError::unusable(
                            format!("providers.{name}.allowed_origins"),
                            format!(
                                "{origin:?} is not an origin: write https://HOST, with commas between several"
                            ),
                        )
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        origins.insert(provider_called(registry, name)?, urls);
    }
    Ok(origins)
}

/// The provider that a setting is about. A variable cannot tell `-` from `_`, nor capitals.
fn provider_called(registry: &Registry, name: &str) -> Result<ProviderName, ConfigError> {
    if let Some(known) = registry.get(name) {
        return Ok(known.name.clone());
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let known = registry.iter().map(|provider| &provider.name);
    let known: Vec<&ProviderName> = known
        .filter(|known| plain(known.as_str()) == plain(name))
        .collect();
    if let [one, another, ..] = known.as_slice() {
        return Err(ConfigError::Refused(format!(
            "the setting `providers.{name}` can mean {one} or {another}: write it in trunkline.toml, as `[providers.{one}]`"
        )));
    }
    known.first().map(|known| (*known).clone()).ok_or_else(|| {
        let names: Vec<&str> = registry.iter().map(|provider| provider.name.as_str()).collect();
        let mut hint = suggest::question(name, names.iter().copied());
        if hint.is_empty() {
            hint = format!("; there are: {}", names.join(", "));
        }
        ConfigError::Refused(format!(
            "the setting {} is for a provider that does not exist{hint}",
            config::named(&format!("providers.{name}.…"))
        ))
    })
}

/// How this configuration's worker works.
pub(crate) fn worker_options(config: &Config) -> WorkerOptions {
    let set = &config.worker;
    WorkerOptions {
        concurrency: set.concurrency.get(),
        lease: Duration::from_secs(set.lease_seconds.get()),
        poll: Duration::from_millis(set.poll_ms.get()),
        drain: drain(config),
        keep_runs: Duration::from_secs(set.keep_runs_days.get() * 86_400),
        ..WorkerOptions::default()
    }
}

/// How long work may take to come to a stop.
pub(crate) fn drain(config: &Config) -> Duration {
    Duration::from_secs(config.worker.drain_seconds.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_a_provider_exactly_or_as_a_variable_does_and_never_two() {
        let entry =
            "{ auth_mode: API_KEY, proxy: { base_url: https://x.example, headers: { x: \"${apiKey}\" } } }";
        let folder = tempfile::tempdir().unwrap();
        let text = format!("own-api: {entry}\nother-api: {entry}\nother_api: {entry}\n");
        std::fs::write(folder.path().join("providers.yaml"), text).unwrap();
        let registry = Registry::load(Some(folder.path())).unwrap();
        let called = |name: &str| provider_called(&registry, name).map(|name| name.to_string());
        assert_eq!(called("own-api").unwrap(), "own-api");
        assert_eq!(called("own_api").unwrap(), "own-api");
        assert_eq!(called("other_api").unwrap(), "other_api");
        let both = called("OTHER_API").unwrap_err().to_string();
        assert!(
            both.contains("other-api") && both.contains("trunkline.toml"),
            "{both}"
        );
        let unknown = called("twlio").unwrap_err().to_string();
        assert_eq!(
            unknown,
            "the setting `providers.twlio.…` (TRUNKLINE_PROVIDERS__TWLIO__…) is for a provider that does not exist; did you mean twilio?"
        );
        assert!(called("nobody").unwrap_err().to_string().contains("own-api"));
    }
}
