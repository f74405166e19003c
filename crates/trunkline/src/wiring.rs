//! Builds a gateway from the configuration: providers, database, encryption keys and the client for providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::{Clock, EnvironmentName, ProviderName};
use gateway::{Gateway, GatewayParts, KeySource, api_keys};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use store::{Dialect, Store, StoreOptions};
use upstream::{Upstream, UpstreamOptions};
use vault::{EncryptionKey, KeyFile, KeyRing, api_key};
use web::{Brand, WebOptions};
use worker::WorkerOptions;

use crate::config::{self, Config, unusable};
use crate::usage::UsageError;
use crate::{output, suggest};

/// The environment that the first start creates.
pub(crate) const FIRST_ENVIRONMENT: &str = "dev";

/// Whether to bring the tables up to date first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrate {
    Yes,
    /// Tables that are not up to date are an error.
    No,
}

/// Loads the configured providers. Fails if a setting names an unknown provider.
pub(crate) fn load_registry(config: &Config) -> Result<Registry, UsageError> {
    let folder = config.integrations_dir.as_deref();
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let problem = format!(
            "there is no folder {}: create it, correct the path, or remove the setting",
            folder.display()
        );
        return Err(unusable("integrations_dir", problem));
    }
    let registry = Registry::load(folder).map_err(|error| {
        UsageError(format!(
            "{error}\n\nThe folder of these files is set by {}. `trunkline providers check FILE` checks a corrected file.",
            config::named("integrations_dir")
        ))
    })?;
    for name in config.providers.keys() {
        provider_called(&registry, name)?;
    }
    Ok(registry)
}

/// Loads the configured providers, and logs warnings about them.
pub(crate) fn load_registry_and_log(config: &Config) -> Result<Registry, UsageError> {
    let registry = load_registry(config)?;
    for problem in registry.warnings() {
        tracing::warn!("{problem}");
    }
    for (file, entries) in not_served(&registry) {
        tracing::info!(
            file,
            entries,
            "entries are not served; `trunkline providers check` says why"
        );
    }
    Ok(registry)
}

/// Returns how many entries of each file are not served.
pub(crate) fn not_served(registry: &Registry) -> BTreeMap<&str, usize> {
    let mut files = BTreeMap::new();
    for entry in registry.skipped() {
        *files.entry(entry.file.as_str()).or_default() += 1;
    }
    files
}

/// The kind of a process that runs one command.
pub(crate) const COMMAND: &str = "command";

/// Opens the database. `kind` (`serve`, `worker` or [`COMMAND`]) is a part of the application name that PostgreSQL shows.
pub(crate) async fn store(kind: &str, config: &Config) -> anyhow::Result<Store> {
    let settings = &config.database;
    let options = StoreOptions {
        readers: settings.connections.get(),
        timeout: Duration::from_secs(settings.timeout_seconds.get()),
        pooler: settings.pooler,
        application_name: format!("trunkline {kind} {}", process_name()),
    };
    let url = &config.database.url;
    Store::open(url, options).await.with_context(|| {
        format!(
            "cannot open the database {url}, which {} names",
            config::named("database.url")
        )
    })
}

/// Fails if there is no database yet. Call it first, since opening SQLite's file would create it.
///
/// Only `serve`, `worker`, `migrate` and `demo` create a database. Any other command in the wrong folder must leave no trace.
pub(crate) fn require_database(config: &Config) -> Result<(), UsageError> {
    match config.database.url.sqlite_path() {
        Some(path) if !path.is_file() => Err(UsageError(format!(
            "there is no database here: {} does not exist in {}\n  Run the command in the folder of the gateway's database, or name \
             the database with TRUNKLINE_DATABASE__URL or --config.\n  `trunkline serve` creates a new one.",
            path.display(),
            std::env::current_dir().unwrap_or_default().display()
        ))),
        _ => Ok(()),
    }
}

/// Returns a name that distinguishes this process from others of its kind on all machines.
fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // PostgreSQL cuts an application name after 63 bytes.
    let host: String = host
        .trim()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(32)
        .collect();
    format!("{host}:{}", std::process::id())
}

