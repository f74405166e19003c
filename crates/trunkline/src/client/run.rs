//! A run of a sync, as the API tells it.

use serde::Deserialize;
use serde_json::Value as Json;

use super::ClientError;
use crate::state::State;
use crate::table;

/// A run. What the API tells beside this is left out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) sync: String,
    pub(crate) connection_id: String,
    pub(crate) provider_config_key: String,
    pub(crate) status: RunStatus,
    pub(crate) trigger: String,
    pub(crate) kind: Option<String>,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) pages: u64,
    pub(crate) added: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) unchanged: u64,
    pub(crate) skipped: u64,
    /// An older server does not count them.
    #[serde(default)]
    misfits: Vec<Misfits>,
    /// From 0 to 1.
    pub(crate) progress: Option<f64>,
    /// Why a list may not have been read to its end.
    #[serde(default)]
    pub(crate) incomplete: Option<String>,
    pub(crate) error: Option<RunError>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// Values of one column that did not fit it.
#[derive(Debug, Clone, Deserialize)]
struct Misfits {
    column: String,
    count: u64,
    first: String,
}

/// Why a run failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RunError {
    code: String,
    message: Option<String>,
    hint: Option<String>,
}

impl RunStatus {
    /// In the words of all commands.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::Running => State::Running,
            Self::Succeeded => State::Ok,
            Self::Failed => State::Failed,
            Self::Cancelled => State::Cancelled,
        }
    }
}

impl Run {
    pub(crate) fn from_json(json: Json) -> Result<Self, ClientError> {
        serde_json::from_value(json).map_err(ClientError::Answer)
    }

    /// Whether it has come to an end, of whatever kind.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status, RunStatus::Queued | RunStatus::Running)
    }

    /// Rows that it has compared with what the provider sent. A row that the provider sent twice counts twice.
    pub(crate) fn checked(&self) -> u64 {
        self.added + self.updated + self.unchanged
    }

    /// Seconds from its start to its end, if it has both.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let time = |text: &Option<String>| text.as_ref()?.parse::<domain::Timestamp>().ok();
        let took = time(&self.finished_at)?.since(time(&self.started_at)?);
        Some(took.as_secs_f64())
    }

    /// The same for people.
    pub(crate) fn duration(&self) -> String {
        self.seconds()
            .map(|seconds| format!("{seconds:.1} s"))
            .unwrap_or_default()
    }

    /// How many values did not fit their column, in a line; `None` if all did.
    pub(crate) fn misfits(&self) -> Option<String> {
        let of_column = |Misfits { column, count, first }: &Misfits| {
            format!("{column} ({}, the first {first})", table::count(*count))
        };
        let columns: Vec<String> = self.misfits.iter().map(of_column).collect();
        (!columns.is_empty()).then(|| columns.join(", "))
    }

    /// What it did, in a line: `3 new, 1 updated, 0 deleted; 12,974 rows checked`.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![
            format!("{} new", table::count(self.added)),
            format!("{} updated", table::count(self.updated)),
            format!("{} deleted", table::count(self.deleted)),
        ];
        if self.skipped > 0 {
            parts.push(format!("{} unreadable", table::count(self.skipped)));
        }
        format!(
            "{}; {} rows checked",
            parts.join(", "),
            table::count(self.checked())
        )
    }
}

impl RunError {
    /// What went wrong and what to do about it.
    pub(crate) fn text(&self) -> String {
        let message = self.message.as_deref().unwrap_or(&self.code);
        match &self.hint {
            Some(hint) => format!("{message} ({hint})"),
            None => message.to_owned(),
        }
    }
}
