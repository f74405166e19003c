//! `action`: one call of a provider by name.

use std::process::ExitCode;

use anyhow::Context;
use registry::Provider;
use serde_json::{Map, Value as Json, json};

use crate::cli::Action;
use crate::client::Client;
use crate::config::Config;
use crate::table::Table;
use crate::{output, wiring};

/// Carries an action out and prints what it answers; without a name, lists the provider's actions.
pub(crate) async fn run(config: &Config, options: &Action) -> anyhow::Result<ExitCode> {
    let (Some(name), Some(connection)) = (&options.name, &options.connection_id) else {
        let registry = wiring::registry(config)?;
        let provider = registry
            .get(&options.provider)
            .with_context(|| format!("there is no provider {:?}", options.provider))?;
        return list(provider, options.api.json.json);
    };
    let mut headers = vec![
        ("Provider-Config-Key", options.provider.as_str()),
        ("Connection-Id", connection.as_str()),
    ];
    headers.extend(
        options
            .idempotency_key
            .as_deref()
            .map(|key| ("Idempotency-Key", key)),
    );
    if options.later {
        headers.push(("X-Async", "true"));
    }
    let body = json!({ "action_name": name, "input": inputs(&options.inputs) });
    let answer = Client::new(config)?
        .post_with(&["action", "trigger"], &body, &headers)
        .await?;
    output::json(&answer)?;
    Ok(ExitCode::SUCCESS)
}

/// The inputs as JSON: a value that is an object or a list is taken as one, and a name that comes again makes a list.
fn inputs(given: &[(String, String)]) -> Map<String, Json> {
    let mut inputs = Map::new();
    for (name, text) in given {
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

fn list(provider: &Provider, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["ACTION", "INPUTS", "DESCRIPTION"]);
    let mut all = Vec::new();
    for action in provider.actions.values() {
        let names = action.inputs.iter().map(|(name, input)| {
            if input.required {
                name.clone()
            } else {
                format!("[{name}]")
            }
        });
        let inputs: Vec<String> = names.collect();
        table.row(vec![
            action.name.to_string(),
            inputs.join(" "),
            action.description.clone(),
        ]);
        all.push(json!({ "name": action.name, "inputs": inputs, "description": action.description }));
    }
    if as_json {
        output::json(&Json::Array(all))?;
    } else {
        table.print()?;
    }
    Ok(ExitCode::SUCCESS)
}
