//! The table of all settings, with their defaults and descriptions.

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::Config;
use crate::suggest;
use crate::usage::UsageError;

/// The prefix of all variables for settings.
pub(crate) const VARIABLE_PREFIX: &str = "TRUNKLINE_";

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key; `*` is a placeholder for the name of a provider.
    pub(crate) key: &'static str,
    kind: Kind,
    /// Its description.
    pub(crate) about: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// It has this default.
    Default(&'static str),
    /// It has no default.
    Optional,
    /// It has no default, and its value is never shown.
    Secret,
}

macro_rules! settings {
    (@kind optional) => { Kind::Optional };
    (@kind secret) => { Kind::Secret };
    (@kind $default:literal) => { Kind::Default($default) };
    ($($key:literal $kind:tt $about:literal)*) => {
        &[$(Setting { key: $key, kind: settings!(@kind $kind), about: $about }),*]
    };
}

/// All settings: key, default, description.
pub(crate) const SETTINGS: &[Setting] = settings! {
    "listen" "127.0.0.1:3003" "Address of the API: HOST:PORT, or :PORT for every address of this machine"
    "database.url" "sqlite://trunkline.db" "sqlite://FILE or postgres://…"
    "database.connections" "8" "Connections to PostgreSQL, or readers of SQLite"
    "database.timeout_seconds" "5" "How long a database call may take before the response is 503; pages and deletions may take three times as long"
    "database.pooler" "false" "Whether there is a pooler in transaction mode, such as PgBouncer, in front of PostgreSQL"
    "encryption_key" secret "Encrypts credentials: 32 bytes in base64; older keys follow after commas"
    "secret_key" secret "An API key: the first of environment `dev`, and the one that commands use"
    "integrations_dir" optional "Folder of provider files that win over built-in ones"
    "public_url" optional "Where clients and providers reach the API: for webhook addresses, connect links and the OpenAPI document. The worker needs it too"
    "connect_url" optional "The page that `connect_link` opens; the default is /connect at the public URL"
    "api_url" optional "Where commands find the API; else the address in `listen`"
    "worker.concurrency" "16" "How many syncs a worker runs at once"
    "worker.lease_seconds" "60" "If a worker does not renew its lease for this long, another worker claims its syncs"
    "worker.poll_ms" "1000" "How often a worker looks for syncs that other processes made due"
    "worker.drain_seconds" "20" "How long syncs and requests may take to stop at shutdown before they are cut off"
    "worker.keep_runs_days" "30" "Days to keep runs that failed or changed something"
    "upstream.allow_private_addresses" "false" "Whether providers can have private addresses and plain http"
    "upstream.connect_timeout_seconds" "10" "How long opening a connection to a provider may take"
    "upstream.request_timeout_seconds" "60" "How long one attempt of a request may take"
    "upstream.deadline_seconds" "300" "How long a request with all its retries may take"
    "upstream.list_check_seconds" "10" "How long connecting may look for lists that a key may not read; 0 turns that off"
    "upstream.max_attempts" "8" "The most attempts of a request"
    "upstream.max_wait_seconds" "120" "The longest wait that a provider can ask for within a request"
    "upstream.max_body_mb" "64" "The largest response of a provider, in MiB after decoding"
    "upstream.memory_mb" "64" "Memory for all responses that are read and written at once, in MiB; further ones wait"
    "webhooks.allow_private_addresses" "false" "Whether webhook endpoints can have private addresses and plain http"
    "webhooks.concurrency" "64" "How many webhook endpoints a worker delivers to at once"
    "webhooks.keep_days" "30" "Days to keep events and their deliveries"
    "web.name" optional "The app's name, which the connect page shows"
    "web.logo" optional "The app's logo on the connect page: a file that ends in .svg, .png, .jpg, .jpeg or .webp"
    "web.color" optional "The colour of buttons on the connect page, such as #0b5cad"
    "web.frame_ancestors" optional "Origins whose pages may embed the connect page, separated by commas"
    "providers.*.base_url" optional "Replaces a provider's servers: a simulator, a region, a recording proxy"
    "providers.*.allowed_origins" optional "Further servers that Base-Url-Override can name in proxied requests, separated by commas"
    "log.format" "auto" "text, json, or auto: text on a terminal, JSON otherwise"
    "log.level" "info" "error, warn, info, debug or trace; RUST_LOG sets it crate by crate"
};

impl Setting {
    /// Returns its variable; `name` replaces a `*` in the key.
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

/// Returns the variable for the setting with this key.
fn variable(key: &str) -> String {
    let name = key.replace('.', "__").replace('-', "_");
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase())
}

