//! `demo`: runs a simulated account and a gateway, connects them, and syncs over the real API.

mod setup;
mod tour;

use crate::cli::Demo;
use crate::config::Environment;
use crate::demo::setup::Setup;
use crate::interrupt::INTERRUPTED;
use crate::lifecycle::Signals;
use crate::{exit, output, table};

/// Runs the demo. However it ends, its database is deleted, unless the user wants to keep it.
pub(crate) async fn run(options: &Demo, environment: &Environment) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    output::line(format_args!(
        "\nTrunkline keeps a local table in step with an account: here a simulated one with {} messages.\n",
        table::count(options.messages)
    ))?;
    let setup = Setup::start(options, environment).await?;
    let shown = tokio::select! {
        shown = tour::show(&setup) => shown,
        _ = signals.next() => {
            setup.stop().await?;
            return Err(exit::Status(INTERRUPTED).into());
        }
    };
    match shown {
        Ok(complete) if options.once => {
            setup.stop().await?;
            exit::require(complete)
        }
        Ok(_) => {
            tour::what_next(&setup)?;
            setup.run().await
        }
        Err(error) => {
            setup.stop().await?;
            Err(error)
        }
    }
}
