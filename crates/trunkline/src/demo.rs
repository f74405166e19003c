//! `demo`: runs a simulated account and a gateway, connects them, and syncs over the real API.

mod stage;
mod story;

use std::process::ExitCode;

use crate::cli::Demo;
use crate::config::Environment;
use crate::demo::stage::Stage;
use crate::interrupt::INTERRUPTED;
use crate::lifecycle::Signals;
use crate::{exit, output, table};

/// Runs the demo. However it ends, it removes what it has created, unless the user wants to keep it.
pub(crate) async fn run(options: &Demo, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    output::line(format_args!(
        "\nTrunkline keeps a local table in step with an account: here a simulated one with {} messages.\n",
        table::count(options.messages)
    ))?;
    let stage = Stage::start(options, environment).await?;
    let shown = tokio::select! {
        shown = story::show(&stage) => shown,
        _ = signals.next() => {
            stage.stop().await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    match shown {
        Ok(complete) if options.once => {
            stage.stop().await?;
            Ok(exit::status(complete))
        }
        Ok(_) => {
            story::what_next(&stage, environment)?;
            stage.run().await.map(|()| ExitCode::SUCCESS)
        }
        Err(error) => {
            stage.stop().await?;
            Err(error)
        }
    }
}
