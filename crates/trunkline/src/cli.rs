//! The command line.

mod action;
mod client;
mod examples;
mod help;
mod local;
mod sync;
mod webhooks;

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::action::Action;
pub(crate) use self::client::{Connect, Connections, ConnectionsCommand, Health, OneConnection, Records};
#[cfg(feature = "demo")]
pub(crate) use self::local::Demo;
pub(crate) use self::local::{ApiKeys, Environments, Key, Providers, ShowConfig};
pub(crate) use self::sync::{Selection, Sync, SyncCommand};
pub(crate) use self::webhooks::{
    EndpointOptions, Events, Listen as ListenOptions, OneDelivery, OneEndpoint, Webhooks, WebhooksCommand,
    duration,
};
use crate::config::Listen;

/// A connector gateway: stores your users' API keys, and keeps tables up to date with the providers' records.
#[derive(Debug, Parser)]
#[command(name = "trunkline", bin_name = "trunkline", version, about, after_help = examples::PROGRAM)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Read this configuration file instead of ./trunkline.toml [env: TRUNKLINE_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
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
    Demo(Demo),
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
    #[command(flatten)]
    OverApi(OverApi),
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

/// The commands over the API of a gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum OverApi {
    /// Connect an account of a provider
    Connect(Connect),
    /// List, show and delete connections
    Connections(Connections),
    /// Show, trigger, pause and start syncs
    Sync(Sync),
    /// Read synced records
    Records(Records),
    /// Run an action of a provider, or list its actions
    Action(Action),
    /// Send events to your app, or forward them to this machine
    Webhooks(Webhooks),
    /// List or follow events: what webhooks report
    Events(Events),
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

/// The arguments of all commands over the API, which their subcommands take too.
#[derive(Debug, Args)]
pub(crate) struct Api {
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Address of the gateway, such as localhost:3003 [default: TRUNKLINE_API_URL, else the address in `listen`]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Json {
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Returns the command line's definition, with the commands in groups in its help.
pub(crate) fn command() -> clap::Command {
    help::grouped(Cli::command())
}

impl Cli {
    /// Returns key, flag and value of each setting on this command line. `matches` is the same command line.
    pub(crate) fn settings(&self, matches: &ArgMatches) -> Vec<(&'static str, &'static str, String)> {
        let listen = match &self.command {
            Command::Serve(serve) => serve.listen.as_ref().map(ToString::to_string),
            _ => None,
        };
        let flags = [
            ("listen", "--listen", listen),
            ("api_url", "--url", argument(matches, "url")),
        ];
        flags
            .into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value?)))
            .collect()
    }
}

impl Command {
    /// Whether it runs until a signal stops it, and so handles signals itself.
    pub(crate) fn handles_signals(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Worker(_) => true,
            #[cfg(feature = "demo")]
            Self::Demo(_) => true,
            Self::OverApi(command) => command.handles_signals(),
            _ => false,
        }
    }
}

impl OverApi {
    fn handles_signals(&self) -> bool {
        match self {
            Self::Webhooks(webhooks) => matches!(webhooks.command, Some(WebhooksCommand::Listen(_))),
            Self::Events(events) => events.follow,
            _ => false,
        }
    }
}

/// Returns an argument of the innermost subcommand by its id; `None` if it takes no such text or has none.
pub(crate) fn argument(matches: &ArgMatches, id: &str) -> Option<String> {
    match matches.subcommand() {
        Some((_, inner)) => argument(inner, id),
        None => matches.try_get_one::<String>(id).ok().flatten().cloned(),
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
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command_that_is_not_hidden() {
        let help = command().render_help().to_string();
        for command in command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let line = format!(
                "\n  {:<12}  {}\n",
                command.get_name(),
                command.get_about().unwrap()
            );
            assert!(help.contains(&line), "{line} in:\n{help}");
        }
    }

    #[test]
    fn help_and_examples_fit_80_columns() {
        let help = command().term_width(80).render_help().to_string();
        for text in [
            examples::PROGRAM,
            examples::CONNECT,
            examples::RECORDS,
            examples::WEBHOOKS,
            examples::LISTEN,
            &help,
        ] {
            let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{wide:#?}");
        }
    }
}
