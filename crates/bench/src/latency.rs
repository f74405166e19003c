//! A provider that takes its time: pages read side by side against one after another.

use anyhow::{Context, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::lab::Lab;
use crate::report::{Bar, Report, Table, float, ratio, seconds};
use crate::sim::Sim;
use crate::sync;

/// Before every answer.
const LATENCY_MS: u64 = 200;
/// Rows of a page, as the provider file asks for.
const PAGE: u64 = 1000;
/// How many times as fast as one page after another it is to be.
const WANTED: f64 = 3.0;

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    pages: u64,
    /// Seconds as the file declares it, and answers read.
    beside: f64,
    beside_answers: u64,
    /// Seconds with one call at a time.
    after: f64,
    after_answers: u64,
    /// What the pages alone take one after another, if storing them took no time.
    chain: f64,
}

/// Measures the page counts of the lab.
pub(crate) async fn measure(lab: &Lab, report: &mut Report) -> anyhow::Result<()> {
    let one_by_one = one_by_one()?;
    let mut measured = Vec::new();
    for pages in &lab.latency_pages {
        let sim = Sim::start(pages * PAGE, LATENCY_MS, lab.now).await?;
        for place in lab.mostly() {
            let step = |how: &str| {
                lab.progress.step(format!(
                    "{}, {pages} pages with {LATENCY_MS} ms each, {how}",
                    place.name()
                ));
            };
            step("side by side");
            let beside = sync::everything(&place.database()?, &sim, None).await?;
            step("one after another");
            let after = sync::everything(&place.database()?, &sim, Some(one_by_one.path())).await?;
            ensure!(
                beside.added == after.added && beside.updated + after.updated == 0,
                "the two read different things: {beside:?} {after:?}"
            );
            measured.push(Measured {
                database: place.name(),
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
    tell(report, &measured);
    report.figure("latency", &measured)
}

/// A folder with the provider file as it is, but for reading one page at a time.
fn one_by_one() -> anyhow::Result<TempDir> {
    let mut text = include_str!("../../../integrations/twilio.yaml").to_owned();
    for (declared, instead) in [
        ("\n      parallel: 8\n", "\n      parallel: 1\n"),
        ("\n  concurrency: 8\n", "\n  concurrency: 1\n"),
    ] {
        ensure!(
            text.contains(declared),
            "the provider file does not say {:?}",
            declared.trim()
        );
        text = text.replace(declared, instead);
    }
    let folder = crate::database::folder()?;
    std::fs::write(folder.path().join("twilio.yaml"), text).context("writing a provider file")?;
    Ok(folder)
}

fn tell(report: &mut Report, measured: &[Measured]) {
    let mut table = Table::new(
        format!("A provider that takes {LATENCY_MS} ms for each answer"),
        &[
            "database",
            ">pages",
            ">side by side",
            ">answers",
            ">one after another",
            ">answers",
            ">times as fast",
            ">pages × latency",
            ">times as fast",
        ],
    );
    for one in measured {
        let gain = one.after / one.beside;
        report.bar(Bar::least(
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
