//! What can be wrong with the configuration.

use std::path::PathBuf;

use figment::error::{Actual, Kind};
use registry::LoadError;

use super::settings;

/// Why the program cannot begin. Each says what is wrong, which setting says so, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file that was named is not there.
    #[error("there is no configuration file {}: correct {origin}, or leave it out", path.display())]
    NoFile { path: PathBuf, origin: &'static str },
    /// A key that is no setting.
    #[error("there is no setting `{key}` (from {origin}){instead}")]
    Unknown {
        key: String,
        origin: String,
        instead: String,
    },
    /// A value that its setting does not take.
    #[error("the value of `{key}` (from {origin}) is not valid: {problem}")]
    Value {
        key: String,
        origin: String,
        problem: String,
    },
    /// A value that reads well and cannot be used.
    #[error("the value of {} is not valid: {problem}", settings::named(key))]
    Unusable { key: String, problem: String },
    /// A setting without which the command cannot work.
    #[error("{} is not set: {advice}", settings::named(key))]
    Missing { key: &'static str, advice: &'static str },
    /// The files of the folder of providers.
    #[error(
        "{}\n\nThe folder of these files is set by {}. `trunkline providers check FILE` checks a corrected file.",
        .0, settings::named("integrations_dir")
    )]
    ProviderFiles(#[from] LoadError),
    /// The configured database does not exist, and the command is not one that creates it.
    #[error(
        "there is no database here: {} does not exist in {}\n  Run the command in the folder of the gateway's database, or name the database with TRUNKLINE_DATABASE__URL or --config.\n  `trunkline serve` creates a new one.",
        path.display(), folder.display()
    )]
    NoDatabase { path: PathBuf, folder: PathBuf },
    /// A source that cannot be read as a whole.
    #[error("{origin} cannot be read: {problem}")]
    Source { origin: String, problem: String },
    /// Settings that do not fit together, or a variable that is no setting.
    #[error("{0}")]
    Refused(String),
}

impl ConfigError {
    /// A value that its setting's type takes and the program cannot use.
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
        // What figment says repeats the value.
        let problem = if settings::is_secret(&key) {
            "must be text".to_owned()
        } else {
            problem(&error.kind)
        };
        Self::Value { key, origin, problem }
    }
}

/// What is wrong with a value, in the words of people who set it.
fn problem(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("must be {} (got {})", type_name(expected), value(found))
        }
        Kind::UnknownVariant(found, expected) => format!("must be {} (got {found:?})", expected.join(" or ")),
        other => other.to_string(),
    }
}

/// The type that serde expects, without the words of Rust.
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
