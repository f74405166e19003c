//! The commands, one file each.

mod action;
mod completion;
mod config;
mod confirm;
mod connect;
mod connections;
mod environments;
mod events;
mod health;
mod key;
mod migrate;
mod providers;
mod records;
mod serve;
mod sync;
mod version;
mod webhooks;

use clap::ArgMatches;

use crate::cli::{self, Cli, Command, Key, OverApi, Providers};
use crate::client::Client;
use crate::config::{Config, Environment, Loaded};
use crate::{interrupt, telemetry, terminal};

/// Runs a command; the caller reports an error. `matches` is the same command line.
pub(crate) async fn run(cli: Cli, matches: &ArgMatches) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    terminal::start(&environment);
    if !cli.command.handles_signals() {
        interrupt::guard()?;
    }
    let flags = cli.settings(matches);
    let loaded = || -> anyhow::Result<Loaded> {
        let loaded = Loaded::read(cli.config.as_deref(), &flags, &environment)?;
        telemetry::start(&loaded.config.log, &environment)?;
        Ok(loaded)
    };
    let load = || -> anyhow::Result<Config> { Ok(loaded()?.config) };
    match cli.command {
        Command::Serve(options) => serve::serve(load()?, &options).await,
        Command::Worker(options) => serve::work(&load()?, &options).await,
        #[cfg(feature = "demo")]
        Command::Demo(options) => crate::demo::run(&options, &environment).await,
        Command::Migrate { restored } => migrate::run(&load()?, restored).await,
        Command::Providers(Providers::List { server, api }) => {
            providers::list(&load()?, server, api.json).await
        }
        Command::Providers(Providers::Show { name, section }) => {
            providers::show(&load()?, &name, section.as_deref())
        }
        Command::Providers(Providers::Check { files }) => providers::check(&files),
        Command::Key(Key::Generate) => key::generate(),
        Command::Key(Key::Rotate) => key::rotate(&load()?).await,
        Command::Key(Key::Forget { lost: _, yes }) => key::forget(&load()?, yes).await,
        Command::Environments(command) => environments::run(&load()?, command).await,
        Command::ApiKeys(command) => environments::keys(&load()?, command).await,
        Command::Config(options) => config::run(&loaded()?, &options),
        Command::Health(options) => health::run(&load()?, &options).await,
        Command::Version(json) => version::run(json),
        Command::Completion { shell } => completion::run(shell),
        Command::OverApi(command) => {
            let client = Client::new(&load()?)?;
            let outcome = match command {
                OverApi::Connect(options) => connect::run(&client, &environment, &options).await,
                OverApi::Connections(options) => connections::run(&client, options).await,
                OverApi::Sync(options) => sync::run(&client, options).await,
                OverApi::Records(options) => records::run(&client, &options).await,
                OverApi::Action(options) => action::run(&client, &options).await,
                OverApi::Webhooks(options) => webhooks::run(&client, options).await,
                OverApi::Events(options) => events::run(&client, &options).await,
            };
            let Err(error) = outcome else { return outcome };
            let [integration, connection] =
                ["integration", "connection_id"].map(|id| cli::argument(matches, id));
            Err(client
                .explain(error, integration.as_deref(), connection.as_deref())
                .await)
        }
    }
}
