//! `health`: for container engines, which ask by running a program.

use std::process::ExitCode;

use crate::cli::Health;
use crate::client::Client;
use crate::config::Config;
use crate::output;

/// Success if the gateway answers that it is well. Asks the one of this machine, wherever commands find theirs.
pub(crate) async fn run(config: &Config, options: &Health) -> anyhow::Result<ExitCode> {
    let url = options.url.clone().unwrap_or_else(|| config.local_url());
    Client::without_key(&url)?.get(&["health"], &[]).await?;
    output::line(format_args!("{url} is well"))?;
    Ok(ExitCode::SUCCESS)
}
