//! The arguments of `action`.

use clap::Args;

use super::{Api, pair};

#[derive(Debug, Args)]
pub(crate) struct Action {
    /// Integration
    pub(crate) integration: String,
    /// Name of the action [default: list the actions]
    #[arg(requires = "connection_id")]
    pub(crate) name: Option<String>,
    /// Connection id; the beginning of a UUID is enough
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: Option<String>,
    /// An input of the action; repeat a name to make a list
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) inputs: Vec<(String, String)>,
    /// A key of your choice: repeating the command with it prints the first response and does not run the action again
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Run it in the background, and print the id under which GET /action/{id} returns its result
    #[arg(long = "async")]
    pub(crate) later: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}
