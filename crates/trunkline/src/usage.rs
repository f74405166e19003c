//! The error about what the user must change before a command can begin.

/// The arguments or the settings must change before the command can begin. The message names the problem and the solution.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
