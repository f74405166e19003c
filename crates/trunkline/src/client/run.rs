//! A run of a sync, as the API shows it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{ClientError, response};
use crate::{state, table};

/// A run, in the JSON of the API. A field that an older gateway lacks reads as empty or 0.
#[derive(Debug, Clone)]
pub(crate) struct Run(Json);

impl Run {
    /// Fails if the JSON is not a run.
    pub(crate) fn from_json(json: Json) -> Result<Self, ClientError> {
        String::deserialize(json.get("status").unwrap_or(&json)).map_err(ClientError::Unexpected)?;
        Ok(Self(json))
    }

    /// Returns the run as the API shows it, with fields that this version does not know.
    pub(crate) fn json(&self) -> &Json {
        &self.0
    }

    /// Returns a field as text; nothing for null.
    pub(crate) fn field(&self, name: &str) -> String {
        response::field(&self.0, name)
    }

    /// Returns a field that counts something.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Json::as_u64).unwrap_or_default()
    }

    fn status(&self) -> &str {
        response::text(&self.0, "/status")
    }

    /// Returns the word for its state.
    pub(crate) fn state(&self) -> &str {
        state::of_run(self.status())
    }

    /// Whether it waits for a worker.
    pub(crate) fn is_queued(&self) -> bool {
        self.status() == "queued"
    }

    /// Whether it has ended, successfully or not.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status(), "queued" | "running")
    }

    /// Whether it has ended successfully.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.status() == "succeeded"
    }

    /// Returns how much of its range it has read, from 0 to 1; `None` if that is not known.
    pub(crate) fn progress(&self) -> Option<f64> {
        self.0.get("progress")?.as_f64()
    }

    /// Returns what went wrong and what to do about it; empty if nothing did.
    pub(crate) fn error_text(&self) -> String {
        let [code, message, hint] =
            ["/error/code", "/error/message", "/error/hint"].map(|at| response::text(&self.0, at));
        let message = if message.is_empty() { code } else { message };
        if hint.is_empty() {
            message.to_owned()
        } else {
            format!("{message} ({hint})")
        }
    }

    /// Returns how many records of the provider it has compared with the table. A record that was sent twice counts twice.
    pub(crate) fn checked(&self) -> u64 {
        ["added", "updated", "unchanged"]
            .map(|name| self.count(name))
            .iter()
            .sum()
    }

    /// Returns the time from its start to its end, if it has both.
    pub(crate) fn took(&self) -> Option<Duration> {
        let time = |name| self.field(name).parse::<domain::Timestamp>().ok();
        Some(time("finished_at")?.since(time("started_at")?))
    }

    /// Returns the same in a human-readable form, such as `1.2 s`.
    pub(crate) fn duration(&self) -> String {
        self.took()
            .map(|took| format!("{:.1} s", took.as_secs_f64()))
            .unwrap_or_default()
    }

    /// Returns, in a line, how many values did not fit their column; empty if all did.
    pub(crate) fn misfits(&self) -> String {
        let of_column = |misfits: &Json| {
            let count = table::count(misfits.get("count").and_then(Json::as_u64).unwrap_or_default());
            let [column, first] = ["column", "first"].map(|name| response::field(misfits, name));
            format!("{column} ({count}, the first {first})")
        };
        let columns = response::list(&self.0, "misfits").iter().map(of_column);
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Returns what it did, in a line: `3 new, 1 updated, 0 deleted; 12,974 rows checked`.
    pub(crate) fn summary(&self) -> String {
        let count = |name| table::count(self.count(name));
        let unreadable = match self.count("skipped") {
            0 => String::new(),
            skipped => format!(", {} unreadable", table::count(skipped)),
        };
        format!(
            "{} new, {} updated, {} deleted{unreadable}; {} rows checked",
            count("added"),
            count("updated"),
            count("deleted"),
            table::count(self.checked())
        )
    }
}
