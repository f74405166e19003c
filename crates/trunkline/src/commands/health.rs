//! `health`: for container engines, which ask by running a program.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::Health;
use crate::client::Client;
use crate::config::Config;
use crate::output;

/// Succeeds if the gateway answers that it is up. Asks the gateway of this machine unless an address is given.
pub(crate) async fn run(config: &Config, options: &Health) -> anyhow::Result<ExitCode> {
    let url = options.url.clone().unwrap_or_else(|| config.local_url());
    let client = Client::without_key(&url)?;
    let asked = client.get(&["health"], &[]).await;
    if options.json.json {
        let health = match &asked {
            Ok(_) => json!({ "url": client.url(), "result": "ok" }),
            Err(error) => json!({ "url": client.url(), "result": "failed", "error": error.to_string() }),
        };
        output::json(&health)?;
        return Ok(if asked.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    asked?;
    output::line(format_args!("{} is up", client.url()))?;
    Ok(ExitCode::SUCCESS)
}
