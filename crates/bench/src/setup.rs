//! What a run of the program measures, how much of it, and where.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::{Clock, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::database::{self, Place};
use crate::postgres::Server;

/// A part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Rows a second of the floors and of the sync: first load, unchanged, 1 % changed
    Throughput,
    /// A provider with 200 ms latency, side by side and one page after another
    Latency,
    /// GET /twilio/messages over a million rows
    Query,
    /// Peak memory of a sync
    Memory,
}

/// What to measure and how thoroughly.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Everything smaller and once: proves that it works, within two minutes
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Latency on PostgreSQL too
    #[arg(long)]
    full: bool,
    /// Only these parts
    #[arg(long, value_enum, num_args = 1.., value_name = "NAME")]
    only: Vec<Part>,
    /// Messages of the throughput [default: 200000; quick: 50000]
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Rounds of the throughput, of which the middle one is shown [default: 3; quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<std::path::PathBuf>,
}

/// Everything that the parts need.
pub(crate) struct Lab {
    pub(crate) messages: u64,
    pub(crate) rounds: u32,
    pub(crate) latency_pages: Vec<u64>,
    pub(crate) query_rows: u64,
    pub(crate) query_time: Duration,
    pub(crate) memory_messages: Vec<u64>,
    /// Where the simulator's clock stands.
    pub(crate) now: Timestamp,
    pub(crate) progress: Progress,
    pub(crate) server: Arc<Server>,
    parts: Vec<Part>,
    full: bool,
    places: [Place; 2],
    _folder: TempDir,
}

impl Lab {
    /// Prepares the places: a folder, and a PostgreSQL server.
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
            places: [
                Place::Sqlite(folder.path().to_owned()),
                Place::Postgres(Arc::clone(&server)),
            ],
            server,
            parts: options.only.clone(),
            full: options.full,
            _folder: folder,
        })
    }

    /// Whether a part is asked for.
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Both databases.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// SQLite; PostgreSQL too if all is to be measured.
    pub(crate) fn mostly(&self) -> impl Iterator<Item = &Place> {
        self.places
            .iter()
            .filter(|place| self.full || matches!(place, Place::Sqlite(_)))
    }
}

/// A line that says what is being measured: it moves on a terminal, and is written down elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    moves: bool,
}

impl Progress {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{spinner:.cyan} {elapsed_precise} {msg}")?;
        let bar = ProgressBar::new_spinner().with_style(style);
        // A second between two looks: who watches takes no time from what is measured.
        bar.enable_steady_tick(Duration::from_secs(1));
        Ok(Self {
            bar,
            moves: std::io::stderr().is_terminal(),
        })
    }

    /// What is measured now.
    pub(crate) fn step(&self, what: String) {
        if !self.moves {
            // Who cannot be told what happens can still be told the outcome.
            let _ = writeln!(std::io::stderr(), "{:>4} s  {what}", self.bar.elapsed().as_secs());
        }
        self.bar.set_message(what);
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
