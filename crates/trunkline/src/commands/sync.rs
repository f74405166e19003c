//! `sync`: how syncs stand, and what can be done about it.

use std::process::ExitCode;

use domain::Clock;
use serde_json::{Map, Value as Json, json};

use crate::cli::{Api, Selection, Sync};
use crate::client::{Client, Run, RunError, RunStatus, answer, resolve};
use crate::state::State;
use crate::table::{self, Cell, Column, Table, shortened};
use crate::{output, progress, terminal, when};

/// Characters of a run's id that a list shows at least: the prefix and the time of its making.
const SHORT_ID: usize = 16;

/// Runs a command about syncs. A run that is waited for decides the exit status.
pub(crate) async fn run(client: &Client, mut command: Sync) -> anyhow::Result<ExitCode> {
    whole_name(client, &mut command).await?;
    match command {
        Sync::Status {
            selection,
            watch,
            api,
        } => status(client, &selection, watch, &api).await,
        Sync::Trigger {
            selection,
            wait,
            reset,
            empty_cache,
            api,
        } => {
            let mut body = body(&selection, &names(client, &selection).await?);
            body.insert(
                "opts".to_owned(),
                json!({ "reset": reset, "emptyCache": empty_cache }),
            );
            trigger(client, &body.into(), wait, &api).await
        }
        Sync::Pause { selection, api } => set(client, "pause", &selection, &api).await,
        Sync::Start { selection, api } => set(client, "start", &selection, &api).await,
        Sync::Runs {
            integration,
            connection_id,
            sync,
            limit,
            api,
        } => {
            let limit = limit.to_string();
            let mut query = vec![("limit", limit.as_str())];
            let filters = [
                ("provider_config_key", &integration),
                ("connection_id", &connection_id),
                ("sync", &sync),
            ];
            query.extend(
                filters
                    .iter()
                    .filter_map(|(name, value)| Some((*name, value.as_deref()?))),
            );
            runs(client, &query, &api).await
        }
        Sync::Run { id, watch, api } => {
            let id = client.run_id(&id).await?;
            let runs = if watch {
                progress::follow(client, &[id], None).await?
            } else {
                vec![client.run(&id).await?]
            };
            let ended = outcome(&runs);
            match runs.first() {
                Some(run) if !api.json.json => show(run)?,
                // The whole of it, with what this version does not know.
                Some(run) => output::json(&client.get(&["sync", "runs", &run.id], &[]).await?)?,
                None => {}
            }
            Ok(if watch { ended } else { ExitCode::SUCCESS })
        }
    }
}

/// Puts the whole id of a connection in place of its beginning.
async fn whole_name(client: &Client, command: &mut Sync) -> anyhow::Result<()> {
    let (integration, connection) = match command {
        Sync::Status { selection, .. }
        | Sync::Trigger { selection, .. }
        | Sync::Pause { selection, .. }
        | Sync::Start { selection, .. } => (&selection.integration, &mut selection.connection_id),
        Sync::Runs {
            integration: Some(integration),
            connection_id,
            ..
        } => (&*integration, connection_id),
        Sync::Runs { .. } | Sync::Run { .. } => return Ok(()),
    };
    if let Some(typed) = connection {
        *typed = client.connection_id(integration, typed).await?;
    }
    Ok(())
}

