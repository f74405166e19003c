//! `environments` and `api-keys`: work on the database itself. They need no API key, since access to the database allows everything.

use domain::Timestamp;
use gateway::{NewKeyRequest, api_keys, environments};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::{ApiKeys, Environments};
use crate::client::resolve;
use crate::commands::confirm::confirm;
use crate::config::Config;
use crate::table::{Column, Kind, Table};
use crate::wiring::{self, COMMAND, Migrate};
use crate::{output, state};

/// Runs a command about environments.
pub(crate) async fn run(config: &Config, command: Environments) -> anyhow::Result<()> {
    let gateway = wiring::gateway(COMMAND, config, Migrate::No).await?;
    match command {
        Environments::List(json) => {
            let all = environments::list(&gateway).await?;
            if json.json {
                let shown = all.iter().map(
                    |one| json!({ "name": one.name.as_str(), "created_at": one.created_at.to_string() }),
                );
                return output::json(&shown.collect::<Vec<_>>());
            }
            let mut table = Table::new([
                Column::new("environment", Kind::Word),
                Column::new("created", Kind::Ago),
            ]);
            for one in all {
                table.row([one.name.to_string(), one.created_at.to_string()]);
            }
            table.print("There are no environments.")
        }
        Environments::Create { name } => {
            let made = with_fields(environments::create(&gateway, &name).await)?;
            output::sentence(format_args!("Created {}.", made.name))?;
            output::note(format_args!(
                "It has no API key yet: `trunkline api-keys create {} --name NAME` creates one.",
                made.name
            ));
            Ok(())
        }
        Environments::Delete { name, yes } => {
            let question = format!("Delete the environment {name} with its integrations and API keys?");
            confirm(yes, &question)?;
            environments::delete(&gateway, None, &name).await?;
            output::sentence(format_args!("Deleted {name}."))
        }
    }
}

/// Runs a command about API keys.
pub(crate) async fn keys(config: &Config, command: ApiKeys) -> anyhow::Result<()> {
    let gateway = wiring::gateway(COMMAND, config, Migrate::No).await?;
    match command {
        ApiKeys::List { environment, json } => {
            let environment = environments::find(&gateway, &environment).await?;
            let all = api_keys::list(&gateway, environment.id).await?;
            let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
            if json.json {
                let shown = all.iter().map(|key| {
                    json!({
                        "id": key.id.to_string(), "name": key.name, "prefix": key.prefix, "scopes": key.scopes,
                        "created_at": key.created_at.to_string(), "last_used_at": time(key.last_used_at),
                        "revoked_at": time(key.revoked_at),
                    })
                });
                return output::json(&shown.collect::<Vec<_>>());
            }
            let mut table = Table::new([
                Column::new("id", Kind::Id),
                Column::new("name", Kind::Word),
                Column::new("key", Kind::Word).rank(1),
                Column::new("state", Kind::Word),
                Column::new("last_used", Kind::Ago),
                Column::new("scopes", Kind::Below),
            ]);
            for key in all {
                let revoked = key.revoked_at.is_some();
                table.row([
                    key.id.to_string(),
                    key.name,
                    format!("{}…", key.prefix),
                    if revoked { state::REVOKED } else { state::OK }.to_owned(),
                    time(key.last_used_at).unwrap_or_default(),
                    key.scopes.join(" "),
                ]);
            }
            table.print("The environment has no API keys.")
        }
        ApiKeys::Create {
            environment,
            name,
            scopes,
            uuid,
        } => {
            let environment = environments::find(&gateway, &environment).await?;
            let request = NewKeyRequest { name, scopes, uuid };
            let made = with_fields(api_keys::create(&gateway, None, &environment, request).await)?;
            output::line(made.secret.expose_secret())?;
            output::note(format_args!(
                "Keep it now: only its hash is stored, so it cannot be shown again. Its id is {}.",
                made.id
            ));
            Ok(())
        }
        ApiKeys::Revoke { environment, id, yes } => {
            let environment = environments::find(&gateway, &environment).await?;
            let keys = api_keys::list(&gateway, environment.id).await?;
            let known: Vec<(String, String)> = keys
                .into_iter()
                .map(|key| (key.id.to_string(), key.name))
                .collect();
            let id = resolve::only("API key", &id, &known)?;
            let name = known.iter().find(|(known, _)| known == id);
            let name = name.map(|(_, name)| name.as_str()).unwrap_or_default();
            let question = format!("Revoke {id} ({name})? Its clients are locked out within two seconds.");
            confirm(yes, &question)?;
            api_keys::revoke(&gateway, environment.id, id).await?;
            output::sentence(format_args!("Revoked {id}."))
        }
    }
}

/// Turns errors of fields into one message.
fn with_fields<T>(outcome: Result<T, gateway::GatewayError>) -> anyhow::Result<T> {
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
