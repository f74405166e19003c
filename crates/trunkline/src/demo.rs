//! `demo`: a simulated account and a gateway beside it, connected and synced over the real API.

mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::Environment;
use crate::demo::stage::Stage;
use crate::interrupt::INTERRUPTED;
use crate::lifecycle::Signals;
use crate::output;

/// How large the demo is and whether it stays.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Messages in the simulated account
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    messages: u64,
    /// Exit once the messages are synced, with status 0 if none is missing
    #[arg(long)]
    once: bool,
    /// Port of the gateway [default: 3003 if it is free, else any]
    #[arg(long)]
    port: Option<u16>,
    /// Create the database in this folder and keep it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Plays the demo. What it makes is gone at its end, however that comes, unless it is to be kept.
pub(crate) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    output::line(format_args!(
        "\nTrunkline keeps a local table in step with an account: here a simulated one with {} messages.\n",
        crate::table::count(options.messages)
    ))?;
    let stage = Stage::set(options, environment).await?;
    let played = tokio::select! {
        played = story::play(&stage) => played,
        _ = signals.next() => {
            stage.strike().await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    match played {
        Ok(complete) if options.once => {
            stage.strike().await?;
            Ok(if complete {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Ok(_) => {
            story::what_next(&stage, environment)?;
            stage.stay().await.map(|()| ExitCode::SUCCESS)
        }
        Err(error) => {
            stage.strike().await?;
            Err(error)
        }
    }
}
