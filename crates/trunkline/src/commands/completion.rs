//! `completion`: prints a completion script for a shell.

use clap_complete::Shell;

use crate::{cli, output};

/// Prints the script for `shell`.
pub(crate) fn run(shell: Shell) -> anyhow::Result<()> {
    // Written at once, since the generator panics if the reader closes the pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "trunkline", &mut script);
    output::bytes(&script)
}
