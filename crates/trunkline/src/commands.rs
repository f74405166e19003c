//! The commands, one file each.

mod action;
mod completion;
mod config;
mod connect;
mod connections;
mod environments;
mod health;
mod key;
mod migrate;
mod providers;
pub(crate) mod records;
pub(crate) mod serve;
mod sync;
mod version;

use std::process::ExitCode;

use crate::cli::{Cli, Command, Key, Providers};
use crate::client::Client;
use crate::config::{Config, Environment, Loaded};
use crate::{interrupt, telemetry, terminal};

/// Runs a command; the caller reports an error.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    terminal::start(&environment);
    if !cli.command.stays() {
        interrupt::guard()?;
    }
    let flags = cli.flags();
    let load = || -> anyhow::Result<Config> { Ok(loaded(&flags, &environment)?.config) };
    let (integration, connection) = cli.command.names();
    // Everything over the API, and its errors in words that name what was meant.
    let over_api = async |command: Command| -> anyhow::Result<ExitCode> {
        let client = Client::new(&load()?)?;
        let outcome = match command {
            Command::Connect(options) => connect::run(&client, &environment, &options).await,
            Command::Connections(options) => connections::run(&client, options).await,
            Command::Sync(command) => sync::run(&client, command).await,
            Command::Records(options) => records::run(&client, &options).await,
            Command::Action(options) => action::run(&client, &options).await,
            _ => Ok(ExitCode::SUCCESS),
        };
        match outcome {
            Ok(status) => Ok(status),
            Err(error) => Err(client
                .explain(error, integration.as_deref(), connection.as_deref())
                .await),
        }
    };
    match cli.command {
        Command::Serve(options) => serve::serve(load()?, &options).await,
        Command::Worker(options) => serve::work(&load()?, &options).await,
        #[cfg(feature = "demo")]
        Command::Demo(options) => crate::demo::run(&options, &environment).await,
        Command::Migrate { restored } => migrate::run(&load()?, restored).await,
        Command::Providers(Providers::List { server, api }) => {
            providers::list(&load()?, server, api.json).await
        }
        Command::Providers(Providers::Check { files }) => providers::check(&files),
        Command::Key(Key::Generate) => key::generate(),
        Command::Key(Key::Rotate) => key::rotate(&load()?).await,
        Command::Key(Key::Forget { lost: _, yes }) => key::forget(&load()?, yes).await,
        Command::Environments(command) => environments::run(&load()?, command).await,
        Command::ApiKeys(command) => environments::keys(&load()?, command).await,
        Command::Config(options) => config::run(&loaded(&flags, &environment)?, &options),
        Command::Health(options) => health::run(&load()?, &options).await,
        Command::Version(json) => version::run(json),
        Command::Completion { shell } => completion::run(shell),
        command @ (Command::Connect(_)
        | Command::Connections(_)
        | Command::Sync(_)
        | Command::Records(_)
        | Command::Action(_)) => over_api(command).await,
    }
}

fn loaded(flags: &crate::config::Flags, environment: &Environment) -> anyhow::Result<Loaded> {
    let loaded = Loaded::read(flags, environment)?;
    telemetry::start(&loaded.config.log, environment)?;
    Ok(loaded)
}
