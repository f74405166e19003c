//! What can be wrong with the configuration.

use std::path::PathBuf;

use super::settings;

/// Why the program cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file that was named is not there.
    #[error("there is no configuration file {}", path.display())]
    NoFile { path: PathBuf },
    /// A key that is no setting.
    #[error("there is no setting `{key}` (from {origin}); {instead}")]
    Unknown {
        key: String,
        origin: String,
        instead: String,
    },
    /// A value that its setting does not take.
    #[error("the setting `{key}` (from {origin}) cannot be taken: {problem}")]
    Value {
        key: String,
        origin: String,
        problem: String,
    },
    /// The configured database does not exist, and the command is not one that creates it.
    #[error(
        "there is no database here: {} does not exist in {}\n  Run the command in the folder of the gateway's database, or name the database by TRUNKLINE_DATABASE__URL or --config.\n  `trunkline serve` creates a new one.",
        path.display(), folder.display()
    )]
    NoDatabase { path: PathBuf, folder: PathBuf },
    /// A source that cannot be read as a whole.
    #[error("the configuration cannot be read: {0}")]
    Source(String),
    /// Settings that do not fit together, or the world that they meet.
    #[error("{0}")]
    Refused(String),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        let key = error.path.join(".");
        if key.is_empty() {
            return Self::Source(error.kind.to_string());
        }
        let origin = error
            .metadata
            .as_ref()
            .map_or_else(|| "nowhere".to_owned(), settings::origin);
        // What figment says repeats the value.
        let problem = if settings::is_secret(&key) {
            "it must be text".to_owned()
        } else {
            error.kind.to_string()
        };
        Self::Value { key, origin, problem }
    }
}
