//! A run of a sync, as the API shows it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::ClientError;
use crate::{state, table};

/// A run, with the fields that commands use.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) sync: String,
    pub(crate) connection_id: String,
    pub(crate) provider_config_key: String,
    status: String,
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
    /// Why it is unproved that a list was read to its end.
    #[serde(default)]
    pub(crate) incomplete: Option<String>,
    error: Option<RunError>,
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
struct RunError {
    code: String,
    message: Option<String>,
    hint: Option<String>,
}

impl Run {
    pub(crate) fn from_json(json: Json) -> Result<Self, ClientError> {
        serde_json::from_value(json).map_err(ClientError::Unexpected)
    }

    /// Returns the word for its state.
    pub(crate) fn state(&self) -> &str {
        state::of_run(&self.status)
    }

    /// Whether it waits for a worker.
    pub(crate) fn is_queued(&self) -> bool {
        self.status == "queued"
    }

    /// Whether it has ended, successfully or not.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "running")
    }

    /// Whether it has ended successfully.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.status == "succeeded"
    }

    /// Returns what went wrong and what to do about it; empty if nothing did.
    pub(crate) fn error_text(&self) -> String {
        self.error.as_ref().map(RunError::text).unwrap_or_default()
    }

    /// Returns how many records of the provider it has compared with the table. A record that was sent twice counts twice.
    pub(crate) fn checked(&self) -> u64 {
        self.added + self.updated + self.unchanged
    }

    /// Returns the time from its start to its end, if it has both.
    pub(crate) fn took(&self) -> Option<Duration> {
        let time = |text: &Option<String>| text.as_ref()?.parse::<domain::Timestamp>().ok();
        Some(time(&self.finished_at)?.since(time(&self.started_at)?))
    }

    /// Returns the same in a human-readable form, such as `1.2 s`.
    pub(crate) fn duration(&self) -> String {
        self.took()
            .map(|took| format!("{:.1} s", took.as_secs_f64()))
            .unwrap_or_default()
    }

    /// Returns, in a line, how many values did not fit their column; `None` if all did.
    pub(crate) fn misfits(&self) -> Option<String> {
        let of_column = |Misfits { column, count, first }: &Misfits| {
            format!("{column} ({}, the first {first})", table::count(*count))
        };
        let columns: Vec<String> = self.misfits.iter().map(of_column).collect();
        (!columns.is_empty()).then(|| columns.join(", "))
    }

    /// Returns what it did, in a line: `3 new, 1 updated, 0 deleted; 12,974 rows checked`.
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
    fn text(&self) -> String {
        let message = self.message.as_deref().unwrap_or(&self.code);
        match &self.hint {
            Some(hint) => format!("{message} ({hint})"),
            None => message.to_owned(),
        }
    }
}
