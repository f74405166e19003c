//! The table of all settings.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::{Config, ConfigError};
use crate::suggest;

/// Begins every variable that holds a setting.
pub(crate) const VARIABLE_PREFIX: &str = "TRUNKLINE_";

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key; `*` stands for the name of a provider.
    pub(crate) key: &'static str,
    /// Its value if nobody gives one.
    default: Option<&'static str>,
    /// For people.
    pub(crate) about: &'static str,
    secret: bool,
}

const fn setting(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        default: Some(default),
        about,
        secret: false,
    }
}

const fn optional(key: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        default: None,
        about,
        secret: false,
    }
}

const fn secret(key: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        default: None,
        about,
        secret: true,
    }
}

/// Every setting there is.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        "127.0.0.1:3003",
        "Address of the API: HOST:PORT, or :PORT for every address of this machine",
    ),
    setting(
        "database.url",
        "sqlite://trunkline.db",
        "sqlite://FILE or postgres://…",
    ),
    setting(
        "database.connections",
        "8",
        "Connections to PostgreSQL, or readers of SQLite",
    ),
    setting(
        "database.timeout_seconds",
        "5",
        "How long a database call may take before the answer is 503; pages and deletions may take three times as long",
    ),
    setting(
        "database.pooler",
        "false",
        "Whether a pooler in transaction mode, such as PgBouncer, stands before PostgreSQL",
    ),
    secret(
        "encryption_key",
        "Encrypts credentials: 32 bytes in base64; older keys follow after commas",
    ),
    secret(
        "secret_key",
        "An API key: the first of environment `dev`, and the one that commands use",
    ),
    optional(
        "integrations_dir",
        "Folder of provider files that win over built-in ones",
    ),
    optional(
        "public_url",
        "Where clients reach the API, for its OpenAPI document and first page",
    ),
    optional(
        "connect_url",
        "Where people connect from the link of a connect session; else /connect of the API",
    ),
    optional("api_url", "Where commands find the API; else where `listen` says"),
    setting(
        "worker.concurrency",
        "16",
        "Syncs that a worker runs side by side",
    ),
    setting(
        "worker.lease_seconds",
        "60",
        "When a worker gives no sign of life for so long, another one takes its syncs over",
    ),
    setting(
        "worker.poll_ms",
        "1000",
        "How often a worker looks for syncs that other processes made due",
    ),
    setting(
        "worker.drain_seconds",
        "20",
        "How long syncs and requests may take to stop before they are cut off",
    ),
    setting(
        "worker.keep_runs_days",
        "30",
        "Days to keep runs that failed or changed something",
    ),
    setting(
        "upstream.allow_private_addresses",
        "false",
        "Whether providers can have private addresses and plain http",
    ),
    setting(
        "upstream.connect_timeout_seconds",
        "10",
        "How long opening a connection to a provider may take",
    ),
    setting(
        "upstream.request_timeout_seconds",
        "60",
        "How long one attempt of a request may take",
    ),
    setting(
        "upstream.deadline_seconds",
        "300",
        "How long a request with all its retries may take",
    ),
    setting(
        "upstream.list_check_seconds",
        "10",
        "How long connecting may look for lists that a key may not read; 0 turns that off",
    ),
    setting("upstream.max_attempts", "8", "The most attempts of a request"),
    setting(
        "upstream.max_wait_seconds",
        "120",
        "The longest wait that a provider can ask for within a request",
    ),
    setting(
        "upstream.max_body_mb",
        "64",
        "The largest response of a provider, in MiB after decoding",
    ),
    setting(
        "upstream.memory_mb",
        "64",
        "Memory for all responses that are read and written at once, in MiB; further ones wait",
    ),
    optional(
        "providers.*.base_url",
        "Replaces a provider's servers: a simulator, a region, a recording proxy",
    ),
    optional(
        "providers.*.allowed_origins",
        "Further servers that Base-Url-Override can name in proxied requests, separated by commas",
    ),
    setting(
        "log.format",
        "auto",
        "text, json, or auto: text on a terminal, JSON otherwise",
    ),
    setting(
        "log.level",
        "info",
        "error, warn, info, debug or trace; RUST_LOG sets it crate by crate",
    ),
];

impl Setting {
    /// The variable that holds it, for the provider called `name` where the key has a `*`.
    pub(crate) fn variable(&self, name: &str) -> String {
        variable(&self.key.replace('*', name))
    }

    fn matches(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        self.key
            .split('.')
            .all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
            && parts.next().is_none()
    }
}

/// The variable that holds the setting with this key.
fn variable(key: &str) -> String {
    let name = key.replace('.', "__").replace('-', "_");
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase())
}

