//! `health`: checks a gateway, for container engines, which run a program for that.

use serde_json::json;

use crate::cli::Health;
use crate::client::Client;
use crate::config::Config;
use crate::{exit, output};

/// Succeeds if the gateway says that it is up. Without an address, it is the gateway of this machine.
pub(crate) async fn run(config: &Config, options: &Health) -> anyhow::Result<()> {
    let url = options.url.clone().unwrap_or_else(|| config.local_url());
    let client = Client::without_key(&url)?;
    let response = client.get(&["health"], &[]).await;
    if options.json.json {
        let health = match &response {
            Ok(_) => json!({ "url": client.url(), "result": "ok" }),
            Err(error) => json!({ "url": client.url(), "result": "failed", "error": error.to_string() }),
        };
        output::json(&health)?;
        return exit::require(response.is_ok());
    }
    response?;
    output::line(format_args!("{} is up", client.url()))
}
