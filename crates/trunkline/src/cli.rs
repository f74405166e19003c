//! The command line as people write it.

mod action;
mod client;
mod examples;
mod help;
mod local;
mod sync;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::action::Action;
pub(crate) use self::client::{Connect, Connections, ConnectionsCommand, Health, OneConnection, Records};
pub(crate) use self::local::{ApiKeys, Environments, Key, Providers, ShowConfig};
pub(crate) use self::sync::{Selection, Sync};
use crate::config::{Flags, Listen};

/// A connector gateway: stores your users' API keys, and keeps tables up to date with what the providers hold.
#[derive(Debug, Parser)]
#[command(name = "trunkline", bin_name = "trunkline", version, about, help_template = help::template(), after_help = examples::PROGRAM)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Read this configuration file instead of ./trunkline.toml [env: TRUNKLINE_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and run syncs
    ///
    /// The first start creates the database, an encryption key (with SQLite) and an API key, unless the settings name them.
    Serve(Serve),
    /// Run syncs only, beside any number of other processes
    Worker(Worker),
    /// See it work: a simulated account, connected and synced
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Bring the database's tables up to date
    Migrate {
        /// After the database was restored: raise the change numbers, so that readers of GET /records miss no change
        #[arg(long)]
        restored: bool,
    },
    /// List the providers, or check a provider file
    #[command(subcommand)]
    Providers(Providers),
    /// Generate keys, rotate the encryption key, or give up a lost one
    #[command(subcommand)]
    Key(Key),
    /// List, create and delete environments
    #[command(subcommand)]
    Environments(Environments),
    /// List, create and revoke the API keys of an environment
    #[command(subcommand)]
    ApiKeys(ApiKeys),
    /// Show the configuration and where each value comes from
    Config(ShowConfig),
    /// Check whether a gateway is up
    Health(Health),
    /// Connect an account of a provider
    Connect(Connect),
    /// List, show and delete connections
    Connections(Connections),
    /// Show, trigger, pause and start syncs
    #[command(subcommand)]
    Sync(Sync),
    /// Read synced records
    Records(Records),
    /// Run an action of a provider, or list its actions
    Action(Action),
    /// Show the version
    Version(Json),
    /// Print a completion script for a shell
    ///
    /// For bash: `source <(trunkline completion bash)`. For fish: `trunkline completion fish | source`.
    Completion {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address of the API, such as localhost:3003, or :3003 for every address of this machine [default: 127.0.0.1:3003]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<Listen>,
    /// Port of the API; the address stays as configured [default: 3003]
    #[arg(long, value_name = "PORT", conflicts_with = "listen")]
    pub(crate) port: Option<u16>,
    /// Run no syncs: other processes run them
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Do not bring the tables up to date; fail if they are not
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Do not bring the tables up to date; fail if they are not
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

/// A command line that turned out to lack something after it was read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// What all commands over the API take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Api {
    #[command(flatten)]
    pub(crate) json: Json,
    /// Address of the gateway, such as localhost:3003 [default: TRUNKLINE_API_URL, else the address in `listen`]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Json {
    /// Print JSON instead of a table
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
    /// Whether it handles signals itself: it stays until it is told to stop.
    pub(crate) fn stays(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Worker(_) => true,
            #[cfg(feature = "demo")]
            Self::Demo(_) => true,
            _ => false,
        }
    }

    /// The integration and the connection that it names.
    pub(crate) fn names(&self) -> (Option<String>, Option<String>) {
        let (integration, connection) = match self {
            Self::Connect(options) => (Some(&options.integration), None),
            Self::Connections(Connections {
                command: Some(ConnectionsCommand::Show(one) | ConnectionsCommand::Delete { one, .. }),
                ..
            }) => (Some(&one.integration), Some(&one.connection_id)),
            Self::Records(options) => (Some(&options.integration), Some(&options.connection_id)),
            Self::Action(options) => (Some(&options.integration), options.connection_id.as_ref()),
            Self::Sync(
                Sync::Status { selection, .. }
                | Sync::Trigger { selection, .. }
                | Sync::Pause { selection, .. }
                | Sync::Start { selection, .. },
            ) => (Some(&selection.integration), selection.connection_id.as_ref()),
            Self::Sync(Sync::Runs {
                integration,
                connection_id,
                ..
            }) => (integration.as_ref(), connection_id.as_ref()),
            _ => (None, None),
        };
        (integration.cloned(), connection.cloned())
    }

    fn api(&self) -> Option<&Api> {
        Some(match self {
            Self::Connections(Connections {
                command: Some(command),
                ..
            }) => match command {
                ConnectionsCommand::List { api } => api,
                ConnectionsCommand::Show(one) | ConnectionsCommand::Delete { one, .. } => &one.api,
            },
            Self::Providers(Providers::List { api, .. })
            | Self::Connect(Connect { api, .. })
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
        Err(error) => Err(format!("is not JSON: {error}")),
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

    #[test]
    fn examples_fit_into_80_columns() {
        let texts = [
            examples::PROGRAM,
            examples::CONNECT,
            examples::RECORDS,
            help::template().as_str(),
        ]
        .map(str::to_owned);
        let wide: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}
