//! `migrate`: the tables brought up to date, and told.

use std::process::ExitCode;

use crate::config::Config;
use crate::table::Table;
use crate::{output, wiring};

/// Applies what is missing and lists it.
pub(crate) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let applied = wiring::store(config).await?.migrate().await?;
    if applied.is_empty() {
        output::line(format_args!(
            "The tables of {} are up to date.",
            config.database.url
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["APPLIED TO", "MIGRATION"]);
    for name in applied {
        table.row([config.database.url.to_string(), name]);
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}
