//! Shows the progress of runs until they end.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::{Client, Run};
use crate::{table, terminal};

/// How often a run is read.
const POLL: Duration = Duration::from_millis(150);
/// The length of a bar without a known total.
const WHOLE: u64 = 1_000;
/// The style for a run with a known progress, such as a backfill.
const BAR: &str = "  {spinner:.cyan} {prefix} {bar:24.cyan/dim} {percent:>3} %  {wide_msg}";
/// The style for any other run.
const SPINNER: &str = "  {spinner:.cyan} {prefix}  {wide_msg}";

/// Shows the runs until all have ended, and returns them as they ended. `total` is how many records each will have added, if that is
/// known. Without a terminal that can show progress, it only waits.
pub(crate) async fn follow(client: &Client, ids: &[String], total: Option<u64>) -> anyhow::Result<Vec<Run>> {
    let target = if terminal::can_show_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bars = MultiProgress::with_draw_target(target);
    let mut active = Vec::new();
    for id in ids {
        active.push((id, bars.add(spinner(total)?)));
    }
    let mut ended = Vec::new();
    loop {
        for (id, bar) in std::mem::take(&mut active) {
            let run = client.run(id).await?;
            show(&bar, &run, total)?;
            if run.has_ended() {
                bar.finish_and_clear();
                ended.push(run);
            } else {
                active.push((id, bar));
            }
        }
        if active.is_empty() {
            return Ok(ended);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn spinner(total: Option<u64>) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template(SPINNER)?;
    let bar = ProgressBar::new(total.unwrap_or(WHOLE)).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}

fn show(bar: &ProgressBar, run: &Run, total: Option<u64>) -> anyhow::Result<()> {
    bar.set_prefix(format!("{} of {}", run.field("sync"), run.field("connection_id")));
    let position = match (total, run.progress()) {
        (Some(_), _) => Some(run.added),
        // The progress of any run but a backfill is unknown, and stays 0.
        (None, Some(share)) if share > 0.0 => Some(per_mille(share)),
        (None, _) => None,
    };
    if let Some(position) = position {
        if bar.position() == 0 {
            bar.set_style(ProgressStyle::with_template(BAR)?.progress_chars("━╸─"));
        }
        bar.set_position(position);
    }
    bar.set_message(if run.is_queued() {
        "waiting for a worker".to_owned()
    } else {
        format!(
            "{} rows checked, {} a second",
            table::count(run.checked()),
            table::count(rate(run.checked(), bar.elapsed()))
        )
    });
    Ok(())
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

/// Returns `number` per second; 0 if the time is too short to tell.
pub(crate) fn rate(number: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if millis > 50 {
        number.saturating_mul(1_000) / millis
    } else {
        0
    }
}
