//! The program's other processes: it runs itself again, so that what is measured of one process is that process's alone.
//!
//! Orders go in and answers come out as JSON, one a line. The input is the life line: when it ends, the child ends.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// How the program has its allocator work: `crates/trunkline/src/allocator.rs` says why.
const ALLOCATOR_SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

/// Longer than anything that is measured.
const PATIENCE: Duration = Duration::from_mins(8);

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Plays the provider.
    Sim,
    /// Runs one sync.
    Sync,
    /// Serves the API.
    Api,
}

/// A running child; killed when dropped.
pub(crate) struct Child {
    kind: Kind,
    process: tokio::process::Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child and gives it its first order.
    pub(crate) async fn start(kind: Kind, order: &impl Serialize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("asking for the program's own file")?;
        let name = kind.to_possible_value().context("a child without a name")?;
        let mut process = Command::new(program)
            .args(["child", name.get_name()])
            .envs(ALLOCATOR_SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a child process")?;
        let orders = process.stdin.take().context("the child has no input")?;
        let answers = process.stdout.take().context("the child has no output")?;
        let mut child = Self {
            kind,
            process,
            orders,
            answers: BufReader::new(answers).lines(),
        };
        child.tell(order).await?;
        Ok(child)
    }

    /// Gives an order.
    pub(crate) async fn tell(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await.context("telling a child")
    }

    /// The next answer.
    pub(crate) async fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line())
            .await
            .with_context(|| format!("the child {:?} takes too long", self.kind))??;
        match line {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("the child {:?} ended early; its words stand above", self.kind),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the child has ended")
    }

    /// Ends it and waits for its end.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("ending a child")
    }
}

/// In a child: its orders. The process ends with them.
pub(crate) fn orders() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            // Nobody may read orders any more; the end of the input counts all the same.
            let _ = send.blocking_send(line);
        }
        std::process::exit(0);
    });
    receive
}

/// In a child: waits for its next order.
pub(crate) async fn next<T: DeserializeOwned>(orders: &mut mpsc::Receiver<String>) -> anyhow::Result<T> {
    let line = orders.recv().await.context("there are no more orders")?;
    serde_json::from_str(&line).context("an order cannot be read")
}

/// In a child: answers.
pub(crate) fn answer(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}
