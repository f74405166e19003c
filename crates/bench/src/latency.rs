//! A slow provider: pages read in parallel, compared with one after another.

use anyhow::{Context, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::report::{Goal, Report, Table, float, ratio, seconds};
use crate::setup::Setup;
use crate::sim::Sim;
use crate::sync;

/// The delay before every response.
const LATENCY_MS: u64 = 200;
/// Rows of a page, as in the provider file.
const PAGE: u64 = 1000;
/// The goal: how many times as fast as one page after another.
const WANTED: f64 = 3.0;

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    pages: u64,
    /// Seconds with the unchanged provider file.
    beside: f64,
    beside_answers: u64,
    /// Seconds with one request at a time.
    after: f64,
    after_answers: u64,
    /// Seconds for the pages alone, one after another, if storing them took no time.
    chain: f64,
}

/// Measures the page counts of the setup.
pub(crate) async fn measure(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let sequential_provider_file = sequential_provider_file()?;
    let mut measured = Vec::new();
    for pages in &setup.latency_pages {
        let sim = Sim::start(pages * PAGE, LATENCY_MS, setup.now).await?;
        for kind in setup.latency_databases() {
            let step = |how: &str| {
                setup.progress.step(format!(
                    "{}, {pages} pages with {LATENCY_MS} ms each, {how}",
                    kind.name()
                ));
            };
            step("in parallel");
            let beside = sync::everything(&kind.database()?, &sim, None).await?;
            step("one after another");
            let after =
                sync::everything(&kind.database()?, &sim, Some(sequential_provider_file.path())).await?;
            ensure!(
                beside.added == after.added && beside.updated + after.updated == 0,
                "the two syncs read different records: {beside:?} {after:?}"
            );
            measured.push(Measured {
                database: kind.name(),
                pages: *pages,
                beside: beside.seconds,
                beside_answers: beside.pages,
                after: after.seconds,
                after_answers: after.pages,
                chain: float(pages * LATENCY_MS) / 1000.0,
            });
        }
        sim.end().await?;
    }
    add_to(report, &measured);
    report.figure("latency", &measured)
}

/// Creates a folder with the provider file, changed to read one page at a time.
fn sequential_provider_file() -> anyhow::Result<TempDir> {
    let mut text = include_str!("../../../integrations/twilio.yaml").to_owned();
    for (declared, instead) in [
        ("\n      parallel: 8\n", "\n      parallel: 1\n"),
        ("\n  concurrency: 8\n", "\n  concurrency: 1\n"),
    ] {
        ensure!(
            text.contains(declared),
            "the provider file does not contain {:?}",
            declared.trim()
        );
        text = text.replace(declared, instead);
    }
    let folder = crate::database::folder()?;
    std::fs::write(folder.path().join("twilio.yaml"), text).context("cannot write a provider file")?;
    Ok(folder)
}

fn add_to(report: &mut Report, measured: &[Measured]) {
    let mut table = Table::new(
        format!("A provider that takes {LATENCY_MS} ms for each response"),
        &[
            "database",
            ">pages",
            ">in parallel",
            ">responses",
            ">one after another",
            ">responses",
            ">times as fast",
            ">pages × latency",
            ">times as fast",
        ],
    );
    for one in measured {
        let gain = one.after / one.beside;
        report.goal(Goal::least(
            format!(
                "{}: {} pages with {LATENCY_MS} ms, times as fast as one after another",
                one.database, one.pages
            ),
            WANTED,
            gain,
        ));
        table.row([
            one.database.to_owned(),
            one.pages.to_string(),
            seconds(one.beside),
            one.beside_answers.to_string(),
            seconds(one.after),
            one.after_answers.to_string(),
            ratio(gain),
            seconds(one.chain),
            ratio(one.chain / one.beside),
        ]);
    }
    report.table(table);
}
