//! Starting and stopping: work runs as tasks, and comes to an end in two stages.
//!
//! The first signal stops new work and lets what is under way come to a stop; the second, or the end of the time for that, cuts it
//! off. Nothing is lost by that: what a cut leaves undone is repeated. A task that ends by itself begins the same, as a failure.

use std::io;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Time beyond the drain that tasks have of their own for cutting off what is left.
const GRACE: Duration = Duration::from_secs(5);

/// The tasks of a process that runs until it is told to stop.
pub(crate) struct Lifecycle {
    stopping: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    drain: Duration,
    signals: Signals,
}

impl Lifecycle {
    /// Nothing runs yet; from now on a signal is kept until [`Lifecycle::run`]. `drain` is how long tasks may take to stop.
    pub(crate) fn new(drain: Duration) -> io::Result<Self> {
        Ok(Self {
            stopping: CancellationToken::new(),
            tasks: JoinSet::new(),
            drain,
            signals: Signals::listen()?,
        })
    }

    /// Cancelled when the tasks are to stop.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs a task that ends only once it is to stop.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for a signal or a task's end, then stops the rest. An error if a task failed or had to be cut off.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            name = self.signals.next() => {
                tracing::info!(signal = name, "stopping: what is under way may come to an end; a second signal cuts it off");
                Ok(())
            }
            Some(ended) = self.tasks.join_next() => failed(ended).and(Err(anyhow::anyhow!("a part of the process ended by itself"))),
        };
        outcome.and(self.end().await)
    }

    /// Stops everything now.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        self.stopping.cancel();
        let ended = tokio::select! {
            ended = Self::join(&mut self.tasks) => ended,
            name = self.signals.next() => Err(anyhow::anyhow!("cut off by a second {name}")),
            () = tokio::time::sleep(self.drain + GRACE) => Err(anyhow::anyhow!("work did not stop in time and was cut off")),
        };
        self.tasks.shutdown().await;
        ended
    }

    async fn join(tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            outcome = outcome.and(failed(ended));
        }
        outcome
    }
}

fn failed(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Result<()> {
    let (name, outcome) = ended.context("a task crashed")?;
    outcome.with_context(|| format!("the {name} failed"))
}

/// What people and service managers send to end a process.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
