//! The commands, one file each.

mod action;
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

use std::process::ExitCode;

use crate::cli::{Cli, Command, Key, Providers};
use crate::client::Client;
use crate::config::{Environment, Loaded};
use crate::{demo, telemetry};

/// Carries out a command; an error is told by the caller.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    let flags = cli.flags();
    let load = || -> anyhow::Result<Loaded> {
        let loaded = Loaded::read(&flags, &environment)?;
        telemetry::start(&loaded.config.log, &environment)?;
        Ok(loaded)
    };
    match cli.command {
        Command::Serve(options) => serve::serve(&load()?.config, &options).await,
        Command::Worker(options) => serve::work(&load()?.config, &options).await,
        Command::Demo(options) => demo::run(&options, &environment).await,
        Command::Migrate { restored } => migrate::run(&load()?.config, restored).await,
        Command::Providers(Providers::List(json)) => providers::list(&load()?.config, json),
        Command::Providers(Providers::Check { files }) => providers::check(&files),
        Command::Key(Key::Generate) => key::generate(),
        Command::Key(Key::Rotate) => key::rotate(&load()?.config).await,
        Command::Environments(command) => environments::run(&load()?.config, command).await,
        Command::ApiKeys(command) => environments::keys(&load()?.config, command).await,
        Command::Config(options) => config::run(&load()?, &options),
        Command::Health(options) => health::run(&load()?.config, &options).await,
        Command::Connect(options) => connect::run(&load()?.config, &environment, &options).await,
        Command::Connections(options) => connections::run(&Client::new(&load()?.config)?, options).await,
        Command::Sync(command) => sync::run(&Client::new(&load()?.config)?, command).await,
        Command::Records(options) => records::run(&load()?.config, &options).await,
        Command::Action(options) => action::run(&load()?.config, &options).await,
    }
}