fn body(selection: &Selection, syncs: &[String]) -> Map<String, Json> {
    let both = [
        ("provider_config_key", json!(selection.integration)),
        ("syncs", json!(syncs)),
    ];
    let connection = selection
        .connection_id
        .iter()
        .map(|connection| ("connection_id", json!(connection)));
    both.into_iter()
        .chain(connection)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

async fn states(client: &Client, selection: &Selection) -> anyhow::Result<Json> {
    let syncs = if selection.syncs.is_empty() {
        "*".to_owned()
    } else {
        selection.syncs.join(",")
    };
    let mut query = vec![
        ("syncs", syncs.as_str()),
        ("provider_config_key", &selection.integration),
    ];
    query.extend(
        selection
            .connection_id
            .as_deref()
            .map(|connection| ("connection_id", connection)),
    );
    Ok(client.get(&["sync", "status"], &query).await?)
}

/// The names of the selected syncs: a trigger must name them.
async fn names(client: &Client, selection: &Selection) -> anyhow::Result<Vec<String>> {
    if !selection.syncs.is_empty() {
        return Ok(selection.syncs.clone());
    }
    let states = states(client, selection).await?;
    let mut names: Vec<String> = answer::list(&states, "syncs")
        .iter()
        .map(|state| table::field(state, "name"))
        .collect();
    names.sort();
    names.dedup();
    anyhow::ensure!(
        !names.is_empty(),
        "{} has no connection yet, and so no sync to run: `trunkline connect {0}`",
        selection.integration
    );
    Ok(names)
}

async fn status(client: &Client, selection: &Selection, watch: bool, api: &Api) -> anyhow::Result<ExitCode> {
    if watch {
        let mut query = vec![
            ("limit", "1000"),
            ("provider_config_key", selection.integration.as_str()),
        ];
        query.extend(
            selection
                .connection_id
                .as_deref()
                .map(|connection| ("connection_id", connection)),
        );
        let runs = list_runs(client, &query).await?.1;
        let wanted = |run: &&Run| {
            !run.has_ended() && (selection.syncs.is_empty() || selection.syncs.contains(&run.sync))
        };
        let ids: Vec<String> = runs.iter().filter(wanted).map(|run| run.id.clone()).collect();
        progress::follow(client, &ids, None).await?;
    }
    let states = states(client, selection).await?;
    if api.json.json {
        output::json(&states)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        Column::word("connection"),
        Column::word("sync"),
        Column::word("state"),
        Column::number("rows"),
        Column::word("last_ended").rank(2),
        Column::word("next").rank(1),
        Column::word("schedule").rank(3),
        Column::below("problem"),
        Column::below("note"),
    ]);
    let states = answer::list(&states, "syncs");
    let connections: Vec<String> = states
        .iter()
        .map(|state| table::field(state, "connection_id"))
        .collect();
    let people = terminal::is_terminal();
    for (connection, state) in resolve::shown_names(&connections).into_iter().zip(states) {
        let [name, status, schedule] = ["name", "status", "frequency"].map(|name| table::field(state, name));
        table.row([
            connection,
            name.into(),
            State::of_sync(&status).into(),
            answer::sum(state, "recordCount").into(),
            table::ago(state, "finishedAt"),
            table::ago(state, "nextScheduledSyncAt"),
            if people { abbreviated(&schedule) } else { schedule }.into(),
            answer::text(state, "/problem/message").into(),
            incomplete(answer::text(state, "/incomplete")).into(),
        ]);
    }
    table.print("There are no syncs: nothing is connected, or the provider has none.")?;
    Ok(ExitCode::SUCCESS)
}

/// `every 5 minutes` as `every 5 min`, in the units in which people read times elsewhere in the table.
fn abbreviated(schedule: &str) -> String {
    let units = [(" minutes", " min"), (" seconds", " s"), (" hours", " h")];
    units.iter().fold(schedule.to_owned(), |text, (unit, short)| {
        text.replace(unit, short)
    })
}

/// Says that a list was not read to its end, and why; nothing if it was.
fn incomplete(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!("incomplete: {reason}")
    }
}

