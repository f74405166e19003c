//! Syncs of connections, their runs, and the slices that their backfills still have to read.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    ConnectionId, ConnectionName, EnvironmentId, Id, IdKind, IntegrationKey, Problem, ProviderName, RowId,
    SyncName, Timestamp, Variant,
};

/// A sync's row number.
pub type SyncId = RowId<Sync>;
/// A run's id, `run_…`.
pub type RunId = Id<Run>;
/// A slice's row number.
pub type SliceId = RowId<Slice>;

/// A sync of a connection, or a variant of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sync {
    /// Its row number.
    pub id: SyncId,
    /// The connection.
    pub connection: ConnectionId,
    /// The connection's environment.
    pub environment: EnvironmentId,
    /// The connection's integration.
    pub integration: IntegrationKey,
    /// The connection's name.
    pub connection_name: ConnectionName,
    /// The connection's provider.
    pub provider: ProviderName,
    /// The sync's name in the provider's file.
    pub name: SyncName,
    /// The variant.
    pub variant: Variant,
    /// The connection's own schedule; `None` means the provider file's.
    pub frequency: Option<String>,
    /// Whether it is paused, so that it runs only when it is triggered.
    pub paused: bool,
    /// The checkpoint of the sync engine: an object, `{}` at first.
    pub checkpoint: Json,
    /// The problem that the provider denies access to its list, if known.
    pub problem: Option<Problem>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Selects the syncs to list. `None` selects all.
#[derive(Debug, Clone, Default)]
pub struct SyncFilter {
    /// Syncs of this integration.
    pub integration: Option<IntegrationKey>,
    /// Syncs of the connection with this name.
    pub connection_name: Option<ConnectionName>,
    /// Syncs with one of these names.
    pub names: Option<Vec<SyncName>>,
}

/// The state of a run. The words are stored and shown, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum RunStatus {
    /// Waits for a worker.
    Queued,
    /// A worker carries it out.
    Running,
    /// Ended without an error.
    Succeeded,
    /// Ended with an error.
    Failed,
}

impl RunStatus {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a run was created. The words are stored and shown, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Trigger {
    /// The connection is new.
    Initial,
    /// The sync was due.
    Schedule,
    /// A client triggered it.
    Api,
}

impl Trigger {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A run of a sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The sync.
    pub sync: SyncId,
    /// Its state.
    pub status: RunStatus,
    /// Why it was created.
    pub trigger: Trigger,
    /// `backfill`, `incremental` or `full`; `None` until it is known.
    pub kind: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When a worker first claimed it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How many times another worker continued it.
    pub resumed: i64,
    /// Pages read.
    pub pages: i64,
    /// Records inserted.
    pub added: i64,
    /// Records updated.
    pub updated: i64,
    /// Records marked as deleted.
    pub deleted: i64,
    /// Unchanged records.
    pub unchanged: i64,
    /// Skipped records.
    pub skipped: i64,
    /// Values that did not fit their column, by the column's name; `None` if there were none.
    pub misfits: Option<BTreeMap<String, MisfitCount>>,
    /// From 0 to 1; `None` if unknown.
    pub progress: Option<f64>,
    /// The error's stable code.
    pub error_code: Option<String>,
    /// The error's message for people.
    pub error_message: Option<String>,
    /// What to do about the error.
    pub error_hint: Option<String>,
    /// Why a list may not have been read to its end, so that no deletions were looked for in it.
    pub incomplete: Option<String>,
    /// The first change number that it wrote; `None` if it changed no row.
    pub first_change: Option<i64>,
    /// The last change number that it wrote.
    pub last_change: Option<i64>,
}

/// The values of one column that did not fit it. Stored as JSON, so field names never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisfitCount {
    /// The number of such values in a run.
    pub count: u64,
    /// A description of the first one.
    pub first: String,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// The stable code.
    pub code: String,
    /// The message.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Selects the runs to list. `None` selects all.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// Runs of this integration.
    pub integration: Option<IntegrationKey>,
    /// Runs of the connection with this name.
    pub connection_name: Option<ConnectionName>,
    /// Runs of the sync with this name.
    pub sync: Option<SyncName>,
    /// At most this many.
    pub limit: i64,
    /// Runs created before this one.
    pub before: Option<RunId>,
    /// Runs whose id begins with this.
    pub id_prefix: Option<RunIdPrefix>,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self {
            integration: None,
            connection_name: None,
            sync: None,
            limit: 100,
            before: None,
            id_prefix: None,
        }
    }
}

/// The beginning of a run's id, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdPrefix(String);

/// The text is not a [`RunIdPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `run_` and 1 to 32 hexadecimal digits")]
pub struct RunIdPrefixError;

impl RunIdPrefix {
    /// Returns the prefix as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunIdPrefix {
    type Err = RunIdPrefixError;

    /// Parses the prefix. The digits may be in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("run_").unwrap_or_default();
        let valid = (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(RunIdPrefixError)
    }
}

impl IdKind for Run {
    const PREFIX: &'static str = "run";
}

/// A part of a sync's range that is still to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Its row number.
    pub id: SliceId,
    /// The sync.
    pub sync: SyncId,
    /// Its purpose, a word of the sync engine.
    pub kind: String,
    /// Where it begins.
    pub from_at: Option<Timestamp>,
    /// Where it ends.
    pub to_at: Option<Timestamp>,
    /// Where to continue: the provider's link or token.
    pub next: Option<String>,
    /// Pages read so far.
    pub pages: i64,
    /// Records read so far.
    pub records: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_runs_id_is_in_lower_case() {
        let prefix: RunIdPrefix = "run_0198FA".parse().unwrap();
        assert_eq!(prefix.as_str(), "run_0198fa");
        let long = format!("run_{}", "0".repeat(33));
        for text in ["", "run_", "0198", "RUN_0198", "run_g", &long] {
            assert_eq!(text.parse::<RunIdPrefix>(), Err(RunIdPrefixError), "{text}");
        }
    }
}
