//! The setup of a run: which parts are measured, their size, and the databases.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::{Clock, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::database::{self, DatabaseKind};
use crate::postgres::Server;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Rows a second of the floors and of the sync: first load, unchanged, 1 % changed
    Throughput,
    /// A provider with 200 ms latency, in parallel and one page after another
    Latency,
    /// GET /twilio/messages over a million rows
    Query,
    /// Peak memory of a sync
    Memory,
}

/// What to measure, and how thoroughly.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Smaller and only once, within two minutes: a test that the benchmark works
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Measure latency on PostgreSQL too
    #[arg(long)]
    full: bool,
    /// Measure only these parts
    #[arg(long, value_enum, num_args = 1.., value_name = "NAME")]
    only: Vec<Part>,
    /// Messages for the throughput [default: 200000; quick: 50000]
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Rounds for the throughput; the median is shown [default: 3; quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<std::path::PathBuf>,
}

/// The resources that the parts share.
pub(crate) struct Setup {
    pub(crate) messages: u64,
    pub(crate) rounds: u32,
    pub(crate) latency_pages: Vec<u64>,
    pub(crate) query_rows: u64,
    pub(crate) query_time: Duration,
    pub(crate) memory_messages: Vec<u64>,
    /// The time of the simulator's frozen clock.
    pub(crate) now: Timestamp,
    pub(crate) progress: Progress,
    pub(crate) server: Arc<Server>,
    parts: Vec<Part>,
    full: bool,
    databases: [DatabaseKind; 2],
    _folder: TempDir,
}

impl Setup {
    /// Creates a folder and starts a PostgreSQL server.
    pub(crate) async fn open(options: &Options) -> anyhow::Result<Self> {
        let progress = Progress::new()?;
        progress.step("starting PostgreSQL".to_owned());
        let server = Arc::new(tokio::task::spawn_blocking(Server::start).await??);
        let folder = database::folder()?;
        let quick = options.quick;
        let either = |quickly: &[u64], usually: &[u64]| if quick { quickly } else { usually }.to_vec();
        Ok(Self {
            messages: options.messages.unwrap_or(if quick { 50_000 } else { 200_000 }),
            rounds: options.rounds.unwrap_or(if quick { 1 } else { 3 }),
            latency_pages: either(&[20], &[20, 50, 100]),
            query_rows: if quick { 100_000 } else { 1_000_000 },
            query_time: Duration::from_secs(if quick { 1 } else { 4 }),
            memory_messages: either(&[100_000], &[100_000, 1_000_000]),
            now: Clock::system().now(),
            progress,
            databases: [
                DatabaseKind::Sqlite(folder.path().to_owned()),
                DatabaseKind::Postgres(Arc::clone(&server)),
            ],
            server,
            parts: options.only.clone(),
            full: options.full,
            _folder: folder,
        })
    }

    /// Returns whether a part is selected.
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Returns both kinds of databases.
    pub(crate) fn databases(&self) -> &[DatabaseKind] {
        &self.databases
    }

    /// Returns SQLite, and with `--full` PostgreSQL too.
    pub(crate) fn latency_databases(&self) -> impl Iterator<Item = &DatabaseKind> {
        self.databases
            .iter()
            .filter(|kind| self.full || matches!(kind, DatabaseKind::Sqlite(_)))
    }
}

/// A progress line: animated on a terminal, plain lines elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    moves: bool,
}

impl Progress {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{spinner:.cyan} {elapsed_precise} {msg}")?;
        let bar = ProgressBar::new_spinner().with_style(style);
        // Redrawn only once a second, so that it uses no measurable time.
        bar.enable_steady_tick(Duration::from_secs(1));
        Ok(Self {
            bar,
            moves: std::io::stderr().is_terminal(),
        })
    }

    /// Shows the current step.
    pub(crate) fn step(&self, what: String) {
        if !self.moves {
            // An error is ignored, because the result can still be printed.
            let _ = writeln!(std::io::stderr(), "{:>4} s  {what}", self.bar.elapsed().as_secs());
        }
        self.bar.set_message(what);
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
