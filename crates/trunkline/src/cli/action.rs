//! `action` as people write it.

use clap::Args;

use super::{Api, pair};

#[derive(Debug, Args)]
pub(crate) struct Action {
    /// Integration
    pub(crate) integration: String,
    /// Name of the action [default: list the actions]
    #[arg(requires = "connection_id")]
    pub(crate) name: Option<String>,
    /// Connection; of an id that is a UUID the beginning is enough
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: Option<String>,
    /// An input; the same name again makes a list
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) inputs: Vec<(String, String)>,
    /// A key of your own: sending the same request again with it returns the first response and does nothing
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Run it in the background, and print where its result will be
    #[arg(long = "async")]
    pub(crate) later: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}
