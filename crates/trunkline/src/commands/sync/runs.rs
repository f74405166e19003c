//! `sync runs` and `sync run`: what runs did, and how far they are.

use std::process::ExitCode;

use domain::Clock;
use serde_json::Value as Json;

use super::{incomplete, query};
use crate::cli::Selection;
use crate::client::{Client, Run, resolve, response};
use crate::table::{self, Cell, Column, Kind, Table};
use crate::{exit, output, progress, terminal, when};

/// The least characters of a run's id that a list shows: the prefix and the time at which it was made.
pub(super) const SHORT_ID: usize = 16;

async fn get(client: &Client, query: &[(&str, &str)]) -> anyhow::Result<(Json, Vec<Run>)> {
    let response = client.get(&["sync", "runs"], query).await?;
    let runs = response::list(&response, "runs").iter().cloned();
    let runs = runs.map(Run::from_json).collect::<Result<_, _>>()?;
    Ok((response, runs))
}

/// Shows the progress of the selected syncs' runs until they end.
pub(super) async fn watch(client: &Client, selection: &Selection) -> anyhow::Result<()> {
    let limit = "1000".to_owned();
    let filters = [
        ("limit", Some(&limit)),
        ("provider_config_key", Some(&selection.integration)),
        ("connection_id", selection.connection_id.as_ref()),
    ];
    let (_, mut runs) = get(client, &query(filters)).await?;
    let selected = |run: &Run| selection.syncs.is_empty() || selection.syncs.contains(&run.sync);
    runs.retain(|run| !run.has_ended() && selected(run));
    let ids: Vec<String> = runs.into_iter().map(|run| run.id).collect();
    progress::follow(client, &ids, None).await?;
    Ok(())
}

/// Lists runs, newest first.
pub(super) async fn list(client: &Client, query: &[(&str, &str)], as_json: bool) -> anyhow::Result<()> {
    let (response, runs) = get(client, query).await?;
    if as_json {
        return Ok(output::json(&response)?);
    }
    let mut table = Table::new([
        Column::new("run", Kind::Word),
        Column::new("connection", Kind::Word),
        Column::new("sync", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("started", Kind::Word),
        Column::new("took", Kind::Number).rank(5),
        Column::new("new", Kind::Number).rank(1),
        Column::new("updated", Kind::Number).rank(2),
        Column::new("deleted", Kind::Number).rank(3),
        Column::new("checked", Kind::Number).rank(4),
        Column::new("pages", Kind::Number).rank(7),
        Column::new("trigger", Kind::Word).rank(6),
        Column::new("error", Kind::Below),
        Column::new("note", Kind::Below),
    ]);
    let ids: Vec<String> = runs.iter().map(|run| run.id.clone()).collect();
    let connections: Vec<String> = runs.iter().map(|run| run.connection_id.clone()).collect();
    let names = table::shortened(&ids, SHORT_ID)
        .into_iter()
        .zip(resolve::shown_names(&connections));
    for ((id, connection), run) in names.zip(&runs) {
        let started = run.started_at.as_ref().unwrap_or(&run.created_at);
        table.row([
            id,
            connection,
            run.sync.clone().into(),
            run.state().into(),
            Cell::Ago(started.clone()),
            duration(run).into(),
            run.added.into(),
            run.updated.into(),
            run.deleted.into(),
            run.checked().into(),
            run.pages.into(),
            run.trigger.clone().into(),
            run.error_text().into(),
            notes(run).into(),
        ]);
    }
    Ok(table.print("There are no runs yet.")?)
}

/// Shows one run. With `watch`, its progress until it ends, which then decides the exit status.
pub(super) async fn show(client: &Client, id: &str, watch: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let id = client.run_id(id).await?;
    if watch {
        progress::follow(client, std::slice::from_ref(&id), None).await?;
    }
    let run = client.run(&id).await?;
    if as_json {
        // The whole response, including fields that this version does not know.
        output::json(&client.get(&["sync", "runs", &id], &[]).await?)?;
    } else {
        details(&run).print("")?;
    }
    Ok(exit::status(!watch || run.has_succeeded()))
}

fn details(run: &Run) -> Table {
    let (now, people) = (Clock::system().now(), terminal::is_terminal());
    let time = |text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        if people { when::both(&text, now) } else { text }
    };
    let count = |number: u64| {
        if people {
            table::count(number)
        } else {
            number.to_string()
        }
    };
    let mut table = Table::details();
    table.detail("run", &run.id);
    table.detail("integration", &run.provider_config_key);
    table.detail("connection", &run.connection_id);
    table.detail("sync", &run.sync);
    table.detail("state", run.state());
    table.detail("kind", run.kind.clone().unwrap_or_default());
    table.detail("trigger", &run.trigger);
    table.detail("started", time(&run.started_at));
    table.detail("ended", time(&run.finished_at));
    table.detail("took", duration(run));
    table.detail("pages", count(run.pages));
    table.detail("new", count(run.added));
    table.detail("updated", count(run.updated));
    table.detail("deleted", count(run.deleted));
    table.detail("checked", count(run.checked()));
    if run.skipped > 0 {
        table.detail("unreadable", count(run.skipped));
    }
    table.detail("incomplete", run.incomplete.clone().unwrap_or_default());
    table.detail("misfits", run.misfits().unwrap_or_default());
    table.detail("error", run.error_text());
    table
}

/// Returns the warnings of a run: an incomplete list, and values that did not fit.
fn notes(run: &Run) -> String {
    let misfits = run
        .misfits()
        .map(|misfits| format!("values that did not fit their column are in _extra: {misfits}"));
    let incomplete = run.incomplete.as_deref().map(incomplete);
    let notes: Vec<String> = incomplete.into_iter().chain(misfits).collect();
    notes.join("; ")
}

/// Returns how long a run took: `1.2 s` on a terminal, `1.234` in a pipe.
fn duration(run: &Run) -> String {
    if terminal::is_terminal() {
        return run.duration();
    }
    let seconds = run.took().map(|took| took.as_secs_f64().to_string());
    seconds.unwrap_or_default()
}

/// Returns how a run ended, in a line.
pub(super) fn sentence(run: &Run) -> String {
    let what = format!("{} of {}: {}", run.sync, run.connection_id, run.state());
    let ended = match run.error_text().as_str() {
        "" => format!("{what} in {}: {}", run.duration(), run.summary()),
        error => format!("{what}: {error}"),
    };
    match &run.incomplete {
        Some(reason) => format!("{ended}; {}", incomplete(reason)),
        None => ended,
    }
}