/// How messages name a setting: by its key in the file and by its variable.
pub(crate) fn named(key: &str) -> String {
    format!("`{key}` ({})", variable(key))
}

/// A setting with its value, as it is shown.
pub(crate) struct Listed {
    pub(crate) key: String,
    /// The value, or `(set)` for a secret.
    pub(crate) value: String,
    pub(crate) origin: String,
    pub(crate) about: &'static str,
}

impl Listed {
    /// Whether any source, the defaults included, gives it a value.
    pub(crate) fn is_set(&self) -> bool {
        self.origin != NOT_SET
    }
}

/// Stands where the origin of a value would.
const NOT_SET: &str = "-";

/// One value from one place; a source of its own, so that figment tells the place.
pub(super) struct Given {
    key: String,
    value: String,
    origin: String,
}

impl Given {
    pub(super) fn new(key: &str, value: &str, origin: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        }
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, Value::from(self.value.clone()));
        Ok(nested
            .into_dict()
            .map(|dict| Profile::Default.collect(dict))
            .unwrap_or_default())
    }
}

/// All settings that have a default.
pub(super) fn defaults() -> Figment {
    let given = SETTINGS
        .iter()
        .filter_map(|setting| Some(Given::new(setting.key, setting.default?, "the default")));
    given.fold(Figment::new(), Figment::merge)
}

/// Where values of `metadata` come from, in a word or two.
pub(super) fn origin(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ => metadata.name.to_string(),
    }
}

pub(super) fn is_secret(key: &str) -> bool {
    SETTINGS
        .iter()
        .any(|setting| setting.secret && setting.matches(key))
}

/// The first key of any source that is no setting.
pub(super) fn refuse_unknown(figment: &Figment) -> Result<(), ConfigError> {
    let root = figment.extract::<Value>()?;
    for (key, value) in leaves(&root) {
        if SETTINGS.iter().any(|setting| setting.matches(&key)) {
            continue;
        }
        let origin = figment
            .get_metadata(value.tag())
            .map_or_else(|| "nowhere".to_owned(), origin);
        return Err(ConfigError::Unknown {
            instead: instead(&key),
            key,
            origin,
        });
    }
    Ok(())
}

/// What may have been meant by an unknown key: the setting most like it, else all settings of its section, else all.
fn instead(key: &str) -> String {
    let mut known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    if let Some((section, _)) = key.split_once('.')
        && known.iter().any(|known| in_section(known, section))
    {
        known.retain(|known| in_section(known, section));
    }
    // What all of them begin with makes none of them more alike.
    let name = |key: &'static str| key.split_once('.').map_or(key, |(_, name)| name);
    let near = if known.len() < SETTINGS.len() {
        let wanted = key.split_once('.').map_or(key, |(_, name)| name);
        let near = suggest::nearest(wanted, known.iter().map(|known| name(known)));
        known.iter().copied().find(|known| Some(name(known)) == near)
    } else {
        suggest::nearest(key, known.iter().copied())
    };
    match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

fn in_section(key: &str, section: &str) -> bool {
    key.split_once('.').is_some_and(|(known, _)| known == section)
}

/// Every value that is no table, by its key.
fn leaves(root: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut rest = vec![(String::new(), root.clone())];
    while let Some((key, value)) = rest.pop() {
        match value {
            Value::Dict(_, dict) if key.is_empty() || !dict.is_empty() => {
                let below = |name: String| {
                    if key.is_empty() {
                        name
                    } else {
                        format!("{key}.{name}")
                    }
                };
                rest.extend(dict.into_iter().map(|(name, value)| (below(name), value)));
            }
            value => drop(found.insert(key, value)),
        }
    }
    found
}

pub(super) fn listing(figment: &Figment, config: &Config) -> Result<Vec<Listed>, ConfigError> {
    let root = figment.extract::<Value>()?;
    let values = leaves(&root);
    let mut listed = Vec::new();
    for setting in SETTINGS {
        for (key, value) in values.iter().filter(|(key, _)| setting.matches(key)) {
            let tag = value.tag();
            let value = match (setting.secret, key.as_str()) {
                (true, _) => "(set)".to_owned(),
                // The address may hold a password.
                (false, "database.url") => config.database.url.to_string(),
                (false, _) => text(value),
            };
            let origin = figment.get_metadata(tag).map(origin).unwrap_or_default();
            listed.push(Listed {
                key: key.clone(),
                value,
                origin,
                about: setting.about,
            });
        }
        if setting.default.is_none() && !values.keys().any(|key| setting.matches(key)) {
            let (key, origin) = (setting.key.to_owned(), NOT_SET.to_owned());
            listed.push(Listed {
                key,
                value: String::new(),
                origin,
                about: setting.about,
            });
        }
    }
    Ok(listed)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
