//! The arguments of the commands over the API about connections and records.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Api, Json, examples, object, pair};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Address of the gateway [default: the address in `listen`]
    // Not the argument `url`, which sets `api_url`.
    #[arg(id = "health_url", long = "url", value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Args)]
#[command(after_help = examples::CONNECT)]
pub(crate) struct Connect {
    /// Integration to connect: a provider's name, or an integration of yours
    pub(crate) integration: String,
    /// Id of your choice for the connection; an existing connection gets the new credentials [default: a new UUID]
    // Not the argument `connection_id`, which names an existing connection.
    #[arg(id = "new_connection_id", long = "connection-id", value_name = "ID")]
    pub(crate) connection_id: Option<String>,
    /// The value of a field of the provider's form
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) fields: Vec<(String, String)>,
    /// Read the value of a field from a file, or with - from standard input
    #[arg(long = "field-file", value_name = "NAME=FILE", value_parser = file)]
    pub(crate) field_files: Vec<(String, PathBuf)>,
    /// A JSON object of your own to keep with the connection
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub(crate) metadata: Option<serde_json::Value>,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Args)]
pub(crate) struct Connections {
    #[command(subcommand)]
    pub(crate) command: Option<ConnectionsCommand>,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the connections
    List,
    /// Show one connection, without its credentials
    Show(OneConnection),
    /// Delete a connection with its credentials and synced rows
    Delete {
        #[command(flatten)]
        one: OneConnection,
        /// Do not ask for a confirmation; the connection id must then be whole
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneConnection {
    /// Integration
    pub(crate) integration: String,
    /// Connection id; the beginning of a UUID is enough
    pub(crate) connection_id: String,
}

#[derive(Debug, Args)]
#[command(after_help = examples::RECORDS)]
pub(crate) struct Records {
    /// Integration
    pub(crate) integration: String,
    /// Name of the model in the plural, in lower case, such as messages
    pub(crate) model: String,
    /// Connection id; the beginning of a UUID is enough
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: String,
    /// How many records to list, newest first [default: 20; all with --csv and --ndjson]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// A column and the value it must have
    #[arg(long = "filter", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub(crate) filters: Vec<(String, String)>,
    /// Only records of this time or later (ISO 8601)
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<String>,
    /// Only records from before this time (ISO 8601)
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,
    /// Columns of the table, separated by commas [default: as many as fit; all in a pipe]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN", conflicts_with_all = ["csv", "ndjson", "json"])]
    pub(crate) columns: Vec<String>,
    /// Write all records as CSV
    #[arg(long, conflicts_with_all = ["ndjson", "json"])]
    pub(crate) csv: bool,
    /// Write all records as JSON, one per line
    #[arg(long, conflicts_with = "json")]
    pub(crate) ndjson: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

fn file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = pair(text)?;
    if path.is_empty() {
        return Err("must be NAME=FILE, or NAME=- for standard input".to_owned());
    }
    Ok((name, path.into()))
}
