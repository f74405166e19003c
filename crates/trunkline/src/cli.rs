//! The command line as people write it.

mod action;
mod sync;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::action::Action;
pub(crate) use self::sync::{Selection, Sync};
use crate::config::Flags;
use crate::demo::examples;

const HELP: &str = "\
{about}

{usage-heading} {usage}

Run it:
  serve         Serve the API and, unless told otherwise, work on syncs
  worker        Work on syncs alone, beside any number of others
  demo          See it work: a simulated account, connected and synced

Look after it:
  migrate       Bring the database's tables up to date
  providers     List the providers, or check a provider file
  environments  List, make and delete environments
  api-keys      List, make and revoke the API keys of an environment
  key           Make keys, or rotate the encryption key
  config        Show the configuration and where each value comes from
  health        Ask a gateway whether it is well

Use it (over its API, with TRUNKLINE_SECRET_KEY):
  connect       Connect an account of a provider
  connections   List, show and delete connections
  sync          See, run, pause and start syncs
  records       Read synced records
  action        Carry out an action of a provider, or list them

Options:
{options}{after-help}";

/// A connector gateway: holds your users' API keys, and keeps tables of yours in step with what the providers hold.
#[derive(Debug, Parser)]
#[command(name = "trunkline", bin_name = "trunkline", version, about, help_template = HELP, after_help = examples::PROGRAM)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Read this configuration file in place of ./trunkline.toml [env: TRUNKLINE_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and, unless told otherwise, work on syncs
    ///
    /// On the first start an encryption key (SQLite) and an API key are made, unless configuration gives them.
    Serve(Serve),
    /// Work on syncs alone, beside any number of others
    Worker(Worker),
    /// See it work: a simulated account, connected and synced
    Demo(crate::demo::Options),
    /// Bring the database's tables up to date
    Migrate {
        /// Say that the database was restored, so that readers of changes that are ahead of it miss nothing
        #[arg(long)]
        restored: bool,
    },
    /// List the providers, or check a provider file
    #[command(subcommand)]
    Providers(Providers),
    /// Make keys, or rotate the encryption key
    #[command(subcommand)]
    Key(Key),
    /// List, make and delete environments
    #[command(subcommand)]
    Environments(Environments),
    /// List, make and revoke the API keys of an environment
    #[command(subcommand)]
    ApiKeys(ApiKeys),
    /// Show the configuration and where each value comes from
    Config(ShowConfig),
    /// Ask a gateway whether it is well
    Health(Health),
    /// Connect an account of a provider
    Connect(Connect),
    /// List, show and delete connections
    Connections(Connections),
    /// See, run, pause and start syncs
    #[command(subcommand)]
    Sync(Sync),
    /// Read synced records
    Records(Records),
    /// Carry out an action of a provider, or list them
    Action(Action),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address of the API [default: 127.0.0.1:3003]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Leave the syncs to other processes
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Leave the tables as they are; fail if they are not up to date
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Leave the tables as they are; fail if they are not up to date
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the providers, built in and from integrations_dir
    List(Json),
    /// Check provider files: tells everything that is wrong, with file and line
    Check {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Print a fresh encryption key and a fresh API key, as lines for an .env file
    Generate,
    /// Seal every credential anew: with a new key if a key file holds the keys, else with the first one configured
    ///
    /// Servers and workers go on meanwhile. The command may be stopped and repeated at any time.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Environments {
    /// List the environments
    List(Json),
    /// Make an environment
    Create {
        /// Its name: lower-case letters, digits, - and _
        name: String,
    },
    /// Delete an environment without connections, with its integrations and API keys
    Delete {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeys {
    /// List the keys of an environment by their beginnings, with their last use
    List {
        /// Environment
        environment: String,
        #[command(flatten)]
        json: Json,
    },
    /// Make a key and print it, this once
    Create {
        /// Environment
        environment: String,
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it may do
        #[arg(long = "scope", value_name = "SCOPE", default_values_t = ["environment:*".to_owned()])]
        scopes: Vec<String>,
        /// Make a UUID, for clients that demand one
        #[arg(long)]
        uuid: bool,
    },
    /// Revoke a key, at once and for good
    Revoke {
        /// Environment
        environment: String,
        /// The key's id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// Print the names of all variables, one a line
    #[arg(long)]
    pub(crate) variables: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Address of the gateway [default: where `listen` says]
    #[arg(long)]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::CONNECT)]
pub(crate) struct Connect {
    /// Integration to connect; `trunkline providers list` tells them
    pub(crate) provider: String,
    /// Your name for the connection; the same name again replaces its credentials [default: made]
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: Option<String>,
    /// A field of the provider's form; secrets are better given by variables, which others cannot see
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) fields: Vec<(String, String)>,
    /// Notes of your own, a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub(crate) metadata: Option<serde_json::Value>,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Connections {
    #[command(subcommand)]
    pub(crate) command: Option<ConnectionsCommand>,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the connections
    List {
        #[command(flatten)]
        api: Api,
    },
    /// Show one connection, without its credentials
    Show(OneConnection),
    /// Delete a connection with its credentials and synced rows
    Delete {
        #[command(flatten)]
        one: OneConnection,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneConnection {
    /// Integration
    pub(crate) provider: String,
    /// Connection
    pub(crate) connection_id: String,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Args)]
#[command(after_help = examples::RECORDS)]
pub(crate) struct Records {
    /// Integration
    pub(crate) provider: String,
    /// Model in the plural, lower case: messages
    pub(crate) model: String,
    /// Connection
    #[arg(long, value_name = "ID")]
    pub(crate) connection_id: String,
    /// Records to list, newest first; all with --csv and --ndjson [default: 20]
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// A column and the value it must have
    #[arg(long = "filter", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub(crate) filters: Vec<(String, String)>,
    /// Not older than this moment (ISO 8601)
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<String>,
    /// Older than this moment (ISO 8601)
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,
    /// Columns of the table [default: as many as fit]
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Write everything as CSV
    #[arg(long, conflicts_with_all = ["ndjson", "json"])]
    pub(crate) csv: bool,
    /// Write everything as JSON, a record a line
    #[arg(long, conflicts_with = "json")]
    pub(crate) ndjson: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// What all commands over the API take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Api {
    #[command(flatten)]
    pub(crate) json: Json,
    /// Address of the gateway [default: TRUNKLINE_API_URL, else where `listen` says]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Json {
    /// Print JSON in place of a table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    /// What this command line says about settings.
    pub(crate) fn flags(&self) -> Flags {
        let mut values = Vec::new();
        if let Command::Serve(Serve {
            listen: Some(listen), ..
        }) = &self.command
        {
            values.push(("listen", "--listen", listen.to_string()));
        }
        if let Some(url) = self.command.api().and_then(|api| api.url.clone()) {
            values.push(("api_url", "--url", url));
        }
        Flags {
            file: self.config.clone(),
            values,
        }
    }
}

impl Command {
    fn api(&self) -> Option<&Api> {
        Some(match self {
            Self::Connections(Connections {
                command: Some(command),
                ..
            }) => match command {
                ConnectionsCommand::List { api } => api,
                ConnectionsCommand::Show(one) | ConnectionsCommand::Delete { one, .. } => &one.api,
            },
            Self::Connect(Connect { api, .. })
            | Self::Records(Records { api, .. })
            | Self::Action(Action { api, .. })
            | Self::Connections(Connections { command: None, api })
            | Self::Sync(
                Sync::Status { api, .. }
                | Sync::Trigger { api, .. }
                | Sync::Pause { api, .. }
                | Sync::Start { api, .. }
                | Sync::Runs { api, .. }
                | Sync::Run { api, .. },
            ) => api,
            _ => return None,
        })
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("must be a JSON object".to_owned()),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_hangs_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command_that_is_not_hidden() {
        let help = Cli::command().render_help().to_string();
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let about = command.get_about().unwrap().to_string();
            assert!(
                help.contains(&format!("  {:<12}  {about}\n", command.get_name())),
                "{} in:\n{help}",
                command.get_name()
            );
        }
    }
}
