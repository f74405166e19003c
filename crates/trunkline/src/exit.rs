//! How the program ends: the exit status, and the error that it reports.
//!
//! 0: success. 1: the command failed, or found a problem. 2: the command did not begin, because its arguments or the settings must change
//! first. 130: Ctrl-C.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::{interrupt, output};

/// For arguments and settings that must change before a command can begin; clap uses the same.
const UNUSABLE: u8 = 2;

/// A command line that turned out to lack something after it was parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The exit status of a command that ran to its end: 0 if `succeeded`, else 1.
pub(crate) fn status(succeeded: bool) -> ExitCode {
    if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes an error and returns its exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // The reader of the output has seen enough, as with `head`.
    if error.chain().any(output::is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if error.chain().any(interrupt::is_interruption) {
        interrupt::restore();
        return ExitCode::from(interrupt::INTERRUPTED);
    }
    output::error(error);
    let mut causes = error.chain();
    if causes.any(|cause| cause.is::<ConfigError>() || cause.is::<UsageError>()) {
        ExitCode::from(UNUSABLE)
    } else {
        ExitCode::FAILURE
    }
}
