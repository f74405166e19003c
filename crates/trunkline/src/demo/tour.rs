//! The tour of the demo: it connects, follows the first sync, and shows rows and commands to try next.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::json;

use crate::client::{Run, response};
use crate::demo::setup::Setup;
use crate::{output, progress, record_table, table, terminal};

const INTEGRATION: &str = "twilio";
const CONNECTION: &str = "my-twilio";
/// The query for what belongs to the connection.
const OF_CONNECTION: [(&str, &str); 2] = [
    ("provider_config_key", INTEGRATION),
    ("connection_id", CONNECTION),
];
const MODEL: &str = "messages";
const TABLE: &str = "twilio_messages";
/// How often the demo looks for the next run.
const POLL: Duration = Duration::from_millis(50);
/// If no run starts for this long, the tour stops waiting for more rows.
const PATIENCE: Duration = Duration::from_secs(20);
/// The width of the table of messages without a terminal.
const WIDTH: usize = 140;

/// Connects, follows the first sync and shows its rows. Returns whether they are all that the simulator has.
pub(super) async fn show(setup: &Setup) -> anyhow::Result<bool> {
    step("Simulator", &setup.simulator.url())?;
    step("Gateway", &format!("{}, on SQLite", setup.url))?;
    connect(setup).await?;

    let wanted = setup.simulator.live_count();
    let runs = sync(setup, wanted).await?;
    let added: u64 = runs.iter().map(|run| run.added).sum();
    let pages: u64 = runs.iter().map(|run| run.pages).sum();
    let took: Duration = runs.iter().filter_map(Run::took).sum();
    step(
        "Synced",
        &format!(
            "{} rows in {:.1} s: {} a second, from {} pages",
            table::count(added),
            took.as_secs_f64(),
            table::count(progress::rate(added, took)),
            table::count(pages)
        ),
    )?;

    let rows = row_count(setup).await?;
    let complete = rows == wanted;
    let counted = format!(
        "{TABLE} has {} rows; the simulator has {} messages",
        table::count(rows),
        table::count(wanted)
    );
    if complete {
        step("Complete", &counted)?;
    } else {
        output::line(format_args!("  ✗ {:<10} {counted}", "Incomplete"))?;
    }
    show_newest(setup).await?;
    Ok(complete)
}

fn step(what: &str, result: &str) -> anyhow::Result<()> {
    output::line(format_args!("  ✓ {what:<10} {result}"))
}

async fn connect(setup: &Setup) -> anyhow::Result<()> {
    let known = setup.simulator.credentials();
    let body = json!({
        "connectionId": CONNECTION,
        "accountSid": known.account_sid,
        "apiKeySid": known.standard_key_sid,
        "apiKeySecret": known.standard_key_secret,
    });
    let response = setup.client.post(&[INTEGRATION, "connect"], &body, &[]).await?;
    let message = response::text(&response, "/message");
    step("Connected", &format!("POST /{INTEGRATION}/connect: {message}"))
}

/// Follows runs until the table has `wanted` rows, and returns them. The first run reads by date. The next follows immediately, and reads the
/// messages without a date.
async fn sync(setup: &Setup, wanted: u64) -> anyhow::Result<Vec<Run>> {
    let mut idle_since = Instant::now();
    loop {
        // Counted before the runs are listed, so that the list has every run that brought some of the rows.
        let rows = row_count(setup).await?;
        let (_, runs) = setup.client.runs(&OF_CONNECTION).await?;
        let active: Vec<String> = runs
            .iter()
            .filter(|run| !run.has_ended())
            .map(|run| run.id.clone())
            .collect();
        if !active.is_empty() {
            progress::follow(&setup.client, &active, Some(wanted)).await?;
            idle_since = Instant::now();
            continue;
        }
        if let Some(run) = runs.iter().find(|run| !run.has_succeeded()) {
            anyhow::bail!("a run of the sync {}: {}", run.state(), run.error_text());
        }
        if rows == wanted || idle_since.elapsed() > PATIENCE {
            return Ok(runs);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn row_count(setup: &Setup) -> anyhow::Result<u64> {
    let query = [&OF_CONNECTION[..], &[("syncs", "*")]].concat();
    let status = setup.client.get(&["sync", "status"], &query).await?;
    Ok(response::list(&status, "syncs")
        .iter()
        .map(|sync| response::sum(sync, "recordCount"))
        .sum())
}

async fn show_newest(setup: &Setup) -> anyhow::Result<()> {
    let model = setup.client.model(INTEGRATION, MODEL).await?;
    let query = [("connectionId", CONNECTION), ("limit", "10")];
    let page = setup.client.get(&[INTEGRATION, MODEL], &query).await?;
    let rows = response::list(&page, MODEL);
    output::line(format_args!(
        "\nThe newest ten, from GET /{INTEGRATION}/{MODEL}:\n"
    ))?;
    let columns = record_table::choose_columns(&model, rows, terminal::width().unwrap_or(WIDTH));
    record_table::table(&model, &columns, rows).print("")
}

/// Commands for another terminal.
pub(super) fn what_next(setup: &Setup) -> anyhow::Result<()> {
    // As the user has called it, by its name or by a path.
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    let (url, key, database) = (&setup.url, setup.key.expose_secret(), setup.database.display());
    output::text(&format!(
        "
Try next, in another terminal:

  curl -H 'Authorization: Bearer {key}' \\
    '{url}/{INTEGRATION}/{MODEL}?connectionId={CONNECTION}&status=failed&limit=3'

  sqlite3 -box {database} \\
    'SELECT status, count(*), sum(price) FROM {TABLE} GROUP BY status'

  export TRUNKLINE_API_URL={url}
  export TRUNKLINE_SECRET_KEY={key}
  {program} sync runs
  {program} sync trigger {INTEGRATION} --reset --wait
  {program} records {INTEGRATION} {MODEL} --connection-id {CONNECTION} --filter direction=inbound
  {program} records {INTEGRATION} {MODEL} --connection-id {CONNECTION} --csv > {MODEL}.csv
"
    ))
}
