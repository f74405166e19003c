//! `serve` and `worker`: the processes that stay.

use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::Context;
use api::ApiOptions;
use gateway::Gateway;
use url::Url;
use worker::Worker;

use crate::cli;
use crate::config::{self, Config};
use crate::lifecycle::Lifecycle;
use crate::wiring::{self, Migrate};

/// The API and, unless told otherwise, a worker.
pub(crate) async fn serve(mut config: Config, options: &cli::Serve) -> anyhow::Result<ExitCode> {
    if let Some(port) = options.port {
        config.listen = config.listen.with_port(port);
    }
    let config = &config;
    // First, since a second start by mistake is the likeliest thing to go wrong.
    let listener = config.listen.bind()?;
    wiring::check_secret_key(config)?;
    let gateway = wiring::gateway_of("serve", config, migrate(options.no_migrate)).await?;
    if let Some(secret) = wiring::first_key(&gateway, config).await? {
        wiring::show_key(&secret);
    }
    let url = config::local_url(listener.local_addr()?);
    let store = gateway.store().clone();
    let mut lifecycle = Lifecycle::new(wiring::drain(config))?;
    spawn_api(&mut lifecycle, config, gateway.clone(), listener)?;
    if !options.no_worker {
        spawn_worker(&mut lifecycle, config, gateway);
    }
    tracing::info!(url, database = %config.database.url, worker = !options.no_worker, "ready");
    let ended = lifecycle.run().await;
    store.close().await;
    ended.map(|()| ExitCode::SUCCESS)
}

/// A worker alone.
pub(crate) async fn work(config: &Config, options: &cli::Worker) -> anyhow::Result<ExitCode> {
    let gateway = wiring::gateway_of("worker", config, migrate(options.no_migrate)).await?;
    let store = gateway.store().clone();
    let mut lifecycle = Lifecycle::new(wiring::drain(config))?;
    spawn_worker(&mut lifecycle, config, gateway);
    tracing::info!(database = %config.database.url, "ready");
    let ended = lifecycle.run().await;
    store.close().await;
    ended.map(|()| ExitCode::SUCCESS)
}

fn migrate(no: bool) -> Migrate {
    if no { Migrate::No } else { Migrate::Yes }
}

/// Serves the API until it is to stop; then finishes the requests under way.
pub(crate) fn spawn_api(
    lifecycle: &mut Lifecycle,
    config: &Config,
    gateway: Gateway,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let text = |url: &Option<Url>| {
        let url = url.as_ref();
        url.map(|url| url.as_str().trim_end_matches('/').to_owned())
    };
    let options = ApiOptions {
        public_url: text(&config.public_url),
        connect_url: text(&config.connect_url),
        drain: wiring::drain(config),
        ..ApiOptions::default()
    };
    let mut server = api::serve(gateway, listener, options).context("cannot serve the API")?;
    let stopping = lifecycle.stopping();
    lifecycle.spawn("API", async move {
        let handle = server.handle();
        tokio::select! {
            ended = &mut server => return Ok(ended?),
            () = stopping.cancelled() => {}
        }
        let (ended, ()) = tokio::join!(server, handle.stop(true));
        Ok(ended?)
    });
    Ok(())
}

/// Works on syncs until it is to stop; then lets every run stop between two pages.
pub(crate) fn spawn_worker(lifecycle: &mut Lifecycle, config: &Config, gateway: Gateway) {
    let worker = Worker::new(gateway, wiring::worker_options(config));
    let stopping = lifecycle.stopping();
    lifecycle.spawn("worker", async move {
        worker.run(stopping).await;
        Ok(())
    });
}
