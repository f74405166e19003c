//! Starts and stops the tasks of a process. Shutdown has two stages.
//!
//! After the first signal, no new work begins, and work that has begun may finish. The second signal, or a timeout, ends the process
//! immediately. Nothing is lost by that: unfinished work is repeated. A task that ends by itself starts the shutdown, too, as a failure. Signals and the
//! timeout have separate threads, so that they work even if all others are blocked.

use std::io;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take after the drain to cut off unfinished work.
const GRACE: Duration = Duration::from_secs(4);
/// How much later the process ends, whatever it is doing.
const HARD_END: Duration = Duration::from_secs(1);

/// The tasks of a process that runs until it is to stop.
pub(crate) struct Lifecycle {
    stopping: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    drain: Duration,
    first_signal: oneshot::Receiver<&'static str>,
}

impl Lifecycle {
    /// A lifecycle without tasks. From now on, a first signal is kept until [`Lifecycle::run`]. `drain` is how long tasks may take to stop.
    pub(crate) fn new(drain: Duration) -> io::Result<Self> {
        Ok(Self {
            stopping: CancellationToken::new(),
            tasks: JoinSet::new(),
            drain,
            first_signal: watch_signals()?,
        })
    }

    /// Returns the token that is cancelled when the tasks are to stop.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Spawns a task that must not end before it is to stop.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for a signal or the end of a task, then stops the others. Fails if a task failed or had to be cut off.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            Ok(name) = &mut self.first_signal => {
                tracing::info!(signal = name, "stopping: work that has begun may finish; a second signal ends the process at once");
                Ok(())
            }
            Some(ended) = self.tasks.join_next() => failed(ended).and(Err(anyhow::anyhow!("a part of the process ended by itself"))),
        };
        outcome.and(self.end().await)
    }

    /// Stops all tasks now.
    #[cfg(feature = "demo")]
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        let limit = self.drain + GRACE;
        end_process_after(limit + HARD_END)?;
        self.stopping.cancel();
        let ended = tokio::time::timeout(limit, Self::join(&mut self.tasks)).await;
        self.tasks.abort_all();
        ended.unwrap_or_else(|_| Err(anyhow::anyhow!("work did not stop in time and was cut off")))
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

/// Listens for signals on a separate thread. The returned channel receives the first; a second one ends the process.
fn watch_signals() -> io::Result<oneshot::Receiver<&'static str>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listening = {
        let _runtime_of_signals = runtime.enter();
        Signals::listen()
    };
    let mut signals = match listening {
        Ok(signals) => signals,
        Err(error) => {
            // Dropping a runtime within another one panics.
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let (first, receiver) = oneshot::channel();
    let watch = async move {
        // A process that is about to end no longer receives it.
        let _: Result<(), &str> = first.send(signals.next().await);
        let name = signals.next().await;
        tracing::error!(signal = name, "second signal: work that has begun is cut off");
        std::process::exit(1);
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))?;
    Ok(receiver)
}

/// Ends the process after `limit`, if it is still running.
fn end_process_after(limit: Duration) -> io::Result<()> {
    let wait = move || {
        thread::sleep(limit);
        tracing::error!("the process did not stop in time and is ended");
        std::process::exit(1);
    };
    thread::Builder::new()
        .name("hard end".to_owned())
        .spawn(wait)
        .map(drop)
}

/// The signals that end a process: SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens for the signals, which no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
