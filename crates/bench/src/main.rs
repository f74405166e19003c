//! `bench`: what Trunkline takes, measured in one run beside what the bare databases take. docs/benchmarks.md explains the figures.
//!
//! It measures and prints; whether a figure is good enough is said in the last table and not by the exit status, since another
//! program on the machine changes it.

mod app;
mod child;
mod cpu;
mod crowd;
mod database;
mod fill;
mod floor;
mod lab;
mod latency;
mod load;
mod memory;
mod nginx;
mod postgres;
mod program;
mod proxy;
mod punctual;
mod query;
mod report;
mod schedule;
mod sim;
mod sync;
mod throughput;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Kind;
use crate::lab::{Lab, Options, Part};
use crate::report::Report;

/// Measures Trunkline on this machine, on SQLite and on a PostgreSQL server that it starts for itself.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The proxy beside nginx, which must be installed, with one added header: requests a second, processor time, memory, latency
    Proxy(proxy::Options),
    /// Very many connections with a sync every minute, on two workers and two servers of the real program and one PostgreSQL
    Schedule(schedule::Options),
    /// What the program starts for itself
    #[command(hide = true)]
    Child { kind: Kind },
}

/// Calls come and go on several threads for years; the C library's allocator takes longer for it and gives less back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Some(Command::Child { kind }) => be(kind).await.map(|()| ExitCode::SUCCESS),
            Some(Command::Proxy(options)) => run(&cli.options, proxy::measure(&options)).await,
            Some(Command::Schedule(options)) => {
                Box::pin(run(&cli.options, schedule::measure(&options))).await
            }
            None => run(&cli.options, measure(&cli.options)).await,
        }
    });
    // What still runs on a thread of its own has lost its folder and its server; nobody waits for it.
    runtime.shutdown_background();
    outcome
}

async fn be(kind: Kind) -> anyhow::Result<()> {
    let orders = child::orders();
    match kind {
        Kind::Sim => sim::play(orders).await,
        Kind::Sync => sync::run(orders).await,
        Kind::Api => query::serve(orders).await,
    }
}

/// Measures until all is measured or somebody has had enough; children, server and folders are gone after it.
async fn run(
    options: &Options,
    measuring: impl Future<Output = anyhow::Result<Report>>,
) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = measuring => report?,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
    };
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    write!(std::io::stdout(), "\n{report}").context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let lab = Lab::open(options).await?;
    let mut report = Report::default();
    report.machine();
    report.setting(
        "PostgreSQL",
        format!("{}, {}", lab.server.version()?, postgres::SETTINGS),
    );
    report.setting(
        "SQLite",
        format!(
            "{}, the settings of Trunkline's own connection",
            rusqlite::version()
        ),
    );
    if lab.measures(Part::Throughput) {
        throughput::measure(&lab, &mut report).await?;
    }
    if lab.measures(Part::Latency) {
        latency::measure(&lab, &mut report).await?;
    }
    if lab.measures(Part::Query) {
        query::measure(&lab, &mut report).await?;
    }
    if lab.measures(Part::Memory) {
        memory::measure(&lab, &mut report).await?;
    }
    lab.progress.end();
    Ok(report)
}
