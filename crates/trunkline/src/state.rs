//! The words for how something stands, the same in every command.

use std::fmt;

/// How a connection, a sync, a run or an API key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All is well; of a run: it succeeded.
    Ok,
    /// It waits for a worker.
    Queued,
    /// It runs.
    Running,
    /// Its schedule is paused.
    Paused,
    /// It failed; of a connection: its credentials no longer work.
    Failed,
    /// Of a connection: its credentials work, and may not read what some of its syncs need.
    Limited,
    /// It was stopped before its end.
    Cancelled,
    /// It can no longer be used.
    Revoked,
}

impl State {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
        }
    }

    /// The state of a sync as the API writes it; its words are Nango's. A word of a later version is shown as it is.
    pub(crate) fn of_sync(word: &str) -> String {
        let state = match word {
            "SUCCESS" => Self::Ok,
            "RUNNING" => Self::Running,
            "PAUSED" => Self::Paused,
            "ERROR" => Self::Failed,
            "STOPPED" => Self::Cancelled,
            other => return other.to_ascii_lowercase(),
        };
        state.as_str().to_owned()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
