//! `sync`: shows syncs and runs, and triggers, pauses and starts syncs.

mod runs;

use serde_json::{Value as Json, json};

use crate::cli::{Selection, Sync, SyncCommand};
use crate::client::{Client, Run, response};
use crate::table::{Column, Kind, Table};
use crate::{exit, output, progress, state, terminal};

/// Runs a command about syncs. If it waits for runs, they decide the exit status.
pub(crate) async fn run(client: &Client, options: Sync) -> anyhow::Result<()> {
    let (mut command, as_json) = (options.command, options.api.json);
    complete_connection_id(client, &mut command).await?;
    match command {
        SyncCommand::Status { selection, watch } => {
            if watch {
                runs::watch(client, &selection).await?;
            }
            status(client, &selection, as_json).await
        }
        SyncCommand::Trigger {
            selection,
            wait,
            reset,
            empty_cache,
        } => {
            let body = json!({
                "provider_config_key": selection.integration, "connection_id": selection.connection_id,
                "syncs": names(client, &selection).await?, "opts": { "reset": reset, "emptyCache": empty_cache },
            });
            trigger(client, &body, wait, as_json).await
        }
        SyncCommand::Pause(selection) => set(client, "pause", &selection, as_json).await,
        SyncCommand::Start(selection) => set(client, "start", &selection, as_json).await,
        SyncCommand::Runs {
            integration,
            connection_id,
            sync,
            limit,
        } => {
            let limit = limit.to_string();
            let filters = [
                ("limit", Some(&limit)),
                ("provider_config_key", integration.as_ref()),
                ("connection_id", connection_id.as_ref()),
                ("sync", sync.as_ref()),
            ];
            runs::list(client, &query(filters), as_json).await
        }
        SyncCommand::Run { id, watch } => runs::show(client, &id, watch, as_json).await,
    }
}

/// Replaces the beginning of a connection's id by the whole id.
async fn complete_connection_id(client: &Client, command: &mut SyncCommand) -> anyhow::Result<()> {
    let (integration, connection) = match command {
        SyncCommand::Status { selection, .. }
        | SyncCommand::Trigger { selection, .. }
        | SyncCommand::Pause(selection)
        | SyncCommand::Start(selection) => (&selection.integration, &mut selection.connection_id),
        SyncCommand::Runs {
            integration: Some(integration),
            connection_id,
            ..
        } => (&*integration, connection_id),
        SyncCommand::Runs { .. } | SyncCommand::Run { .. } => return Ok(()),
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
        return output::json(&states);
    }
    let mut table = Table::new([
        Column::new("connection", Kind::Connection),
        Column::new("sync", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("rows", Kind::Count),
        Column::new("last_ended", Kind::Ago).rank(2),
        Column::new("next", Kind::Ago).rank(1),
        Column::new("schedule", Kind::Word).rank(3),
        Column::new("problem", Kind::Below),
        Column::new("note", Kind::Below),
    ]);
    for state in response::list(&states, "syncs") {
        let field = |name| response::field(state, name);
        table.row([
            field("connection_id"),
            field("name"),
            state::of_sync(&field("status")),
            response::sum(state, "recordCount").to_string(),
            field("finishedAt"),
            field("nextScheduledSyncAt"),
            schedule(field("frequency")),
            response::text(state, "/problem/message").to_owned(),
            incomplete(response::text(state, "/incomplete")),
        ]);
    }
    table.print("There are no syncs: nothing is connected, or the provider has none.")
}

/// On a terminal, writes `every 5 minutes` as `every 5 min`, in the units of the other times in the table.
fn schedule(schedule: String) -> String {
    if !terminal::is_terminal() {
        return schedule;
    }
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

async fn trigger(client: &Client, body: &Json, wait: bool, as_json: bool) -> anyhow::Result<()> {
    let response = client.post(&["sync", "trigger"], body, &[]).await?;
    let started = response::list(&response, "runs");
    if wait {
        let ids: Vec<String> = started.iter().map(|run| response::field(run, "id")).collect();
        let runs = progress::follow(client, &ids, None).await?;
        if as_json {
            let ended = ids.iter().filter_map(|id| runs.iter().find(|run| run.id == *id));
            output::json(&json!({ "runs": ended.map(Run::json).collect::<Vec<_>>() }))?;
        } else {
            for run in &runs {
                output::sentence(runs::sentence(run))?;
            }
        }
        return exit::require(runs.iter().all(Run::has_succeeded));
    }
    if as_json {
        return output::json(&response);
    }
    let mut table = Table::new([
        Column::new("run", Kind::Id),
        Column::new("connection", Kind::Word),
        Column::new("sync", Kind::Word).rank(1),
        Column::new("note", Kind::Below),
    ]);
    for run in started {
        let active = run.get("already_active") == Some(&Json::Bool(true));
        let note = if active { "was active already" } else { "" };
        let [id, connection, sync] = ["id", "connection_id", "sync"].map(|name| response::field(run, name));
        table.row([id, connection, sync, note.to_owned()]);
    }
    table.print("Nothing was started.")
}

/// Pauses or starts syncs.
async fn set(client: &Client, action: &str, selection: &Selection, as_json: bool) -> anyhow::Result<()> {
    let Selection {
        integration,
        syncs,
        connection_id,
    } = selection;
    let body = json!({ "provider_config_key": integration, "connection_id": connection_id, "syncs": syncs });
    let response = client.post(&["sync", action], &body, &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let syncs = match syncs.as_slice() {
        [] => "all syncs".to_owned(),
        names => names.join(", "),
    };
    let connection = connection_id.as_deref().unwrap_or("all connections");
    let done = if action == "pause" { "Paused" } else { "Started" };
    output::sentence(format_args!("{done}: {syncs} of {connection} ({integration})."))
}
