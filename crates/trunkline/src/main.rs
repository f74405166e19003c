//! The binary: reads the command line and runs one command. Only this crate connects the others; it contains no business rules.

mod allocator;
mod cli;
mod client;
mod commands;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod event_line;
mod exit;
mod interrupt;
mod lifecycle;
mod output;
mod progress;
mod record_table;
mod server;
mod state;
mod suggest;
mod table;
mod telemetry;
mod terminal;
mod usage;
mod when;
mod wiring;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::Cli;

fn main() -> ExitCode {
    allocator::apply_settings();
    let matches = cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(cli, &matches));
            // Does not wait for blocked threads: all work that matters has ended.
            runtime.shutdown_background();
            outcome
        });
    outcome.map_or_else(|error| exit::report(&error), |()| ExitCode::SUCCESS)
}
