//! `bench`: measures Trunkline and the bare databases in one run. docs/benchmarks.md explains the figures.
//!
//! The last table says which goals are met. The exit status does not, because the figures depend on the machine.

mod app;
mod child;
mod cpu;
mod database;
mod fill;
mod floor;
mod latency;
mod load;
mod many_connections;
mod memory;
mod nginx;
mod postgres;
mod program;
mod proxy;
mod query;
mod report;
mod schedule;
mod schedule_report;
mod service;
mod setup;
mod sim;
mod sync;
mod throughput;
mod webhooks;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Kind;
use crate::report::Report;
use crate::setup::{Options, Part, Setup};

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
    /// Compare the proxy with nginx (must be installed) with one added header: requests a second, CPU time, memory, latency
    Proxy(proxy::Options),
    /// Run many connections with a sync every minute, on two workers and two servers of the real program and one PostgreSQL
    Schedule(schedule::Options),
    /// Deliver webhooks to a local receiver, and receive those of a provider: how many in a second, and how long each takes
    Webhooks(webhooks::Options),
    /// A child process of the benchmark
    #[command(hide = true)]
    Child { kind: Kind },
}

/// The allocator of the real program, which is faster and returns more memory than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Some(Command::Child { kind }) => run_child(kind).await.map(|()| ExitCode::SUCCESS),
            Some(Command::Proxy(options)) => run(&cli.options, proxy::measure(&options)).await,
            Some(Command::Webhooks(options)) => {
                Box::pin(run(&cli.options, webhooks::measure(&options))).await
            }
            Some(Command::Schedule(options)) => {
                Box::pin(run(&cli.options, schedule::measure(&options))).await
            }
            None => run(&cli.options, measure(&cli.options)).await,
        }
    });
    // Blocking threads have lost their folder and server, so do not wait for them.
    runtime.shutdown_background();
    outcome
}

async fn run_child(kind: Kind) -> anyhow::Result<()> {
    let commands = child::commands();
    match kind {
        Kind::Sim => sim::play(commands).await,
        Kind::Sync => sync::run(commands).await,
        Kind::Api => service::serve(commands, false).await,
        Kind::Serve => service::serve(commands, true).await,
        Kind::Worker => service::work(commands).await,
    }
}

/// Measures until everything is measured or a signal arrives. Children, server and folders are removed afterwards.
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
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    write!(std::io::stdout(), "\n{report}").context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let setup = Setup::open(options).await?;
    let mut report = Report::default();
    report.machine();
    report.setting(
        "PostgreSQL",
        format!("{}, {}", setup.server.version()?, postgres::SETTINGS),
    );
    report.setting(
        "SQLite",
        format!(
            "{}, the settings of Trunkline's own connection",
            rusqlite::version()
        ),
    );
    if setup.measures(Part::Throughput) {
        throughput::measure(&setup, &mut report).await?;
    }
    if setup.measures(Part::Latency) {
        latency::measure(&setup, &mut report).await?;
    }
    if setup.measures(Part::Query) {
        query::measure(&setup, &mut report).await?;
    }
    if setup.measures(Part::Memory) {
        memory::measure(&setup, &mut report).await?;
    }
    setup.progress.end();
    Ok(report)
}
