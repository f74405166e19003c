//! Starts and stops the parts of the demo: a simulator and a gateway on loopback, and a folder for the database.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use domain::EnvironmentName;
use gateway::Gateway;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use twilio_sim::{SimConfig, Simulator};
use vault::api_key;

use crate::cli::Demo;
use crate::client::Client;
use crate::config::{Config, DEFAULT_PORT, Environment};
use crate::lifecycle::Lifecycle;
use crate::wiring::{self, COMMAND, Migrate};
use crate::{output, server, telemetry};

const DATABASE: &str = "trunkline.db";
/// The number of days over which the simulated messages are spread: most of the provider's retention.
const HISTORY_DAYS: u32 = 365;

/// Everything that runs for the demo. Dropping it stops everything and removes the folder, unless the user wants to keep it.
pub(super) struct Setup {
    pub(super) simulator: Simulator,
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) key: SecretString,
    /// The SQLite file.
    pub(super) database: PathBuf,
    lifecycle: Lifecycle,
    gateway: Arc<Gateway>,
    /// Removes the folder when it is dropped, unless the user wants to keep it.
    temporary: Option<TempDir>,
}

impl Setup {
    /// Starts everything.
    pub(super) async fn start(options: &Demo, environment: &Environment) -> anyhow::Result<Self> {
        let (folder, temporary) = create_folder(options.keep.as_deref())?;
        let database = folder.join(DATABASE);
        let simulator = Simulator::start(SimConfig {
            messages: options.messages,
            history_days: HISTORY_DAYS,
            ..SimConfig::default()
        })?;
        let listener = listen(options.port)?;
        let url = format!("http://{}", listener.local_addr()?);
        let key = api_key::generate(&wiring::FIRST_ENVIRONMENT.parse::<EnvironmentName>()?);
        let config = configure(&listener, &database, &simulator, &key)?;
        telemetry::start(&config.log, environment)?;

        let gateway = wiring::gateway(COMMAND, &config, Migrate::Yes).await?;
        wiring::first_api_key(&gateway, &config).await?;
        let mut lifecycle = Lifecycle::new(wiring::drain_timeout(&config))?;
        server::spawn_api(&mut lifecycle, &config, Arc::clone(&gateway), listener)?;
        server::spawn_worker(&mut lifecycle, &config, &gateway);
        let client = Client::with_key(&url, key.clone())?;
        Ok(Self {
            simulator,
            client,
            url,
            key,
            database,
            lifecycle,
            gateway,
            temporary,
        })
    }

    /// Runs until the user stops it.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let removed = match &self.temporary {
            Some(_) => "; then the database is deleted (--keep DIR keeps it)",
            None => "",
        };
        output::line(format_args!(
            "\nThe demo runs, and syncs every five minutes, until you press Ctrl-C{removed}."
        ))?;
        let ended = self.lifecycle.run().await;
        self.gateway.close().await;
        ended
    }

    /// Stops everything.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let ended = self.lifecycle.stop().await;
        self.gateway.close().await;
        ended
    }
}

/// Creates the folder to keep, or a temporary one.
fn create_folder(keep: Option<&Path>) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    let Some(path) = keep else {
        let temporary = tempfile::Builder::new().prefix("trunkline-demo-").tempdir()?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    std::fs::create_dir_all(path).with_context(|| format!("cannot create the folder {}", path.display()))?;
    // Another demo has another account, whose rows would mix with these.
    anyhow::ensure!(
        !path.join(DATABASE).exists(),
        "{} holds the database of another demo: choose another folder",
        path.display()
    );
    Ok((path.to_owned(), None))
}

fn listen(port: Option<u16>) -> anyhow::Result<TcpListener> {
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match port {
        Some(port) => on(port).with_context(|| format!("cannot listen on port {port} of 127.0.0.1")),
        None => on(DEFAULT_PORT)
            .or_else(|_| on(0))
            .context("cannot listen on any port of 127.0.0.1"),
    }
}

fn configure(
    listener: &TcpListener,
    database: &Path,
    simulator: &Simulator,
    key: &SecretString,
) -> anyhow::Result<Config> {
    let database = database
        .to_str()
        .context("the folder's name is not Unicode: choose another folder")?;
    Ok(Config::of(&[
        ("listen", &listener.local_addr()?.to_string()),
        ("database.url", &format!("sqlite://{database}")),
        ("secret_key", key.expose_secret()),
        ("providers.twilio.base_url", &simulator.url()),
        ("log.format", "text"),
        ("log.level", "warn"),
    ])?)
}
