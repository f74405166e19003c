//! `sync runs` and `sync run`: what runs did, and how far they are.

use domain::Clock;
use serde_json::json;

use super::{incomplete, query};
use crate::cli::Selection;
use crate::client::{Client, Run};
use crate::table::{self, Column, Kind, Table};
use crate::{exit, output, progress, terminal, when};

/// Shows the progress of the selected syncs' runs until they end.
pub(super) async fn watch(client: &Client, selection: &Selection) -> anyhow::Result<()> {
    let limit = "1000".to_owned();
    let filters = [
        ("limit", Some(&limit)),
        ("provider_config_key", Some(&selection.integration)),
        ("connection_id", selection.connection_id.as_ref()),
    ];
    let (_, mut runs) = client.runs(&query(filters)).await?;
    let selected = |run: &Run| selection.syncs.is_empty() || selection.syncs.contains(&run.field("sync"));
    runs.retain(|run| !run.has_ended() && selected(run));
    let ids: Vec<String> = runs.into_iter().map(|run| run.id).collect();
    progress::follow(client, &ids, None).await?;
    Ok(())
}

/// Lists runs, newest first.
pub(super) async fn list(client: &Client, query: &[(&str, &str)], as_json: bool) -> anyhow::Result<()> {
    let (response, runs) = client.runs(query).await?;
    if as_json {
        return output::json(&response);
    }
    let mut table = Table::new([
        Column::new("run", Kind::Id),
        Column::new("connection", Kind::Connection),
        Column::new("sync", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("started", Kind::Ago),
        Column::new("took", Kind::Number).rank(5),
        Column::new("new", Kind::Count).rank(1),
        Column::new("updated", Kind::Count).rank(2),
        Column::new("deleted", Kind::Count).rank(3),
        Column::new("checked", Kind::Count).rank(4),
        Column::new("pages", Kind::Count).rank(7),
        Column::new("trigger", Kind::Word).rank(6),
        Column::new("error", Kind::Below),
        Column::new("note", Kind::Below),
    ]);
    for run in &runs {
        let field = |name| run.field(name);
        let started = Some(field("started_at")).filter(|time| !time.is_empty());
        table.row([
            run.id.clone(),
            field("connection_id"),
            field("sync"),
            run.state().to_owned(),
            started.unwrap_or_else(|| field("created_at")),
            duration(run),
            run.added.to_string(),
            run.updated.to_string(),
            run.deleted.to_string(),
            run.checked().to_string(),
            run.pages.to_string(),
            field("trigger"),
            run.error_text(),
            notes(run),
        ]);
    }
    table.print("There are no runs yet.")
}

/// Shows one run. With `watch`, its progress until it ends, which then decides the exit status.
pub(super) async fn show(client: &Client, id: &str, watch: bool, as_json: bool) -> anyhow::Result<()> {
    let id = client.run_id(id).await?;
    if watch {
        progress::follow(client, std::slice::from_ref(&id), None).await?;
    }
    let run = client.run(&id).await?;
    if as_json {
        output::json(&json!({ "run": run.json() }))?;
    } else {
        details(&run).print("")?;
    }
    exit::require(!watch || run.has_succeeded())
}

fn details(run: &Run) -> Table {
    let (now, people) = (Clock::system().now(), terminal::is_terminal());
    let time = |name| {
        let time = run.field(name);
        if people { when::both(&time, now) } else { time }
    };
    let count = |number: u64| {
        if people {
            table::count(number)
        } else {
            number.to_string()
        }
    };
    let mut table = Table::details();
    for (title, name) in [
        ("run", "id"),
        ("integration", "provider_config_key"),
        ("connection", "connection_id"),
        ("sync", "sync"),
    ] {
        table.detail(title, run.field(name));
    }
    table.detail("state", run.state());
    table.detail("kind", run.field("kind"));
    table.detail("trigger", run.field("trigger"));
    table.detail("started", time("started_at"));
    table.detail("ended", time("finished_at"));
    table.detail("took", duration(run));
    for (title, number) in [
        ("pages", run.pages),
        ("new", run.added),
        ("updated", run.updated),
        ("deleted", run.deleted),
        ("checked", run.checked()),
    ] {
        table.detail(title, count(number));
    }
    if run.skipped > 0 {
        table.detail("unreadable", count(run.skipped));
    }
    table.detail("incomplete", run.field("incomplete"));
    table.detail("misfits", run.misfits());
    table.detail("error", run.error_text());
    table
}

/// Returns the warnings of a run: an incomplete list, and values that did not fit.
fn notes(run: &Run) -> String {
    let misfits = match run.misfits().as_str() {
        "" => String::new(),
        misfits => format!("values that did not fit their column are in _extra: {misfits}"),
    };
    let mut notes = vec![incomplete(&run.field("incomplete")), misfits];
    notes.retain(|note| !note.is_empty());
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
    let what = format!(
        "{} of {}: {}",
        run.field("sync"),
        run.field("connection_id"),
        run.state()
    );
    let ended = match run.error_text().as_str() {
        "" => format!("{what} in {}: {}", run.duration(), run.summary()),
        error => format!("{what}: {error}"),
    };
    match incomplete(&run.field("incomplete")).as_str() {
        "" => ended,
        incomplete => format!("{ended}; {incomplete}"),
    }
}
