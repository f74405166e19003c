//! The peak memory of a process during a sync: for few and many messages, from a fast and a slow provider.

use serde::Serialize;

use crate::report::{Goal, Report, Table, count, float, megabytes, rate};
use crate::setup::Setup;
use crate::sim::Sim;
use crate::sync;

/// The goal in megabytes of a million bytes.
const WANTED: f64 = 120.0;

/// The latencies of the provider in milliseconds: none, so that pages queue for the database, and one like a real provider's.
const LATENCIES: [u64; 2] = [0, 200];

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    messages: u64,
    latency_ms: u64,
    synced: sync::Synced,
}

/// Measures the message counts of the setup.
pub(crate) async fn measure(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(
        "Memory of the process, at the end of a first load".to_owned(),
        &[
            "database",
            "provider",
            ">messages",
            ">peak RSS",
            ">without files",
            ">rows/s",
        ],
    );
    let mut measured = Vec::new();
    for messages in &setup.memory_messages {
        for latency_ms in LATENCIES {
            let source = match latency_ms {
                0 => "at once".to_owned(),
                latency_ms => format!("{latency_ms} ms"),
            };
            let sim = Sim::start(*messages, latency_ms, setup.now).await?;
            for kind in setup.databases() {
                let what = format!(
                    "{} messages from a provider that responds {source}",
                    count(*messages)
                );
                setup.progress.step(format!("{}, memory for {what}", kind.name()));
                let synced = sync::everything(&kind.database()?, &sim, None).await?;
                report.goal(Goal::below(
                    format!("{}: peak RSS in MB for {what}", kind.name()),
                    WANTED,
                    float(synced.peak_memory) / 1e6,
                ));
                table.row([
                    kind.name().to_owned(),
                    source.clone(),
                    count(*messages),
                    megabytes(synced.peak_memory),
                    megabytes(synced.anonymous_memory),
                    rate(float(synced.added) / synced.seconds),
                ]);
                measured.push(Measured {
                    database: kind.name(),
                    messages: *messages,
                    latency_ms,
                    synced,
                });
            }
            sim.end().await?;
        }
    }
    report.table(table);
    report.figure("memory", &measured)
}
