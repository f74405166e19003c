//! The most memory that a process has while it syncs: for few messages and for many, from a fast source and a slow one.

use serde::Serialize;

use crate::lab::Lab;
use crate::report::{Bar, Report, Table, count, float, megabytes, rate};
use crate::sim::Sim;
use crate::sync;

/// In megabytes of a million bytes.
const WANTED: f64 = 120.0;

/// The latencies of the source in milliseconds: one that answers at once, so that pages pile up before the database, and one as
/// slow as real ones.
const LATENCIES: [u64; 2] = [0, 200];

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    messages: u64,
    latency_ms: u64,
    synced: sync::Synced,
}

/// Measures the message counts of the lab.
pub(crate) async fn measure(lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(
        "Memory of the process, at the end of a first load".to_owned(),
        &[
            "database",
            "source",
            ">messages",
            ">peak RSS",
            ">of it no file's",
            ">rows/s",
        ],
    );
    let mut measured = Vec::new();
    for messages in &lab.memory_messages {
        for latency_ms in LATENCIES {
            let source = match latency_ms {
                0 => "at once".to_owned(),
                latency_ms => format!("{latency_ms} ms"),
            };
            let sim = Sim::start(*messages, latency_ms, lab.now).await?;
            for place in lab.places() {
                let what = format!(
                    "{} messages from a source that answers {source}",
                    count(*messages)
                );
                lab.progress.step(format!("{}, memory for {what}", place.name()));
                let synced = sync::everything(&place.database()?, &sim, None).await?;
                report.bar(Bar::below(
                    format!("{}: peak RSS in MB for {what}", place.name()),
                    WANTED,
                    float(synced.peak_memory) / 1e6,
                ));
                table.row([
                    place.name().to_owned(),
                    source.clone(),
                    count(*messages),
                    megabytes(synced.peak_memory),
                    megabytes(synced.anonymous_memory),
                    rate(float(synced.added) / synced.seconds),
                ]);
                measured.push(Measured {
                    database: place.name(),
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
