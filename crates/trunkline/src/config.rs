//! Configuration: defaults, then a file, then `TRUNKLINE_…` variables, then flags. It is read here and nowhere else.
//!
//! One table has all settings. Their defaults, their variables, the listing and the check for unknown keys follow from it.

mod address;
mod environment;
mod error;
mod settings;
mod values;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use secrecy::SecretString;
use serde::Deserialize;
use store::DatabaseUrl;
use url::Url;
use web::Color;

#[cfg(feature = "demo")]
pub(crate) use address::DEFAULT_PORT;
pub(crate) use address::{Listen, gateway_url, local_url};
pub(crate) use environment::Environment;
pub(crate) use error::unusable;
use settings::Given;
pub(crate) use settings::{SETTINGS, VARIABLE_PREFIX, named};
use values::Within;

use crate::usage::UsageError;

/// The variable that names the configuration file.
pub(crate) const FILE_VARIABLE: &str = "TRUNKLINE_CONFIG";
/// The flag that names it.
const FILE_FLAG: &str = "--config";
/// The configuration file that is read if it exists and no other is named.
const DEFAULT_FILE: &str = "trunkline.toml";

/// All settings, checked.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(deserialize_with = "values::parsed")]
    pub(crate) listen: Listen,
    pub(crate) database: Database,
    pub(crate) encryption_key: Option<SecretString>,
    pub(crate) secret_key: Option<SecretString>,
    pub(crate) integrations_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "values::web_address")]
    pub(crate) public_url: Option<Url>,
    #[serde(default, deserialize_with = "values::web_address")]
    pub(crate) connect_url: Option<Url>,
    #[serde(default, deserialize_with = "values::gateway")]
    api_url: Option<Url>,
    pub(crate) worker: Worker,
    pub(crate) upstream: Upstream,
    pub(crate) webhooks: Webhooks,
    #[serde(default)]
    pub(crate) web: Web,
    #[serde(default)]
    pub(crate) providers: BTreeMap<String, Provider>,
    pub(crate) log: Log,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    #[serde(deserialize_with = "values::parsed")]
    pub(crate) url: DatabaseUrl,
    pub(crate) connections: NonZeroU32,
    pub(crate) timeout_seconds: Within<1, 600>,
    pub(crate) pooler: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Worker {
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) lease_seconds: Within<1, 600>,
    pub(crate) poll_ms: Within<1, 60_000>,
    pub(crate) drain_seconds: Within<0, 3_600>,
    pub(crate) keep_runs_days: Within<0, 36_500>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Upstream {
    pub(crate) allow_private_addresses: bool,
    pub(crate) connect_timeout_seconds: Within<1, 600>,
    pub(crate) request_timeout_seconds: Within<1, 3_600>,
    pub(crate) deadline_seconds: Within<1, 86_400>,
    pub(crate) list_check_seconds: Within<0, 600>,
    pub(crate) max_attempts: NonZeroU32,
    pub(crate) max_wait_seconds: Within<0, 86_400>,
    pub(crate) max_body_mb: NonZeroUsize,
    pub(crate) memory_mb: NonZeroUsize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Webhooks {
    pub(crate) allow_private_addresses: bool,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) keep_days: Within<1, 36_500>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Web {
    pub(crate) name: Option<String>,
    pub(crate) logo: Option<PathBuf>,
    #[serde(default, deserialize_with = "values::parsed_if_given")]
    pub(crate) color: Option<Color>,
    #[serde(default, deserialize_with = "values::origins")]
    pub(crate) frame_ancestors: Vec<Url>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Provider {
    #[serde(default, deserialize_with = "values::web_address")]
    pub(crate) base_url: Option<Url>,
    #[serde(default, deserialize_with = "values::origins")]
    pub(crate) allowed_origins: Vec<Url>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// The settings, and the source of each.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    figment: Figment,
}

impl Loaded {
    /// Reads all sources. `path` is the configuration file of the command line, which must exist; `flags` are key, flag and value of each
    /// setting there.
    pub(crate) fn read(
        path: Option<&Path>,
        flags: &[(&str, &str, String)],
        environment: &Environment,
    ) -> Result<Self, UsageError> {
        let mut figment = settings::defaults();
        if let Some(path) = file(path, environment)? {
            figment = figment.merge(Toml::file_exact(path));
        }
        for (variable, key, value) in environment.settings() {
            figment = figment.merge(Given::new(&key, value, &variable));
        }
        for (key, flag, value) in flags {
            figment = figment.merge(Given::new(key, value, flag));
        }
        settings::refuse_unknown(&figment)?;
        let config = figment.extract_lossy::<Config>()?;
        Ok(Self { config, figment })
    }

    /// Lists all settings with their values and sources.
    pub(crate) fn listing(&self) -> Result<Vec<settings::Listed>, UsageError> {
        settings::listing(&self.figment, &self.config)
    }
}

impl Config {
    /// Returns the defaults with these settings. Nothing of this machine is read.
    #[cfg(feature = "demo")]
    pub(crate) fn of(values: &[(&str, &str)]) -> Result<Self, UsageError> {
        let mut figment = settings::defaults();
        for (key, value) in values {
            figment = figment.merge(Given::new(key, value, "the program"));
        }
        Ok(figment.extract_lossy()?)
    }

    /// Returns the address under which this machine reaches the API of this configuration.
    pub(crate) fn local_url(&self) -> String {
        self.listen.url()
    }

    /// Returns the address under which commands find the API.
    pub(crate) fn api_url(&self) -> String {
        self.api_url
            .as_ref()
            .map_or_else(|| self.local_url(), ToString::to_string)
    }
}

/// Returns the configuration file to read. The default one need not exist.
fn file(path: Option<&Path>, environment: &Environment) -> Result<Option<PathBuf>, UsageError> {
    let of_variable = || environment.get(FILE_VARIABLE).map(Path::new);
    let of_flag = path.map(|path| (path, FILE_FLAG));
    match of_flag.or_else(|| of_variable().map(|path| (path, FILE_VARIABLE))) {
        Some((path, _)) if path.is_file() => Ok(Some(path.to_owned())),
        Some((path, origin)) => Err(UsageError(format!(
            "there is no configuration file {}: correct {origin}, or leave it out",
            path.display()
        ))),
        None => Ok(Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment::of(variables.iter().map(owned))
    }

    fn read_with(
        text: &str,
        variables: &[(&str, &str)],
        flags: &[(&str, &str, String)],
    ) -> Result<Loaded, UsageError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trunkline.toml");
        std::fs::write(&file, text).unwrap();
        Loaded::read(Some(&file), flags, &environment(variables))
    }

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, UsageError> {
        read_with(text, variables, &[])
    }

    fn config(text: &str, variables: &[(&str, &str)]) -> Config {
        read(text, variables).unwrap().config
    }

    fn error(text: &str, variables: &[(&str, &str)]) -> String {
        read(text, variables).err().unwrap().to_string()
    }

    fn listing(loaded: &Loaded) -> BTreeMap<String, settings::Listed> {
        let listed = loaded.listing().unwrap().into_iter();
        listed.map(|listed| (listed.key.clone(), listed)).collect()
    }

    #[test]
    fn without_any_source_the_defaults_apply() {
        let config = config("", &[]);
        assert_eq!(config.listen.to_string(), "127.0.0.1:3003");
        assert_eq!(config.database.url.to_string(), "sqlite://trunkline.db");
        assert_eq!(config.api_url(), "http://127.0.0.1:3003");
        assert!(config.encryption_key.is_none() && !config.upstream.allow_private_addresses);
    }

    #[test]
    fn durations_have_limits() {
        for (variable, wrong) in [
            ("TRUNKLINE_WORKER__LEASE_SECONDS", "0"),
            ("TRUNKLINE_WORKER__LEASE_SECONDS", "18446744073709551615"),
            ("TRUNKLINE_WORKER__POLL_MS", "60001"),
            ("TRUNKLINE_WORKER__DRAIN_SECONDS", "99999999999"),
            ("TRUNKLINE_WORKER__KEEP_RUNS_DAYS", "4294967295"),
            ("TRUNKLINE_UPSTREAM__REQUEST_TIMEOUT_SECONDS", "0"),
            ("TRUNKLINE_UPSTREAM__DEADLINE_SECONDS", "999999999999"),
            ("TRUNKLINE_UPSTREAM__MAX_WAIT_SECONDS", "999999999999"),
        ] {
            let error = error("", &[(variable, wrong)]);
            assert!(
                error.contains(variable) && error.contains("must be between"),
                "{error}"
            );
        }
        assert!(read("[worker]\nlease_seconds = 600", &[]).is_ok());
    }

    #[test]
    fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
        let file = "listen = '127.0.0.1:1'\n[worker]\npoll_ms = 1\nconcurrency = 1";
        let variables = [
            ("TRUNKLINE_LISTEN", "127.0.0.1:2"),
            ("TRUNKLINE_WORKER__POLL_MS", "2"),
        ];
        let flag = ("listen", "--listen", "127.0.0.1:3".to_owned());
        let loaded = read_with(file, &variables, &[flag]).unwrap();

        let Config { listen, worker, .. } = &loaded.config;
        assert_eq!(listen.to_string(), "127.0.0.1:3");
        assert_eq!((worker.poll_ms.get(), worker.concurrency.get()), (2, 1));
        let listing = listing(&loaded);
        for (key, origin) in [
            ("listen", "--listen"),
            ("worker.poll_ms", "TRUNKLINE_WORKER__POLL_MS"),
            ("worker.concurrency", "trunkline.toml"),
            ("log.level", "the default"),
        ] {
            assert!(
                listing[key].origin.ends_with(origin),
                "{key}: {}",
                listing[key].origin
            );
        }
    }

    #[test]
    fn the_error_about_an_unknown_key_names_its_source_and_suggests_another() {
        let typo = error("", &[("TRUNKLINE_DATABSE__URL", "sqlite://x.db")]);
        assert!(
            typo.contains("TRUNKLINE_DATABSE__URL") && typo.contains("`database.url`"),
            "{typo}"
        );
        let unknown = error("[worker]\nspeed = 3", &[]);
        for part in ["`worker.speed`", "trunkline.toml", "worker.concurrency"] {
            assert!(unknown.contains(part), "{unknown}");
        }
    }

    #[test]
    fn the_error_about_a_value_names_its_key_and_source() {
        let key = error("", &[("TRUNKLINE_WORKER__CONCURRENCY", "many")]);
        assert!(key.contains("`worker.concurrency`"), "{key}");
        let address = "is not a web address: write https://HOST";
        for (variable, value, problem) in [
            (
                "WORKER__CONCURRENCY",
                "many",
                "must be a whole number above 0 (got \"many\")",
            ),
            ("WORKER__POLL_MS", "-1", "must be a whole number (got -1)"),
            (
                "DATABASE__POOLER",
                "maybe",
                "must be true or false (got \"maybe\")",
            ),
            ("LOG__FORMAT", "xml", "must be auto or text or json (got \"xml\")"),
            ("PUBLIC_URL", "example.org", &format!("\"example.org\" {address}")),
            (
                "PROVIDERS__TWILIO__BASE_URL",
                "ftp://x",
                &format!("\"ftp://x\" {address}"),
            ),
        ] {
            let variable = format!("{VARIABLE_PREFIX}{variable}");
            let error = error("", &[(&variable, value)]);
            assert!(error.contains(&variable) && error.ends_with(problem), "{error}");
        }
        let database = error("", &[("TRUNKLINE_DATABASE__URL", "mysql://x")]);
        assert!(database.contains("sqlite:// or postgres://"), "{database}");
        assert!(read("", &[("TRUNKLINE_WORKER__CONCURRENCY", "0")]).is_err());
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text_and_an_empty_variable_is_none() {
        let digits = "00000000000000000000000000000000";
        let variables = [("TRUNKLINE_SECRET_KEY", digits), ("TRUNKLINE_ENCRYPTION_KEY", "")];
        let config = config("", &variables);
        let secret = config.secret_key.as_ref().unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(secret), digits);
        assert!(config.encryption_key.is_none());
    }

    #[test]
    fn a_secret_is_neither_listed_nor_shown_in_an_error() {
        let loaded = read("secret_key = 'geheim'", &[]).unwrap();
        assert_eq!(listing(&loaded)["secret_key"].value.as_deref(), Some("(set)"));
        let error = read("secret_key = 4711", &[]).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("4711"), "{error}");
        let loaded = read("[database]\nurl = 'postgres://me:geheim@db/x'", &[]).unwrap();
        let url = listing(&loaded)["database.url"].value.clone().unwrap();
        assert!(!url.contains("geheim"), "{url}");
    }

    #[test]
    fn variables_of_the_tests_and_of_other_programs_are_ignored() {
        assert!(read("", &[("TRUNKLINE_TEST_REQUIRE_POSTGRES", "1"), ("HOME", "/x")]).is_ok());
    }

    #[test]
    fn a_named_file_must_exist() {
        let path = Some(Path::new("/nowhere/t.toml"));
        let error = Loaded::read(path, &[], &environment(&[])).err().unwrap();
        assert_eq!(
            error.to_string(),
            "there is no configuration file /nowhere/t.toml: correct --config, or leave it out"
        );
    }

    #[test]
    fn a_gateway_that_listens_on_every_address_is_reached_on_loopback() {
        let config = config("listen = '0.0.0.0:8080'", &[]);
        assert_eq!(config.local_url(), "http://127.0.0.1:8080");
    }
}