/// Opens the configured gateway for a process of this kind: `serve`, `worker` or [`COMMAND`].
pub(crate) async fn gateway(kind: &str, config: &Config, migrate: Migrate) -> anyhow::Result<Arc<Gateway>> {
    if migrate == Migrate::No {
        require_database(config)?;
    }
    let registry = load_registry_and_log(config)?;
    let upstream = Upstream::new(upstream_options(config, &registry)?, Clock::system())?;
    let store = store(kind, config).await?;
    match migrate {
        Migrate::Yes => {
            for name in store.migrate().await? {
                tracing::info!(migration = name, "brought the tables up to date");
            }
        }
        Migrate::No => require_current_tables(&store).await?,
    }
    if kind != COMMAND {
        if store.dialect() == Dialect::Sqlite {
            store.raise_change_numbers().await?;
        }
        warn_of_few_connections(config, &store).await?;
    }
    let keys = encryption_keys(config)?;
    Ok(Gateway::start(GatewayParts {
        store,
        registry,
        upstream,
        keys,
        clock: Clock::system(),
        public_url: config.public_url.as_ref().map(url_text),
    })
    .await?)
}

/// Returns an address without a slash at its end.
pub(crate) fn url_text(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Fails if the tables are not up to date.
pub(crate) async fn require_current_tables(store: &Store) -> anyhow::Result<()> {
    let pending = store.pending_migrations().await?;
    anyhow::ensure!(
        pending.is_empty(),
        "the tables are not up to date ({} migrations are missing): run `trunkline migrate`",
        pending.len()
    );
    Ok(())
}

/// Warns at the start if PostgreSQL may run out of connections. Later, a process that gets none would fail during its work.
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
             database.connections, or use a connection pooler such as PgBouncer"
        );
    }
    Ok(())
}

/// Fails if the configured API key could be guessed. Call it before anything is created.
pub(crate) fn check_api_key(config: &Config) -> Result<(), UsageError> {
    let Some(secret) = &config.secret_key else {
        return Ok(());
    };
    api_key::check(secret.expose_secret()).map_err(|error| {
        let advice = "`trunkline key generate` creates a key; without the setting, the first start does";
        unusable("secret_key", format!("{error}. {advice}"))
    })
}

/// Makes sure that there is an environment with an API key. Returns the key if it is new.
pub(crate) async fn first_api_key(
    gateway: &Gateway,
    config: &Config,
) -> anyhow::Result<Option<SecretString>> {
    let environment: EnvironmentName = FIRST_ENVIRONMENT.parse()?;
    let made = api_keys::bootstrap(gateway, &environment, config.secret_key.clone()).await?;
    Ok(made.map(|key| key.secret))
}

/// Shows a new API key; not in the log, which is kept and which others read.
pub(crate) fn show_api_key(secret: &SecretString) {
    output::verbatim_note(format_args!(
        "\nThe API key of environment {FIRST_ENVIRONMENT}, shown this once:\n\n  TRUNKLINE_SECRET_KEY={}\n\n\
         Only its hash is stored, so it cannot be shown again. Keep it where your app\n\
         finds it, and send it as `Authorization: Bearer …`.\n",
        secret.expose_secret()
    ));
}

/// Returns the encryption keys: from the configuration, else from a file next to SQLite's file.
pub(crate) fn encryption_keys(config: &Config) -> anyhow::Result<KeySource> {
    if let Some(given) = &config.encryption_key {
        return Ok(KeySource::Given(parse_encryption_keys(given)?));
    }
    Ok(KeySource::File(encryption_key_file(config)?))
}

/// Returns the file of the encryption keys, which is used if the configuration has none.
pub(crate) fn encryption_key_file(config: &Config) -> Result<KeyFile, UsageError> {
    let Some(database) = config.database.url.sqlite_path() else {
        return Err(UsageError(format!(
            "with PostgreSQL the encryption key must be set, so that all processes share it: set {}. `trunkline key generate` \
             or `openssl rand -base64 32` creates a key",
            config::named("encryption_key")
        )));
    };
    let mut path = database.as_os_str().to_owned();
    path.push(".key");
    Ok(KeyFile::at(path))
}

