//! The binary: reads the command line and tells the outcome by its exit status.
//!
//! Only this crate wires the others together; it holds no rule of its own.
//!
//! Exit status 0 is success. 1 is a failure: what was asked for could not be done, or what was asked about is wrong. 2 means that the
//! command did not begin, because its arguments or the settings must change first. 130 is the end by Ctrl-C.

mod allocator;
mod cli;
mod client;
mod commands;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod interrupt;
mod lifecycle;
mod output;
mod progress;
mod state;
mod suggest;
mod table;
mod telemetry;
mod terminal;
mod when;
mod wiring;
mod wrap;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, UsageError};
use crate::config::ConfigError;

/// For arguments and settings that must change before a command can begin; clap ends with the same.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    allocator::apply_settings();
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(cli));
            // Not to wait for threads that are stuck: what matters has ended.
            runtime.shutdown_background();
            outcome
        });
    outcome.unwrap_or_else(|error| report(&error))
}

fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads our output has seen enough, as `head` does.
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
        .any(|cause| cause.is::<ConfigError>() || cause.is::<UsageError>())
    {
        ExitCode::from(UNUSABLE)
    } else {
        ExitCode::FAILURE
    }
}
