//! Webhooks to the app and webhooks of a provider: how many in a second, and how long each takes, beside the limits of what is measured
//! without them.
//!
//! All processes share the machine with the database.

mod incoming;
mod outgoing;
mod receiver;

use std::sync::Arc;

use clap::Args;
use domain::Clock;
use serde::Serialize;

use crate::app::AppOptions;
use crate::database::{self, DatabaseKind};
use crate::postgres::{SETTINGS, Server};
use crate::report::{Goal, Report, Table, milliseconds, rate, ratio};
use crate::setup::Progress;
use crate::sim::Sim;

/// The options of the benchmark of webhooks.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events to deliver
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    events: u32,
    /// Status callbacks to receive as fast as possible; at most 10 000 of a connection may wait
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(100..=9_900))]
    callbacks: u32,
    /// Seconds for each rate of events
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// How long something took, in milliseconds.
#[derive(Debug, Clone, Serialize)]
struct Latency {
    /// How often it was begun.
    per_second: u32,
    p50: f64,
    p99: f64,
}

impl Latency {
    fn of(per_second: u32, mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        Self {
            per_second,
            p50: at(50),
            p99: at(99),
        }
    }

    fn row(&self, database: &str, what: &str) -> [String; 5] {
        [
            database.to_owned(),
            what.to_owned(),
            self.per_second.to_string(),
            milliseconds(self.p50),
            milliseconds(self.p99),
        ]
    }
}

/// Runs the benchmark.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let progress = Progress::new()?;
    progress.step("starting PostgreSQL".to_owned());
    let server = Arc::new(tokio::task::spawn_blocking(Server::start).await??);
    let folder = database::folder()?;
    let mut report = Report::default();
    report.machine();
    report.setting("PostgreSQL", format!("{}, {SETTINGS}", server.version()?));
    let (mut outgoing, mut incoming) = (Vec::new(), Vec::new());
    for kind in [
        DatabaseKind::Sqlite(folder.path().to_owned()),
        DatabaseKind::Postgres(Arc::clone(&server)),
    ] {
        let step = |what: String| progress.step(format!("{}: {what}", kind.name()));
        let mut sim = Sim::start(1, 0, Clock::system().now()).await?;
        let database = kind.database()?;
        let app_options = app_options(&database, &sim);
        outgoing.push(outgoing::measure(kind.name(), &database, &app_options, options, &step).await?);
        let database = kind.database()?;
        let app_options = self::app_options(&database, &sim);
        let measured = incoming::measure(kind.name(), &database, &app_options, &mut sim, options, &step);
        incoming.push(measured.await?);
        sim.end().await?;
    }
    progress.end();
    add_outgoing(&mut report, &outgoing);
    add_incoming(&mut report, &incoming);
    report.figure("webhooks", &outgoing)?;
    report.figure("webhooks of providers", &incoming)?;
    Ok(report)
}

fn app_options(database: &database::Database, sim: &Sim) -> AppOptions {
    AppOptions {
        database: database.address().to_owned(),
        sim: sim.access.clone(),
        integrations: None,
    }
}

fn add_outgoing(report: &mut Report, measured: &[outgoing::Measured]) {
    let mut table = Table::new(
        format!("Deliveries to one endpoint, {} at a time", outgoing::CONCURRENCY),
        &["database", ">receiver alone/s", ">deliveries/s", ">to receiver"],
    );
    for one in measured {
        table.row([
            one.database.to_owned(),
            rate(one.floor),
            rate(one.deliveries),
            ratio(one.deliveries / one.floor),
        ]);
    }
    report.table(table);
    let mut table = Table::new(
        "From the commit of an event to its first attempt".to_owned(),
        &["database", "processes and endpoints", ">events/s", ">p50", ">p99"],
    );
    for one in measured {
        for latency in &one.latency {
            table.row(latency.row(one.database, "one process"));
        }
        table.row(one.alone.row(one.database, "one process, again"));
        let failing = "while ten other endpoints begin to fail";
        table.row(one.beside_failing.row(one.database, failing));
        table.row(one.beside_dead.row(one.database, "beside ten dead endpoints"));
        table.row(one.across.row(one.database, "the worker in another process"));
    }
    report.table(table);
    for one in measured {
        if one.database == "PostgreSQL" {
            let what = "PostgreSQL: deliveries a second".to_owned();
            report.goal(Goal::least(what, 1_000.0, one.deliveries));
        }
        for latency in one.latency.iter().filter(|latency| latency.per_second == 100) {
            let what = format!(
                "{}: p99 in ms from commit to attempt at 100 events/s",
                one.database
            );
            report.goal(Goal::below(what, 250.0, latency.p99));
        }
        let what = format!("{}: the same with the worker in another process", one.database);
        report.goal(Goal::below(what, 1_200.0, one.across.p99));
        for (when, latency) in [
            ("while ten other endpoints begin to fail", &one.beside_failing),
            ("beside ten dead endpoints", &one.beside_dead),
        ] {
            let what = format!("{}: p99 {when}, to that without", one.database);
            report.goal(Goal::below(what, 1.2, latency.p99 / one.alone.p99));
        }
    }
}

fn add_incoming(report: &mut Report, measured: &[incoming::Measured]) {
    let mut table = Table::new(
        format!("Status callbacks of a provider, {} clients", incoming::CLIENTS),
        &[
            "database",
            ">GET /health/s",
            ">refused/s",
            ">accepted/s",
            ">to /health",
            ">processed/s",
        ],
    );
    for one in measured {
        table.row([
            one.database.to_owned(),
            rate(one.floor),
            rate(one.refused),
            rate(one.accepted),
            ratio(one.accepted / one.floor),
            rate(one.processed),
        ]);
    }
    report.table(table);
    let mut table = Table::new(
        "From a status callback to its row, API and worker in one process".to_owned(),
        &["database", "what the row has", ">callbacks/s", ">p50", ">p99"],
    );
    for one in measured {
        table.row(one.status.row(one.database, "the status"));
        table.row(one.record.row(one.database, "the whole record, read again"));
    }
    report.table(table);
    for one in measured {
        if one.database == "PostgreSQL" {
            let what = "PostgreSQL: status callbacks accepted a second".to_owned();
            report.goal(Goal::least(what, 2_000.0, one.accepted));
        }
        let what = format!(
            "{}: p99 in ms from a status callback to the whole record",
            one.database
        );
        report.goal(Goal::below(what, 1_000.0, one.record.p99));
    }
}
