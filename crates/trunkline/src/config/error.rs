//! Errors of the configuration.

use std::path::PathBuf;

use figment::error::{Actual, Kind};
use registry::LoadError;

use super::settings;

/// Why the program cannot start. Each message names the setting, the problem, and the solution.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The configuration file does not exist.
    #[error("there is no configuration file {}: correct {origin}, or leave it out", path.display())]
    NoFile { path: PathBuf, origin: &'static str },
    /// A key is not a setting.
    #[error("there is no setting `{key}` (from {origin}){instead}")]
    Unknown {
        key: String,
        origin: String,
        instead: String,
    },
    /// A value does not have the type of its setting.
    #[error("the value of `{key}` (from {origin}) is not valid: {problem}")]
    Value {
        key: String,
        origin: String,
        problem: String,
    },
    /// A value has the right type but cannot be used.
    #[error("the value of {} is not valid: {problem}", settings::named(key))]
    Unusable { key: String, problem: String },
    /// A setting is missing that the command needs.
    #[error("{} is not set: {advice}", settings::named(key))]
    Missing { key: &'static str, advice: &'static str },
    /// A provider file is wrong.
    #[error(
        "{}\n\nThe folder of these files is set by {}. `trunkline providers check FILE` checks a corrected file.",
        .0, settings::named("integrations_dir")
    )]
    ProviderFiles(#[from] LoadError),
    /// The configured database does not exist, and the command does not create it.
    #[error(
        "there is no database here: {} does not exist in {}\n  Run the command in the folder of the gateway's database, or name the database with TRUNKLINE_DATABASE__URL or --config.\n  `trunkline serve` creates a new one.",
        path.display(), folder.display()
    )]
    NoDatabase { path: PathBuf, folder: PathBuf },
    /// A source cannot be read at all.
    #[error("{origin} cannot be read: {problem}")]
    Source { origin: String, problem: String },
    /// Settings contradict each other, or a variable that is not a setting is wrong.
    #[error("{0}")]
    Refused(String),
}

impl ConfigError {
    /// A value has the right type but cannot be used.
    pub(crate) fn unusable(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Unusable {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        let key = error.path.join(".");
        let origin = error
            .metadata
            .as_ref()
            .map_or_else(|| "the configuration".to_owned(), settings::origin);
        if key.is_empty() {
            let problem = error.kind.to_string().trim_end().to_owned();
            return Self::Source { origin, problem };
        }
        // Figment's message contains the value.
        let problem = if settings::is_secret(&key) {
            "must be text".to_owned()
        } else {
            problem(&error.kind)
        };
        Self::Value { key, origin, problem }
    }
}

/// Describes the problem with a value, without the names of Rust's types.
fn problem(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("must be {} (got {})", type_name(expected), value(found))
        }
        Kind::UnknownVariant(found, expected) => format!("must be {} (got {found:?})", expected.join(" or ")),
        other => other.to_string(),
    }
}

/// Names the type that serde expects.
fn type_name(expected: &str) -> &str {
    match expected {
        "u64" | "u32" | "usize" => "a whole number",
        expected if expected.starts_with("a nonzero") => "a whole number above 0",
        "a boolean" | "bool" => "true or false",
        expected => expected,
    }
}

fn value(found: &Actual) -> String {
    match found {
        Actual::Str(text) => format!("{text:?}"),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        other => other.to_string(),
    }
}
