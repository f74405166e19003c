//! How the program ends: the exit status, and the error that it reports.
//!
//! 0: success. 1: the command failed, or found a problem. 2: the command did not begin, because its arguments or the settings must change
//! first. 130: Ctrl-C.

use std::process::ExitCode;

use crate::usage::UsageError;
use crate::{interrupt, output};

/// For arguments and settings that must change before a command can begin; clap uses the same.
const UNUSABLE: u8 = 2;

/// Ends the program with this exit status and without a message: the command has written what it found.
#[derive(Debug, thiserror::Error)]
#[error("exit status {0}")]
pub(crate) struct Status(pub(crate) u8);

/// Ends a command that ran to its end with exit status 1 unless it `succeeded`.
pub(crate) fn require(succeeded: bool) -> anyhow::Result<()> {
    if succeeded { Ok(()) } else { Err(Status(1).into()) }
}

/// Writes an error and returns its exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Status(status)) = error.downcast_ref() {
        return ExitCode::from(*status);
    }
    // The reader of the output has seen enough, as with `head`.
    if error.chain().any(output::is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if error.chain().any(interrupt::is_interruption) {
        interrupt::restore();
        return ExitCode::from(interrupt::INTERRUPTED);
    }
    output::error(error);
    if error
        .chain()
        .any(|cause| cause.downcast_ref::<UsageError>().is_some())
    {
        ExitCode::from(UNUSABLE)
    } else {
        ExitCode::FAILURE
    }
}
