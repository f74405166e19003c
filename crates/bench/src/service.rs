//! The API and the worker as child processes, with the default options of the binary.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use api::ApiOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use worker::{Worker, WorkerOptions};

use crate::app::{App, AppOptions};
use crate::child;

/// In a child: serves the API, with or without a worker, until the process is killed.
pub(crate) async fn serve(mut commands: mpsc::Receiver<String>, works: bool) -> anyhow::Result<()> {
    let options: AppOptions = child::next(&mut commands).await?;
    let app = App::start(&options).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    if works {
        let worker = Worker::new(Arc::clone(&app.gateway), WorkerOptions::default());
        tokio::spawn(worker.run(CancellationToken::new()));
    }
    let server = api::serve(app.gateway, listener, ApiOptions::default(), |_| {})?;
    child::output(&address)?;
    Ok(server.await?)
}

/// In a child: works until the next command, or until the process is killed.
pub(crate) async fn work(mut commands: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let options: AppOptions = child::next(&mut commands).await?;
    let app = App::start(&options).await?;
    let stopping = CancellationToken::new();
    let working = tokio::spawn(Worker::new(app.gateway, WorkerOptions::default()).run(stopping.clone()));
    child::output(&())?;
    child::next::<()>(&mut commands).await?;
    stopping.cancel();
    working.await?;
    child::output(&())
}
