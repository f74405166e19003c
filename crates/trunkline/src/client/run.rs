//! A run of a sync, as the API tells it.

use serde::Deserialize;
use serde_json::Value as Json;

use super::ClientError;
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
    /// From 0 to 1.
    pub(crate) progress: Option<f64>,
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

/// Why a run failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RunError {
    code: String,
    message: Option<String>,
    hint: Option<String>,
}

impl RunStatus {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
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

    /// Records that it has seen.
    pub(crate) fn seen(&self) -> u64 {
        self.added + self.updated + self.unchanged
    }

    /// Seconds from its start to its end, if it has both.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let time = |text: &Option<String>| text.as_ref()?.parse::<domain::Timestamp>().ok();
        let micros = time(&self.finished_at)?.since(time(&self.started_at)?);
        // Exact below 2^31 milliseconds, which is 24 days.
        Some(f64::from(i32::try_from(micros / 1_000).ok()?) / 1_000.0)
    }

    /// The same for people.
    pub(crate) fn duration(&self) -> String {
        self.seconds()
            .map(|seconds| format!("{seconds:.1} s"))
            .unwrap_or_default()
    }

    /// What it did, in a line.
    pub(crate) fn summary(&self) -> String {
        let parts = [
            (self.added, "added"),
            (self.updated, "updated"),
            (self.deleted, "deleted"),
            (self.unchanged, "unchanged"),
            (self.skipped, "skipped"),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter(|(number, word)| *number > 0 || *word == "added")
            .map(|(number, word)| format!("{} {word}", table::count(*number)))
            .collect();
        told.join(", ")
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
