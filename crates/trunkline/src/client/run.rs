//! A run of a sync, as the API shows it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{ClientError, response};
use crate::{state, table};

/// A run, in the JSON of the API. The fields here are required. Any other field that an older gateway lacks reads as empty.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    status: String,
    pub(crate) pages: u64,
    pub(crate) added: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    unchanged: u64,
    pub(crate) skipped: u64,
    #[serde(skip)]
    json: Json,
}

impl Run {
    /// Fails if the JSON is not a run.
    pub(crate) fn from_json(json: Json) -> Result<Self, ClientError> {
        let run = Self::deserialize(&json).map_err(ClientError::Unexpected)?;
        Ok(Self { json, ..run })
    }

    /// Returns the run as the API shows it, with fields that this version does not know.
    pub(crate) fn json(&self) -> &Json {
        &self.json
    }

    /// Returns a field as text; nothing for null.
    pub(crate) fn field(&self, name: &str) -> String {
        response::field(&self.json, name)
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

    /// Returns how much of its range it has read, from 0 to 1; `None` if that is not known.
    pub(crate) fn progress(&self) -> Option<f64> {
        self.json.get("progress")?.as_f64()
    }

    /// Returns what went wrong and what to do about it; empty if nothing did.
    pub(crate) fn error_text(&self) -> String {
        let [code, message, hint] =
            ["/error/code", "/error/message", "/error/hint"].map(|at| response::text(&self.json, at));
        let message = if message.is_empty() { code } else { message };
        if hint.is_empty() {
            message.to_owned()
        } else {
            format!("{message} ({hint})")
        }
    }

    /// Returns how many records of the provider it has compared with the table. A record that was sent twice counts twice.
    pub(crate) fn checked(&self) -> u64 {
        self.added + self.updated + self.unchanged
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
        let columns = response::list(&self.json, "misfits").iter().map(of_column);
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Returns what it did, in a line: `3 new, 1 updated, 0 deleted; 12,974 rows checked`.
    pub(crate) fn summary(&self) -> String {
        let unreadable = match self.skipped {
            0 => String::new(),
            skipped => format!(", {} unreadable", table::count(skipped)),
        };
        format!(
            "{} new, {} updated, {} deleted{unreadable}; {} rows checked",
            table::count(self.added),
            table::count(self.updated),
            table::count(self.deleted),
            table::count(self.checked())
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> Json {
        json!({
            "id": "run_0198f0c8a2b37d5ea6a2d4c1b0f3e921", "status": "succeeded",
            "pages": 1, "added": 2, "updated": 3, "deleted": 4, "unchanged": 5, "skipped": 6, "later": "kept",
        })
    }

    #[test]
    fn a_run_keeps_fields_that_this_version_does_not_know() {
        let read = Run::from_json(run()).unwrap();
        assert_eq!(read.json(), &run());
        assert_eq!(
            read.summary(),
            "2 new, 3 updated, 4 deleted, 6 unreadable; 10 rows checked"
        );
    }

    #[test]
    fn a_response_that_is_not_a_run_is_an_error() {
        for json in [Json::Null, json!("x"), json!({ "status": "succeeded" })] {
            let read = Run::from_json(json.clone());
            assert!(matches!(read, Err(ClientError::Unexpected(_))), "{json}");
        }
        let Json::Object(fields) = run() else {
            unreachable!()
        };
        for name in fields.keys().filter(|name| *name != "later") {
            let mut lacking = fields.clone();
            lacking.remove(name);
            assert!(Run::from_json(lacking.into()).is_err(), "without {name}");
            for value in [Json::Null, json!([]), json!(-1), json!(1.5)] {
                let mut wrong = fields.clone();
                wrong.insert(name.clone(), value.clone());
                assert!(Run::from_json(wrong.into()).is_err(), "{name}: {value}");
            }
        }
    }
}
