//! `sync`: shows syncs and runs, and triggers, pauses and starts syncs.

mod runs;

use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::cli::{Selection, Sync};
use crate::client::{Client, Run, resolve, response};
use crate::table::{self, Cell, Column, Kind, Table};
use crate::{exit, output, progress, state, terminal};

/// Runs a command about syncs. If it waits for runs, they decide the exit status.
pub(crate) async fn run(client: &Client, mut command: Sync) -> anyhow::Result<ExitCode> {
    complete_connection_id(client, &mut command).await?;
    match command {
        Sync::Status {
            selection,
            watch,
            api,
        } => {
            if watch {
                runs::watch(client, &selection).await?;
            }
            status(client, &selection, api.json.json).await?;
        }
        Sync::Trigger {
            selection,
            wait,
            reset,
            empty_cache,
            api,
        } => {
            let mut body = body(&selection, &names(client, &selection).await?);
            if let Some(body) = body.as_object_mut() {
                let opts = json!({ "reset": reset, "emptyCache": empty_cache });
                body.insert("opts".to_owned(), opts);
            }
            return trigger(client, &body, wait, api.json.json).await;
        }
        Sync::Pause { selection, api } => set(client, "pause", &selection, api.json.json).await?,
        Sync::Start { selection, api } => set(client, "start", &selection, api.json.json).await?,
        Sync::Runs {
            integration,
            connection_id,
            sync,
            limit,
            api,
        } => {
            let limit = limit.to_string();
            let filters = [
                ("limit", Some(&limit)),
                ("provider_config_key", integration.as_ref()),
                ("connection_id", connection_id.as_ref()),
                ("sync", sync.as_ref()),
            ];
            runs::list(client, &query(filters), api.json.json).await?;
        }
        Sync::Run { id, watch, api } => return runs::show(client, &id, watch, api.json.json).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the beginning of a connection's id by the whole id.
async fn complete_connection_id(client: &Client, command: &mut Sync) -> anyhow::Result<()> {
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

/// Returns those query parameters that have a value.
fn query<'a, const N: usize>(parameters: [(&'a str, Option<&'a String>); N]) -> Vec<(&'a str, &'a str)> {
    let set = parameters.into_iter();
    set.filter_map(|(name, value)| Some((name, value?.as_str())))
        .collect()
}

fn body(selection: &Selection, syncs: &[String]) -> Json {
    let mut body = json!({ "provider_config_key": selection.integration, "syncs": syncs });
    if let (Some(id), Some(body)) = (&selection.connection_id, body.as_object_mut()) {
        body.insert("connection_id".to_owned(), json!(id));
    }
    body
}

async fn states(client: &Client, selection: &Selection) -> anyhow::Result<Json> {
    let syncs = match selection.syncs.as_slice() {
        [] => "*".to_owned(),
        names => names.join(","),
    };
    let filters = [
        ("syncs", Some(&syncs)),
        ("provider_config_key", Some(&selection.integration)),
        ("connection_id", selection.connection_id.as_ref()),
    ];
    Ok(client.get(&["sync", "status"], &query(filters)).await?)
}

/// Returns the names of the selected syncs, since a trigger must name them.
async fn names(client: &Client, selection: &Selection) -> anyhow::Result<Vec<String>> {
    if !selection.syncs.is_empty() {
        return Ok(selection.syncs.clone());
    }
    let states = states(client, selection).await?;
    let states = response::list(&states, "syncs").iter();
    let mut names: Vec<String> = states.map(|state| response::field(state, "name")).collect();
    names.sort();
    names.dedup();
    anyhow::ensure!(
        !names.is_empty(),
        "{} has no connection yet, and so no sync to run: `trunkline connect {0}`",
        selection.integration
    );
    Ok(names)
}

async fn status(client: &Client, selection: &Selection, as_json: bool) -> anyhow::Result<()> {
    let states = states(client, selection).await?;
    if as_json {
        return Ok(output::json(&states)?);
    }
    let mut table = Table::new([
        Column::new("connection", Kind::Word),
        Column::new("sync", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("rows", Kind::Number),
        Column::new("last_ended", Kind::Word).rank(2),
        Column::new("next", Kind::Word).rank(1),
        Column::new("schedule", Kind::Word).rank(3),
        Column::new("problem", Kind::Below),
        Column::new("note", Kind::Below),
    ]);
    let states = response::list(&states, "syncs");
    let connections: Vec<String> = states
        .iter()
        .map(|state| response::field(state, "connection_id"))
        .collect();
    let people = terminal::is_terminal();
    for (connection, state) in resolve::shown_names(&connections).into_iter().zip(states) {
        let [name, status, schedule] =
            ["name", "status", "frequency"].map(|name| response::field(state, name));
        table.row([
            connection,
            name.into(),
            state::of_sync(&status).into(),
            response::sum(state, "recordCount").into(),
            Cell::Ago(response::field(state, "finishedAt")),
            Cell::Ago(response::field(state, "nextScheduledSyncAt")),
            if people { abbreviated(&schedule) } else { schedule }.into(),
            response::text(state, "/problem/message").into(),
            incomplete(response::text(state, "/incomplete")).into(),
        ]);
    }
    Ok(table.print("There are no syncs: nothing is connected, or the provider has none.")?)
}

/// Writes `every 5 minutes` as `every 5 min`, in the units of the other times in the table.
fn abbreviated(schedule: &str) -> String {
    schedule
        .replace(" minutes", " min")
        .replace(" seconds", " s")
        .replace(" hours", " h")
}

/// Says that a list was not read to its end, and why; empty if it was.
fn incomplete(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!("incomplete: {reason}")
    }
}

async fn trigger(client: &Client, body: &Json, wait: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let response = client.post(&["sync", "trigger"], body).await?;
    let started = response::list(&response, "runs");
    let ids: Vec<String> = started.iter().map(|run| response::field(run, "id")).collect();
    if wait {
        let runs = progress::follow(client, &ids, None).await?;
        if as_json {
            let mut ended = Vec::new();
            for id in &ids {
                ended.extend(client.get(&["sync", "runs", id], &[]).await?.get("run").cloned());
            }
            output::json(&json!({ "runs": ended }))?;
        } else {
            for run in &runs {
                output::sentence(runs::sentence(run))?;
            }
        }
        return Ok(exit::status(runs.iter().all(Run::has_succeeded)));
    }
    if as_json {
        output::json(&response)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        Column::new("run", Kind::Word),
        Column::new("connection", Kind::Word),
        Column::new("sync", Kind::Word).rank(1),
        Column::new("note", Kind::Below),
    ]);
    for (id, run) in table::shortened(&ids, runs::SHORT_ID).into_iter().zip(started) {
        let active = run.get("already_active") == Some(&Json::Bool(true));
        let note = if active { "was active already" } else { "" };
        let [connection, sync] = ["connection_id", "sync"].map(|name| response::field(run, name));
        table.row([id, connection.into(), sync.into(), note.into()]);
    }
    table.print("Nothing was started.")?;
    Ok(ExitCode::SUCCESS)
}

/// Pauses or starts syncs.
async fn set(client: &Client, action: &str, selection: &Selection, as_json: bool) -> anyhow::Result<()> {
    let body = body(selection, &selection.syncs);
    let response = client.post(&["sync", action], &body).await?;
    if as_json {
        return Ok(output::json(&response)?);
    }
    let syncs = match selection.syncs.as_slice() {
        [] => "all syncs".to_owned(),
        names => names.join(", "),
    };
    let connection = selection.connection_id.as_deref().unwrap_or("all connections");
    let done = if action == "pause" { "Paused" } else { "Started" };
    let integration = &selection.integration;
    output::sentence(format_args!("{done}: {syncs} of {connection} ({integration})."))?;
    Ok(())
}
