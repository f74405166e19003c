//! Child processes: the program runs itself again, so that the figures of a process are its own.
//!
//! Commands go in and results come out as JSON, one per line. A child exits when its input ends.

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

/// The allocator settings of the real program: `crates/trunkline/src/allocator.rs` explains them.
const ALLOCATOR_SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

/// The timeout for a child's output, longer than any measurement.
const PATIENCE: Duration = Duration::from_mins(8);

/// The task of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Runs the simulator.
    Sim,
    /// Runs one sync.
    Sync,
    /// Serves the API.
    Api,
    /// Serves the API and runs a worker.
    Serve,
    /// Runs a worker.
    Worker,
}

/// A running child, killed on drop.
pub(crate) struct Child {
    kind: Kind,
    process: tokio::process::Child,
    commands: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child and sends its first command.
    pub(crate) async fn start(kind: Kind, input: &impl Serialize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let name = kind.to_possible_value().context("a child has no name")?;
        let mut process = Command::new(program)
            .args(["child", name.get_name()])
            .envs(ALLOCATOR_SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a child process")?;
        let commands = process.stdin.take().context("the child has no input")?;
        let output = process.stdout.take().context("the child has no output")?;
        let mut child = Self {
            kind,
            process,
            commands,
            output: BufReader::new(output).lines(),
        };
        child.send(input).await?;
        Ok(child)
    }

    /// Sends a command.
    pub(crate) async fn send(&mut self, input: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(input)?;
        line.push(b'\n');
        self.commands
            .write_all(&line)
            .await
            .context("cannot send a command to a child")
    }

    /// Waits for the next output.
    pub(crate) async fn output<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line())
            .await
            .with_context(|| format!("timeout while waiting for the child {:?}", self.kind))??;
        match line {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("the child {:?} exited early; see its error above", self.kind),
        }
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the child has exited")
    }

    /// Kills the child and waits for its exit.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("cannot stop a child")
    }
}

/// In a child: returns its commands. The process exits when they end.
pub(crate) fn commands() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            // If commands are no longer read, the end of the input must still end the process.
            let _ = send.blocking_send(line);
        }
        std::process::exit(0);
    });
    receive
}

/// In a child: waits for the next command.
pub(crate) async fn next<T: DeserializeOwned>(commands: &mut mpsc::Receiver<String>) -> anyhow::Result<T> {
    let line = commands.recv().await.context("there are no more commands")?;
    serde_json::from_str(&line).context("cannot parse a command")
}

/// In a child: writes a result.
pub(crate) fn output(output: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(output)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}