async fn trigger(client: &Client, body: &Json, wait: bool, api: &Api) -> anyhow::Result<ExitCode> {
    let answer = client.post(&["sync", "trigger"], body).await?;
    let started = answer::list(&answer, "runs");
    if !wait {
        if api.json.json {
            output::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new([
            Column::word("run"),
            Column::word("connection"),
            Column::word("sync").rank(1),
            Column::below("note"),
        ]);
        for (id, run) in short_ids(started.iter().map(|run| table::field(run, "id")))
            .into_iter()
            .zip(started)
        {
            let note = if run.get("already_active") == Some(&Json::Bool(true)) {
                "was active already"
            } else {
                ""
            };
            let [connection, sync] = ["connection_id", "sync"].map(|name| table::field(run, name));
            table.row([id, connection.into(), sync.into(), note.into()]);
        }
        table.print("Nothing was started.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let ids: Vec<String> = started.iter().map(|run| table::field(run, "id")).collect();
    let runs = progress::follow(client, &ids, None).await?;
    if api.json.json {
        let mut ended = Vec::new();
        for id in &ids {
            ended.extend(client.get(&["sync", "runs", id], &[]).await?.get("run").cloned());
        }
        output::json(&json!({ "runs": ended }))?;
    } else {
        for run in &runs {
            output::sentence(sentence(run))?;
        }
    }
    Ok(outcome(&runs))
}

async fn set(client: &Client, action: &str, selection: &Selection, api: &Api) -> anyhow::Result<ExitCode> {
    let answer = client
        .post(&["sync", action], &body(selection, &selection.syncs).into())
        .await?;
    if api.json.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = if selection.syncs.is_empty() {
        "all syncs".to_owned()
    } else {
        selection.syncs.join(", ")
    };
    let whose = selection.connection_id.as_deref().unwrap_or("all connections");
    let done = if action == "pause" { "Paused" } else { "Started" };
    output::sentence(format_args!(
        "{done}: {what} of {whose} ({}).",
        selection.integration
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn list_runs(client: &Client, query: &[(&str, &str)]) -> anyhow::Result<(Json, Vec<Run>)> {
    let answer = client.get(&["sync", "runs"], query).await?;
    let runs = answer::list(&answer, "runs")
        .iter()
        .cloned()
        .map(Run::from_json)
        .collect::<Result<_, _>>()?;
    Ok((answer, runs))
}

async fn runs(client: &Client, query: &[(&str, &str)], api: &Api) -> anyhow::Result<ExitCode> {
    let (answer, runs) = list_runs(client, query).await?;
    if api.json.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        Column::word("run"),
        Column::word("connection"),
        Column::word("sync"),
        Column::word("state"),
        Column::word("started"),
        Column::number("took").rank(5),
        Column::number("new").rank(1),
        Column::number("updated").rank(2),
        Column::number("deleted").rank(3),
        Column::number("checked").rank(4),
        Column::number("pages").rank(7),
        Column::word("trigger").rank(6),
        Column::below("error"),
        Column::below("note"),
    ]);
    let people = terminal::is_terminal();
    let ids = short_ids(runs.iter().map(|run| run.id.clone()));
    let connections: Vec<String> = runs.iter().map(|run| run.connection_id.clone()).collect();
    let connections = resolve::shown_names(&connections);
    for ((id, connection), run) in ids.into_iter().zip(connections).zip(&runs) {
        let started = run.started_at.as_ref().unwrap_or(&run.created_at);
        let error = run.error.as_ref().map(RunError::text).unwrap_or_default();
        table.row([
            id,
            connection,
            run.sync.clone().into(),
            run.status.state().as_str().into(),
            Cell::Ago(Some(started.clone())),
            took(run, people).into(),
            run.added.into(),
            run.updated.into(),
            run.deleted.into(),
            run.checked().into(),
            run.pages.into(),
            run.trigger.clone().into(),
            error.into(),
            notes(run).into(),
        ]);
    }
    table.print("There are no runs yet.")?;
    Ok(ExitCode::SUCCESS)
}

/// What a run that did not fail left undone.
fn notes(run: &Run) -> String {
    let misfits = run
        .misfits()
        .map(|misfits| format!("values that did not fit their column are in _extra: {misfits}"));
    let notes = [
        Some(incomplete(run.incomplete.as_deref().unwrap_or_default())),
        misfits,
    ];
    let notes = notes.into_iter().flatten().filter(|note| !note.is_empty());
    notes.collect::<Vec<_>>().join("; ")
}

fn short_ids(ids: impl Iterator<Item = String>) -> Vec<Cell> {
    let ids: Vec<String> = ids.collect();
    shortened(&ids.iter().map(String::as_str).collect::<Vec<_>>(), SHORT_ID)
}

/// How long a run took: `1.2 s` for people, `1.234` for programs.
fn took(run: &Run, people: bool) -> String {
    if people {
        run.duration()
    } else {
        run.seconds()
            .map(|seconds| seconds.to_string())
            .unwrap_or_default()
    }
}

fn show(run: &Run) -> std::io::Result<()> {
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
    table.detail("state", run.status.state().as_str());
    table.detail("kind", run.kind.clone().unwrap_or_default());
    table.detail("trigger", &run.trigger);
    table.detail("started", time(&run.started_at));
    table.detail("ended", time(&run.finished_at));
    table.detail("took", took(run, people));
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
    table.detail(
        "error",
        run.error.as_ref().map(RunError::text).unwrap_or_default(),
    );
    table.print("")
}

/// How a run that was waited for ended.
fn sentence(run: &Run) -> String {
    let what = format!("{} of {}: {}", run.sync, run.connection_id, run.status.state());
    let told = match &run.error {
        Some(error) => format!("{what}: {}", error.text()),
        None => format!("{what} in {}: {}", run.duration(), run.summary()),
    };
    match &run.incomplete {
        Some(reason) => format!("{told}; incomplete: {reason}"),
        None => told,
    }
}

fn outcome(runs: &[Run]) -> ExitCode {
    if runs.iter().all(|run| run.status == RunStatus::Succeeded) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
