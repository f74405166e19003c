//! `connections`: lists, shows and deletes connections.

use domain::Clock;
use serde_json::Value as Json;

use crate::cli::{Connections, ConnectionsCommand, OneConnection};
use crate::client::{Client, response};
use crate::commands::confirm::confirm;
use crate::table::{Column, Kind, Table};
use crate::{output, state, terminal, when};

/// Runs a command about connections.
pub(crate) async fn run(client: &Client, options: Connections) -> anyhow::Result<()> {
    let as_json = options.api.json;
    match options.command.unwrap_or(ConnectionsCommand::List) {
        ConnectionsCommand::List => list(client, as_json).await,
        ConnectionsCommand::Show(one) => show(client, &one, as_json).await,
        ConnectionsCommand::Delete { one, yes } => delete(client, &one, yes, as_json).await,
    }
}

async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let response = client.get(&["connections"], &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let mut table = Table::new([
        Column::new("connection", Kind::Word),
        Column::new("integration", Kind::Word),
        Column::new("state", Kind::Word),
        Column::new("created", Kind::Ago).rank(1),
        Column::new("problem", Kind::Below),
    ]);
    for connection in response::list(&response, "connections") {
        let (state, problems) = standing(connection);
        let [name, integration, created] =
            ["connection_id", "provider_config_key", "created"].map(|name| response::field(connection, name));
        table.row([name, integration, state.to_owned(), created, problems]);
    }
    table.print("There are no connections yet: `trunkline connect INTEGRATION` creates one.")
}

/// Returns the state of a connection, and the problems of it and its syncs.
fn standing(connection: &Json) -> (&'static str, String) {
    let errors = response::list(connection, "errors");
    let of_sync = |error: &Json| response::text(error, "/type") == "sync";
    let state = if errors.is_empty() {
        state::OK
    } else if errors.iter().all(of_sync) {
        state::LIMITED
    } else {
        state::FAILED
    };
    let problems: Vec<String> = errors
        .iter()
        .map(|error| response::field(error, "message"))
        .collect();
    (state, problems.join(" "))
}

async fn show(client: &Client, one: &OneConnection, as_json: bool) -> anyhow::Result<()> {
    let name = client.connection_id(&one.integration, &one.connection_id).await?;
    let query = [("provider_config_key", one.integration.as_str())];
    let mut response = client.get(&["connections", &name], &query).await?;
    // Terminals keep what they show. A program that needs the credentials can get them from the API.
    if let Some(connection) = response.as_object_mut() {
        connection.remove("credentials");
    }
    if as_json {
        return output::json(&response);
    }
    let now = Clock::system().now();
    let (state, problems) = standing(&response);
    let mut table = Table::details();
    table.detail("connection", name);
    table.detail("integration", response::field(&response, "provider_config_key"));
    table.detail("state", state);
    table.detail("problem", problems);
    for (title, name) in [("created", "created_at"), ("updated", "updated_at")] {
        let time = response::field(&response, name);
        let people = terminal::is_terminal();
        table.detail(title, if people { when::both(&time, now) } else { time });
    }
    for name in ["connection_config", "metadata", "tags", "end_user"] {
        let value = response::field(&response, name);
        if value != "{}" {
            table.detail(name, value);
        }
    }
    table.print("")
}

async fn delete(client: &Client, one: &OneConnection, yes: bool, as_json: bool) -> anyhow::Result<()> {
    let integration = one.integration.as_str();
    // With --yes, the user does not confirm which id a beginning means, so the id must be whole.
    let name = if yes {
        one.connection_id.clone()
    } else {
        client.connection_id(integration, &one.connection_id).await?
    };
    confirm(
        yes,
        &format!("Delete {name} of {integration} with its credentials and synced rows?"),
    )?;
    let query = [("provider_config_key", integration)];
    let response = client.delete(&["connections", &name], &query).await?;
    if as_json {
        output::json(&response)
    } else {
        output::sentence(format_args!("Deleted {name} of {integration}."))
    }
}
