//! `connections`: listed, shown, deleted.

use std::process::ExitCode;

use dialoguer::Confirm;

use crate::cli::{Connections, ConnectionsCommand, OneConnection};
use crate::client::{Client, answer};
use crate::output;
use crate::table::{self, Table};

/// Carries out a command about connections.
pub(crate) async fn run(client: &Client, options: Connections) -> anyhow::Result<ExitCode> {
    match options.command {
        None => list(client, options.api.json.json).await?,
        Some(ConnectionsCommand::List { api }) => list(client, api.json.json).await?,
        Some(ConnectionsCommand::Show(one)) => show(client, &one).await?,
        Some(ConnectionsCommand::Delete { one, yes }) => return delete(client, &one, yes).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let answer = client.get(&["connections"], &[]).await?;
    if json {
        return Ok(output::json(&answer)?);
    }
    let mut table = Table::new(&["CONNECTION", "INTEGRATION", "CREATED", "STATE"]);
    for connection in answer::list(&answer, "connections") {
        let problem = answer::list(connection, "errors")
            .first()
            .map(|error| table::field(error, "message"));
        let shown =
            ["connection_id", "provider_config_key", "created"].map(|name| table::field(connection, name));
        table.row(
            shown
                .into_iter()
                .chain([problem.unwrap_or_else(|| "ok".to_owned())]),
        );
    }
    Ok(table.print()?)
}

async fn show(client: &Client, one: &OneConnection) -> anyhow::Result<()> {
    let mut answer = client
        .get(
            &["connections", &one.connection_id],
            &[("provider_config_key", &one.provider)],
        )
        .await?;
    // Terminals and their logs keep what they show; whoever needs the credentials asks the API.
    if let Some(connection) = answer.as_object_mut() {
        connection.remove("credentials");
    }
    if one.api.json.json {
        return Ok(output::json(&answer)?);
    }
    let mut table = Table::new(&["CONNECTION", &one.connection_id]);
    for name in [
        "provider_config_key",
        "created_at",
        "updated_at",
        "connection_config",
        "metadata",
        "tags",
        "end_user",
        "errors",
    ] {
        let value = table::field(&answer, name);
        if !matches!(value.as_str(), "" | "{}" | "[]") {
            table.row([name, &value]);
        }
    }
    Ok(table.print()?)
}

async fn delete(client: &Client, one: &OneConnection, yes: bool) -> anyhow::Result<ExitCode> {
    if !yes {
        anyhow::ensure!(
            output::can_ask(),
            "nobody can be asked here: give --yes to delete the connection with its credentials and synced rows"
        );
        let question = format!(
            "Delete {} of {} with its credentials and synced rows?",
            one.connection_id, one.provider
        );
        if !Confirm::new().with_prompt(question).default(false).interact()? {
            return Ok(ExitCode::FAILURE);
        }
    }
    let answer = client
        .delete(
            &["connections", &one.connection_id],
            &[("provider_config_key", &one.provider)],
        )
        .await?;
    if one.api.json.json {
        output::json(&answer)?;
    } else {
        output::line(format_args!("Deleted {} of {}.", one.connection_id, one.provider))?;
    }
    Ok(ExitCode::SUCCESS)
}
