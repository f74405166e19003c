//! The most memory that a process has while it syncs, for few messages and for many.

use serde::Serialize;

use crate::lab::Lab;
use crate::report::{Bar, Report, Table, count, float, megabytes, rate};
use crate::sim::Sim;
use crate::sync;

/// In megabytes of a million bytes.
const WANTED: f64 = 150.0;

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    messages: u64,
    synced: sync::Synced,
}

/// Measures the message counts of the lab.
pub(crate) async fn measure(lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(
        "Memory of the process, at the end of a first load".to_owned(),
        &[
            "database",
            ">messages",
            ">peak RSS",
            ">of it no file's",
            ">rows/s",
        ],
    );
    let mut measured = Vec::new();
    for messages in &lab.memory_messages {
        let sim = Sim::start(*messages, 0, lab.now).await?;
        for place in lab.mostly() {
            lab.progress.step(format!(
                "{}, memory for {} messages",
                place.name(),
                count(*messages)
            ));
            let synced = sync::everything(&place.database()?, &sim, None).await?;
            report.bar(Bar::below(
                format!(
                    "{}: peak RSS in MB for {} messages",
                    place.name(),
                    count(*messages)
                ),
                WANTED,
                float(synced.peak_memory) / 1e6,
            ));
            table.row([
                place.name().to_owned(),
                count(*messages),
                megabytes(synced.peak_memory),
                megabytes(synced.anonymous_memory),
                rate(float(synced.added) / synced.seconds),
            ]);
            measured.push(Measured {
                database: place.name(),
                messages: *messages,
                synced,
            });
        }
        sim.end().await?;
    }
    report.table(table);
    report.figure("memory", &measured)
}
