//! The progress of runs, shown until they end.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::client::{Client, Run, RunStatus};
use crate::table;

/// Between two looks at a run.
const POLL: Duration = Duration::from_millis(150);
/// A bar's length where only the share that is done is known.
const WHOLE: u64 = 1_000;

/// Shows the runs until all have ended; gives them as they ended. `total` is how many records each will have added by then, if
/// that is known.
pub(crate) async fn follow(client: &Client, ids: &[String], total: Option<u64>) -> anyhow::Result<Vec<Run>> {
    let bars = MultiProgress::new();
    let mut under_way = Vec::new();
    for id in ids {
        under_way.push((id, bars.add(bar(total)?)));
    }
    let mut ended = Vec::new();
    loop {
        let mut rest = Vec::new();
        for (id, bar) in under_way {
            let run = client.run(id).await?;
            show(&bar, &run, total);
            if run.has_ended() {
                bar.finish_and_clear();
                ended.push(run);
            } else {
                rest.push((id, bar));
            }
        }
        if rest.is_empty() {
            return Ok(ended);
        }
        under_way = rest;
        tokio::time::sleep(POLL).await;
    }
}

fn bar(total: Option<u64>) -> anyhow::Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("  {spinner:.cyan} {prefix} {bar:32.cyan/dim} {percent:>3} %  {msg}")?;
    let bar = ProgressBar::new(total.unwrap_or(WHOLE)).with_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}

fn show(bar: &ProgressBar, run: &Run, total: Option<u64>) {
    bar.set_prefix(format!("{} of {}", run.sync, run.connection_id));
    bar.set_position(if total.is_some() {
        run.added
    } else {
        per_mille(run.progress.unwrap_or_default())
    });
    let rate = match run.status {
        RunStatus::Queued => "waiting for a worker".to_owned(),
        _ => format!(
            "{} a second",
            table::count(rate(run.seen(), bar.elapsed().as_secs_f64()))
        ),
    };
    bar.set_message(format!(
        "{} records, {} pages, {rate}",
        table::count(run.seen()),
        table::count(run.pages)
    ));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "clamped to 0 to 1000 before"
)]
fn per_mille(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1_000.0) as u64
}

/// How many of `number` came in each of `seconds`; 0 where that says nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "rounding is welcome in a rate, and neither side is negative"
)]
pub(crate) fn rate(number: u64, seconds: f64) -> u64 {
    if seconds > 0.05 {
        (number as f64 / seconds) as u64
    } else {
        0
    }
}
