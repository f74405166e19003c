//! `serve` and `worker`: run until a signal stops them.

use crate::config::{self, Config};
use crate::lifecycle::Lifecycle;
use crate::wiring::{self, Migrate};
use crate::{cli, server};

/// Runs the API and, unless the options say otherwise, a worker.
pub(crate) async fn serve(mut config: Config, options: &cli::Serve) -> anyhow::Result<()> {
    if let Some(port) = options.port {
        config.listen = config.listen.with_port(port);
    }
    let config = &config;
    // First, since the most likely mistake is to start a second gateway.
    let listener = config.listen.bind()?;
    wiring::check_api_key(config)?;
    let gateway = wiring::gateway("serve", config, migrate(options.no_migrate)).await?;
    if let Some(secret) = wiring::first_api_key(&gateway, config).await? {
        wiring::show_api_key(&secret);
    }
    let url = config::local_url(listener.local_addr()?);
    let mut lifecycle = Lifecycle::new(wiring::drain_timeout(config))?;
    server::spawn_api(&mut lifecycle, config, gateway.clone(), listener)?;
    if !options.no_worker {
        server::spawn_worker(&mut lifecycle, config, &gateway);
    }
    tracing::info!(url, database = %config.database.url, worker = !options.no_worker, "ready");
    let ended = lifecycle.run().await;
    gateway.close().await;
    ended
}

/// Runs a worker without the API.
pub(crate) async fn work(config: &Config, options: &cli::Worker) -> anyhow::Result<()> {
    let gateway = wiring::gateway("worker", config, migrate(options.no_migrate)).await?;
    let mut lifecycle = Lifecycle::new(wiring::drain_timeout(config))?;
    server::spawn_worker(&mut lifecycle, config, &gateway);
    tracing::info!(database = %config.database.url, "ready");
    let ended = lifecycle.run().await;
    gateway.close().await;
    ended
}

fn migrate(no: bool) -> Migrate {
    if no { Migrate::No } else { Migrate::Yes }
}
