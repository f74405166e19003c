//! `sync`: how syncs stand, and what can be done about it.

use std::process::ExitCode;

use serde_json::{Map, Value as Json, json};

use crate::cli::{Api, Selection, Sync};
use crate::client::{Client, Run, RunError, RunStatus, answer};
use crate::table::{self, Table};
use crate::{output, progress};

/// Carries out a command about syncs. A run that is waited for decides the exit status.
pub(crate) async fn run(client: &Client, command: Sync) -> anyhow::Result<ExitCode> {
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
            provider,
            connection_id,
            sync,
            limit,
            api,
        } => {
            let limit = limit.to_string();
            let mut query = vec![("limit", limit.as_str())];
            let filters = [
                ("provider_config_key", &provider),
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

fn body(selection: &Selection, syncs: &[String]) -> Map<String, Json> {
    let both = [
        ("provider_config_key", json!(selection.provider)),
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
        ("provider_config_key", &selection.provider),
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
        selection.provider
    );
    Ok(names)
}

async fn status(client: &Client, selection: &Selection, watch: bool, api: &Api) -> anyhow::Result<ExitCode> {
    if watch {
        let mut query = vec![
            ("limit", "1000"),
            ("provider_config_key", selection.provider.as_str()),
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
    let mut table = Table::new(&[
        "CONNECTION",
        "SYNC",
        "STATUS",
        "RUNS",
        "LAST ENDED",
        "NEXT",
        ">RECORDS",
    ]);
    for state in answer::list(&states, "syncs") {
        let records = answer::sum(state, "recordCount");
        let shown = [
            "connection_id",
            "name",
            "status",
            "frequency",
            "finishedAt",
            "nextScheduledSyncAt",
        ]
        .map(|name| table::field(state, name));
        table.row(shown.into_iter().chain([table::count(records)]));
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}

async fn trigger(client: &Client, body: &Json, wait: bool, api: &Api) -> anyhow::Result<ExitCode> {
    let answer = client.post(&["sync", "trigger"], body).await?;
    let started = answer::list(&answer, "runs");
    if !wait {
        if api.json.json {
            output::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["CONNECTION", "SYNC", "RUN", ""]);
        for run in started {
            let active = if run.get("already_active") == Some(&Json::Bool(true)) {
                "was under way already"
            } else {
                ""
            };
            let shown = ["connection_id", "sync", "id"].map(|name| table::field(run, name));
            table.row(shown.into_iter().chain([active.to_owned()]));
        }
        table.print()?;
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
            output::line(sentence(run))?;
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
    output::line(format_args!(
        "{done}: {what} of {whose} ({}).",
        selection.provider
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
    let headings = [
        "STARTED",
        "CONNECTION",
        "SYNC",
        "STATUS",
        "TRIGGER",
        ">TOOK",
        ">PAGES",
        ">ADDED",
        ">UPDATED",
        ">DELETED",
        ">UNCHANGED",
        "RUN",
    ];
    let mut table = Table::new(&headings);
    for run in &runs {
        let numbers = [run.pages, run.added, run.updated, run.deleted, run.unchanged].map(table::count);
        let words = [
            table::time(run.started_at.as_ref().unwrap_or(&run.created_at)),
            run.connection_id.clone(),
            run.sync.clone(),
            run.status.as_str().to_owned(),
            run.trigger.clone(),
            run.duration(),
        ];
        table.row(words.into_iter().chain(numbers).chain([run.id.clone()]));
    }
    table.print()?;
    for run in &runs {
        if let Some(error) = &run.error {
            output::line(format_args!("{} failed: {}", run.id, error.text()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(run: &Run) -> std::io::Result<()> {
    let mut table = Table::new(&["RUN", &run.id]);
    let time = |text: &Option<String>| text.as_deref().map(table::time).unwrap_or_default();
    let rows = [
        (
            "connection",
            format!("{} ({})", run.connection_id, run.provider_config_key),
        ),
        ("sync", run.sync.clone()),
        ("status", run.status.as_str().to_owned()),
        ("kind", run.kind.clone().unwrap_or_default()),
        ("trigger", run.trigger.clone()),
        ("started", time(&run.started_at)),
        ("ended", time(&run.finished_at)),
        ("took", run.duration()),
        ("pages", table::count(run.pages)),
        ("records", run.summary()),
        (
            "error",
            run.error.as_ref().map(RunError::text).unwrap_or_default(),
        ),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.row([name.to_owned(), value]);
    }
    table.print()
}

/// How a run that was waited for ended.
fn sentence(run: &Run) -> String {
    let what = format!("{} of {} {}", run.sync, run.connection_id, run.status.as_str());
    match &run.error {
        Some(error) => format!("{what}: {}", error.text()),
        None => format!(
            "{what} in {}: {}, {} pages",
            run.duration(),
            run.summary(),
            table::count(run.pages)
        ),
    }
}

fn outcome(runs: &[Run]) -> ExitCode {
    if runs.iter().all(|run| run.status == RunStatus::Succeeded) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
