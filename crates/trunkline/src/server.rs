//! The parts of a process that serves: the API and the worker, as tasks of its lifecycle.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context;
use api::ApiOptions;
use gateway::Gateway;
use web::WebPages;
use worker::Worker;

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::wiring;

/// Serves the API until the process is to stop, then finishes the requests that have begun.
pub(crate) fn spawn_api(
    lifecycle: &mut Lifecycle,
    config: &Config,
    gateway: Arc<Gateway>,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let options = ApiOptions {
        connect_url: config.connect_url.as_ref().map(wiring::url_text),
        drain: wiring::drain_timeout(config),
        ..ApiOptions::default()
    };
    let pages = WebPages::new(wiring::web_options(config)?, gateway.public_url.as_deref())?;
    let mut server = api::serve(gateway, listener, options, move |config| {
        pages.register(config);
    })
    .context("cannot serve the API")?;
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

/// Runs syncs and actions until the process is to stop, then lets every run stop between two pages.
pub(crate) fn spawn_worker(lifecycle: &mut Lifecycle, config: &Config, gateway: &Arc<Gateway>) {
    let worker = Worker::new(Arc::clone(gateway), wiring::worker_options(config));
    let stopping = lifecycle.stopping();
    lifecycle.spawn("worker", async move {
        worker.run(stopping).await;
        Ok(())
    });
}
