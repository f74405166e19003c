//! `action`: runs an action of a provider.

use serde_json::{Map, Value as Json, json};

use crate::cli::Action;
use crate::client::{Client, Function, resolve};
use crate::output;
use crate::table::{Column, Kind, Table};

/// Runs an action and prints its output; without a name, lists the integration's actions.
pub(crate) async fn run(client: &Client, options: &Action) -> anyhow::Result<()> {
    let integration = options.integration.as_str();
    let (Some(name), Some(connection)) = (&options.name, &options.connection_id) else {
        return list(client, integration, options.api.json).await;
    };
    let connection = client.connection_id(integration, connection).await?;
    let mut headers = vec![
        ("Provider-Config-Key", integration),
        ("Connection-Id", connection.as_str()),
    ];
    let key = options.idempotency_key.as_deref();
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    if options.later {
        headers.push(("X-Async", "true"));
    }
    let body = json!({ "action_name": name, "input": inputs(&options.inputs) });
    let done = client.post(&["action", "trigger"], &body, &headers).await;
    let output = match done {
        Err(error) if error.status() == Some(404) => {
            let actions = actions(client, integration).await?;
            let known: Vec<&str> = actions.iter().map(|action| action.name.as_str()).collect();
            if known.contains(&name.as_str()) {
                return Err(error.into());
            }
            return Err(resolve::unknown("action", integration, name, &known));
        }
        done => done?,
    };
    output::json(&output)
}

/// Returns the inputs as JSON. A value may be a JSON object or list; a repeated name makes a list.
fn inputs(arguments: &[(String, String)]) -> Map<String, Json> {
    let mut inputs = Map::new();
    for (name, text) in arguments {
        let json = text
            .starts_with(['{', '['])
            .then(|| serde_json::from_str(text).ok());
        let value = json.flatten().unwrap_or_else(|| Json::String(text.clone()));
        match inputs.get_mut(name) {
            None => drop(inputs.insert(name.clone(), value)),
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    inputs
}

async fn actions(client: &Client, integration: &str) -> anyhow::Result<Vec<Function>> {
    let mut functions = client.functions(integration).await?;
    functions.retain(|function| function.r#type == "action");
    Ok(functions)
}

async fn list(client: &Client, integration: &str, as_json: bool) -> anyhow::Result<()> {
    let actions = actions(client, integration).await?;
    if as_json {
        let all = actions.iter().map(|action| {
            json!({ "name": action.name, "inputs": action.inputs(), "description": action.description })
        });
        return output::json(&all.collect::<Vec<_>>());
    }
    let columns = [
        Column::new("action", Kind::Word),
        Column::new("inputs", Kind::Prose),
        Column::new("description", Kind::Below),
    ];
    let mut table = Table::new(columns);
    for action in &actions {
        table.row([
            action.name.clone(),
            action.inputs().join(" "),
            action.description.clone(),
        ]);
    }
    table.print(&format!("{integration} has no actions."))
}
