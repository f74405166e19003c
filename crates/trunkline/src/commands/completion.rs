//! `completion`: prints a completion script for a shell.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;

/// Prints the script for `shell`.
pub(crate) fn run(shell: Shell) -> anyhow::Result<ExitCode> {
    // Written at once, since the generator panics if the reader closes the pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trunkline", &mut script);
    output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