/// Parses encryption keys separated by commas. The first encrypts, all decrypt.
fn parse_encryption_keys(given: &SecretString) -> anyhow::Result<KeyRing> {
    let parse = |key| EncryptionKey::from_base64(key).map_err(|error| unusable("encryption_key", error));
    let mut keys = given.expose_secret().split(',').map(parse);
    let current = keys.next().context("a split text has a first part")??;
    Ok(KeyRing::new(current, keys.collect::<Result<_, _>>()?))
}

fn upstream_options(config: &Config, registry: &Registry) -> Result<UpstreamOptions, UsageError> {
    let settings = &config.upstream;
    let mut options = UpstreamOptions {
        allow_private_addresses: settings.allow_private_addresses,
        allow_private_webhooks: config.webhooks.allow_private_addresses,
        connect_timeout: Duration::from_secs(settings.connect_timeout_seconds.get()),
        request_timeout: Duration::from_secs(settings.request_timeout_seconds.get()),
        deadline: Duration::from_secs(settings.deadline_seconds.get()),
        list_check: Duration::from_secs(settings.list_check_seconds.get()),
        max_attempts: settings.max_attempts.get(),
        max_wait: Duration::from_secs(settings.max_wait_seconds.get()),
        max_body: settings.max_body_mb.get().saturating_mul(1 << 20),
        memory: settings.memory_mb.get().saturating_mul(1 << 20),
        ..UpstreamOptions::default()
    };
    for (name, provider) in &config.providers {
        let known = provider_called(registry, name)?;
        if let Some(url) = &provider.base_url {
            options.base_urls.insert(known.clone(), url.clone());
        }
        options
            .allowed_origins
            .insert(known, provider.allowed_origins.clone());
    }
    Ok(options)
}

/// Finds the provider that a setting names. An environment variable has `_` for `-`, and no case.
fn provider_called(registry: &Registry, name: &str) -> Result<ProviderName, UsageError> {
    if let Some(known) = registry.get(name) {
        return Ok(known.name.clone());
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let names: Vec<&ProviderName> = registry.iter().map(|provider| &provider.name).collect();
    let mut meant = names.iter().filter(|known| plain(known.as_str()) == plain(name));
    match (meant.next(), meant.next()) {
        (Some(one), Some(another)) => Err(UsageError(format!(
            "the setting `providers.{name}` can mean {one} or {another}: write it in trunkline.toml, as `[providers.{one}]`"
        ))),
        (Some(one), None) => Ok((*one).clone()),
        (None, _) => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Err(UsageError(format!(
                "the setting {} is for a provider that does not exist{}",
                config::named(&format!("providers.{name}.…")),
                suggest::question_or_list(name, &names)
            )))
        }
    }
}

/// Returns the configured settings of the worker.
pub(crate) fn worker_options(config: &Config) -> WorkerOptions {
    let settings = &config.worker;
    WorkerOptions {
        concurrency: settings.concurrency.get(),
        lease: Duration::from_secs(settings.lease_seconds.get()),
        poll: Duration::from_millis(settings.poll_ms.get()),
        drain: drain_timeout(config),
        keep_runs: Duration::from_secs(settings.keep_runs_days.get() * 86_400),
        endpoints: config.webhooks.concurrency.get(),
        keep_events: Duration::from_secs(config.webhooks.keep_days.get() * 86_400),
        ..WorkerOptions::default()
    }
}

/// Returns the configured settings of the pages.
pub(crate) fn web_options(config: &Config) -> Result<WebOptions, UsageError> {
    let settings = &config.web;
    let mut brand = Brand::new(settings.name.clone(), settings.color);
    if let Some(path) = &settings.logo {
        let file = path.display();
        let read = brand.read_logo(path);
        read.map_err(|error| unusable("web.logo", format!("{file} {:#}", anyhow::Error::from(error))))?;
    }
    let ancestors = settings.frame_ancestors.iter();
    Ok(WebOptions {
        brand,
        frame_ancestors: ancestors
            .map(|origin| origin.origin().ascii_serialization())
            .collect(),
    })
}

/// Returns how long work may take to stop at shutdown.
pub(crate) fn drain_timeout(config: &Config) -> Duration {
    Duration::from_secs(config.worker.drain_seconds.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_one_provider_exactly_or_as_a_variable_does() {
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