/// Names a setting in a message, by its key and its variable.
pub(crate) fn named(key: &str) -> String {
    format!("`{key}` ({})", variable(key))
}

/// A setting in the listing.
#[derive(serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) key: String,
    /// The value, or `(set)` for a secret; `None` if nothing sets it.
    pub(crate) value: Option<String>,
    /// Where the value comes from, or `-`.
    pub(crate) origin: String,
    pub(crate) about: &'static str,
}

/// One value from one source, so that figment knows the source of each value.
pub(super) struct Given {
    key: String,
    value: String,
    origin: String,
}

impl Given {
    pub(super) fn new(key: &str, value: &str, origin: &str) -> Self {
        let [key, value, origin] = [key, value, origin].map(str::to_owned);
        Self { key, value, origin }
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

/// Returns all settings that have a default.
pub(super) fn defaults() -> Figment {
    let given = SETTINGS.iter().filter_map(|setting| match setting.kind {
        Kind::Default(value) => Some(Given::new(setting.key, value, "the default")),
        _ => None,
    });
    given.fold(Figment::new(), Figment::merge)
}

/// Names the source of a value.
pub(super) fn origin(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ => metadata.name.to_string(),
    }
}

pub(super) fn is_secret(key: &str) -> bool {
    SETTINGS
        .iter()
        .any(|setting| setting.kind == Kind::Secret && setting.matches(key))
}

/// Fails if a source has a key that is not a setting.
pub(super) fn refuse_unknown(figment: &Figment) -> Result<(), UsageError> {
    for (key, value) in leaves("", figment.extract()?) {
        if SETTINGS.iter().any(|setting| setting.matches(&key)) {
            continue;
        }
        let origin = figment
            .get_metadata(value.tag())
            .map_or_else(|| "nowhere".to_owned(), origin);
        return Err(UsageError(format!(
            "there is no setting `{key}` (from {origin}){}",
            instead(&key)
        )));
    }
    Ok(())
}

/// Suggests what an unknown key may mean: the most similar setting, else all settings of its section, else all.
fn instead(key: &str) -> String {
    let mut known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    if let Some((section, _)) = key.split_once('.')
        && known.iter().any(|known| in_section(known, section))
    {
        known.retain(|known| in_section(known, section));
    }
    let within_section = known.len() < SETTINGS.len();
    // The section's name would make all keys of the section similar.
    let compared = |key| match str::split_once(key, '.') {
        Some((_, name)) if within_section => name,
        _ => key,
    };
    let near = suggest::nearest(compared(key), known.iter().map(|known| compared(known)));
    match known.iter().find(|known| Some(compared(known)) == near) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

fn in_section(key: &str, section: &str) -> bool {
    key.split_once('.').is_some_and(|(known, _)| known == section)
}

/// Returns every value of `value` that is not a table, with its key. `key` is that of `value`, empty for the root.
fn leaves(key: &str, value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Dict(_, dict) if key.is_empty() || !dict.is_empty() => {
            let below = dict.into_iter().flat_map(|(name, value)| match key {
                "" => leaves(&name, value),
                key => leaves(&format!("{key}.{name}"), value),
            });
            below.collect()
        }
        value => vec![(key.to_owned(), value)],
    }
}

/// Lists every setting that has a value or could have one.
pub(super) fn listing(figment: &Figment, config: &Config) -> Result<Vec<Listed>, UsageError> {
    let values = leaves("", figment.extract()?);
    let mut listed = Vec::new();
    for setting in SETTINGS {
        let set = values.iter().filter(|(key, _)| setting.matches(key));
        let before = listed.len();
        listed.extend(set.map(|(key, value)| Listed {
            key: key.clone(),
            value: Some(match (&setting.kind, key.as_str(), value) {
                (Kind::Secret, ..) => "(set)".to_owned(),
                // The address may hold a password.
                (_, "database.url", _) => config.database.url.to_string(),
                (_, _, Value::String(_, text)) => text.clone(),
                (_, _, other) => serde_json::to_string(other).unwrap_or_default(),
            }),
            origin: figment.get_metadata(value.tag()).map(origin).unwrap_or_default(),
            about: setting.about,
        }));
        if listed.len() == before {
            listed.push(Listed {
                key: setting.key.to_owned(),
                value: None,
                origin: "-".to_owned(),
                about: setting.about,
            });
        }
    }
    Ok(listed)
}
