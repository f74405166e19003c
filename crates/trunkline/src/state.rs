//! The words for the state of a connection, a sync, a run, an API key or a webhook endpoint, the same in every command.

/// All is well. A run succeeded.
pub(crate) const OK: &str = "ok";
/// A run failed, or the credentials of a connection no longer work.
pub(crate) const FAILED: &str = "failed";
/// The credentials of a connection work, but have no permission for some of its syncs.
pub(crate) const LIMITED: &str = "limited";
/// An API key can no longer be used.
pub(crate) const REVOKED: &str = "revoked";

/// A webhook endpoint gets no events.
pub(crate) const DISABLED: &str = "disabled";
/// The last attempts to send events to a webhook endpoint failed.
pub(crate) const FAILING: &str = "failing";

/// Returns the word for the state of a sync. The API uses Nango's words.
pub(crate) fn of_sync(state: &str) -> String {
    match state {
        "SUCCESS" => OK.to_owned(),
        "ERROR" => FAILED.to_owned(),
        "STOPPED" => "cancelled".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// Returns the word for the status of a run.
pub(crate) fn of_run(status: &str) -> &str {
    match status {
        "succeeded" => OK,
        other => other,
    }
}
