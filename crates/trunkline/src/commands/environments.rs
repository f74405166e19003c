//! `environments` and `api-keys`: on the database itself, for who may reach that may do everything.

use std::process::ExitCode;

use dialoguer::Confirm;
use domain::Timestamp;
use gateway::NewKeyRequest;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::{ApiKeys, Environments};
use crate::config::Config;
use crate::output;
use crate::table::Table;
use crate::wiring::{self, Migrate};

/// Carries out a command about environments.
pub(crate) async fn run(config: &Config, command: Environments) -> anyhow::Result<ExitCode> {
    let gateway = wiring::gateway(config, Migrate::No).await?;
    match command {
        Environments::List(json) => {
            let all = gateway.environments().list().await?;
            if json.json {
                let all: Vec<_> = all
                    .iter()
                    .map(|one| json!({ "name": one.name.as_str(), "created_at": one.created_at.to_string() }))
                    .collect();
                output::json(&all.into())?;
            } else {
                let mut table = Table::new(&["ENVIRONMENT", "CREATED"]);
                for one in all {
                    table.row([one.name.to_string(), one.created_at.to_string()]);
                }
                table.print()?;
            }
        }
        Environments::Create { name } => {
            let made = told(gateway.environments().create(&name).await)?;
            output::line(format_args!("Made {}.", made.name))?;
            output::note(format_args!(
                "It has no key yet: trunkline api-keys create {} --name NAME",
                made.name
            ));
        }
        Environments::Delete { name, yes } => {
            let question = format!("Delete the environment {name} with its integrations and API keys?");
            if !sure(yes, &question)? {
                return Ok(ExitCode::FAILURE);
            }
            gateway.environments().delete(None, &name).await?;
            output::line(format_args!("Deleted {name}."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out a command about API keys.
pub(crate) async fn keys(config: &Config, command: ApiKeys) -> anyhow::Result<ExitCode> {
    let gateway = wiring::gateway(config, Migrate::No).await?;
    match command {
        ApiKeys::List { environment, json } => {
            let environment = gateway.environments().find(&environment).await?;
            let all = gateway.keys().list(environment.id).await?;
            let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
            if json.json {
                let shown = all.iter().map(|key| {
                    json!({
                        "id": key.id.to_string(), "name": key.name, "prefix": key.prefix, "scopes": key.scopes,
                        "created_at": key.created_at.to_string(), "last_used_at": time(key.last_used_at),
                        "revoked_at": time(key.revoked_at),
                    })
                });
                output::json(&shown.collect::<Vec<_>>().into())?;
            } else {
                let mut table = Table::new(&["ID", "NAME", "KEY", "LAST USE", "STATE", "SCOPES"]);
                for key in all {
                    table.row([
                        key.id.to_string(),
                        key.name,
                        format!("{}…", key.prefix),
                        time(key.last_used_at).unwrap_or_else(|| "never".to_owned()),
                        time(key.revoked_at).map_or_else(|| "good".to_owned(), |at| format!("revoked {at}")),
                        key.scopes.join(" "),
                    ]);
                }
                table.print()?;
            }
        }
        ApiKeys::Create {
            environment,
            name,
            scopes,
            uuid,
        } => {
            let environment = gateway.environments().find(&environment).await?;
            let request = NewKeyRequest { name, scopes, uuid };
            let made = told(gateway.keys().create(None, &environment, request).await)?;
            output::line(made.secret.expose_secret())?;
            output::note(format_args!(
                "Keep it now: it is stored hashed and cannot be shown again. Its id is {}.",
                made.id
            ));
        }
        ApiKeys::Revoke { environment, id, yes } => {
            let environment = gateway.environments().find(&environment).await?;
            if !sure(
                yes,
                &format!("Revoke {id}? Whoever uses it is locked out at once."),
            )? {
                return Ok(ExitCode::FAILURE);
            }
            gateway.keys().revoke(environment.id, &id).await?;
            output::line(format_args!("Revoked {id}."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Names what is wrong field by field.
fn told<T>(outcome: Result<T, gateway::GatewayError>) -> anyhow::Result<T> {
    outcome.map_err(|error| match error {
        gateway::GatewayError::InvalidBody(fields) => {
            let lines = fields
                .iter()
                .map(|field| format!("{} {}", field.path.join("."), field.message));
            anyhow::anyhow!(lines.collect::<Vec<_>>().join("\n"))
        }
        other => other.into(),
    })
}

fn sure(yes: bool, question: &str) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    anyhow::ensure!(output::can_ask(), "nobody can be asked here: give --yes");
    Ok(Confirm::new().with_prompt(question).default(false).interact()?)
}
