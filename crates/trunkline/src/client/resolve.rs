//! Finds the id that the user means: its beginning is enough if no other id begins with it.

use serde_json::Value as Json;

use super::{Client, ClientError, response};
use crate::table::is_uuid;
use crate::usage::UsageError;
use crate::{suggest, when};

/// The digits of an id that the gateway made, such as a run's, and the length of a UUID.
const DIGITS: usize = 32;
const UUID: usize = 36;
/// How many deliveries are searched for the beginning of an id.
const DELIVERIES: &str = "1000";
/// A shorter text is more likely a whole connection id than the beginning of a UUID.
const SHORTEST: usize = 4;
/// How many candidates an error lists.
const LISTED: usize = 5;

/// Returns the only one of `ids` that begins with `typed`. `what` names the kind of id in errors.
pub(crate) fn only<'a>(what: &str, typed: &str, ids: &'a [(String, String)]) -> anyhow::Result<&'a str> {
    let beginning: Vec<&(String, String)> = ids.iter().filter(|(id, _)| id.starts_with(typed)).collect();
    match beginning.as_slice() {
        [] => anyhow::bail!("there is no {what} whose id begins with {typed}"),
        [(id, _)] => Ok(id),
        several => {
            let lines: Vec<String> = several
                .iter()
                .take(LISTED)
                .map(|(id, about)| format!("\n  {id}  {about}"))
                .collect();
            let more = if several.len() > LISTED { "\n  …" } else { "" };
            let what = match what {
                "delivery" => "deliveries".to_owned(),
                what => format!("{what}s"),
            };
            anyhow::bail!(
                "the ids of several {what} begin with {typed}:{}{more}",
                lines.concat()
            )
        }
    }
}

impl Client {
    /// Returns the id of a run from its beginning. The prefix `run_` is optional.
    pub(crate) async fn run_id(&self, typed: &str) -> anyhow::Result<String> {
        let id = beginning("run", "run_", typed, "sync runs")?;
        if is_whole(&id, "run_") {
            return Ok(id);
        }
        let limit = (LISTED + 1).to_string();
        let query = [("id_prefix", id.as_str()), ("limit", limit.as_str())];
        let response = self.get(&["sync", "runs"], &query).await?;
        let runs = with_about(response::list(&response, "runs"), |run| {
            let [sync, connection, created] =
                ["sync", "connection_id", "created_at"].map(|name| response::field(run, name));
            format!("{sync} of {connection}, {}", when::absolute(&created))
        });
        only("run", &id, &runs).map(str::to_owned)
    }

    /// Returns the id of a webhook endpoint from its beginning. The prefix `we_` is optional.
    pub(crate) async fn endpoint_id(&self, typed: &str) -> anyhow::Result<String> {
        let id = beginning("webhook endpoint", "we_", typed, "webhooks list")?;
        if is_whole(&id, "we_") {
            return Ok(id);
        }
        let response = self.get(&["webhook-endpoints"], &[]).await?;
        let known = with_about(response::list(&response, "data"), |one| {
            response::field(one, "url")
        });
        only("webhook endpoint", &id, &known).map(str::to_owned)
    }

    /// Returns the id of one of the newest deliveries from its beginning. The prefix `dlv_` is optional.
    pub(crate) async fn delivery_id(&self, typed: &str) -> anyhow::Result<String> {
        let id = beginning("delivery", "dlv_", typed, "webhooks deliveries")?;
        if is_whole(&id, "dlv_") {
            return Ok(id);
        }
        let response = self
            .get(&["webhook-deliveries"], &[("limit", DELIVERIES)])
            .await?;
        let known = with_about(response::list(&response, "deliveries"), |one| {
            let [event, connection] = ["event_type", "connection_id"].map(|name| response::field(one, name));
            format!("{event} {connection}")
        });
        if known.iter().any(|(known, _)| known.starts_with(&id)) {
            return only("delivery", &id, &known).map(str::to_owned);
        }
        anyhow::bail!(
            "none of the newest {DELIVERIES} deliveries has an id that begins with {id}: type the whole id of an older one"
        )
    }

    /// Returns the id of a connection of any integration. The beginning of a UUID is enough.
    pub(crate) async fn connection_id_anywhere(&self, typed: &str) -> anyhow::Result<String> {
        self.complete_connection_id(None, typed).await
    }

    /// Returns the id of a connection. The beginning of a UUID, which the gateway made, is enough. An id that an app
    /// chose must be whole, since `user-1` must never mean `user-10`.
    pub(crate) async fn connection_id(&self, integration: &str, typed: &str) -> anyhow::Result<String> {
        self.complete_connection_id(Some(integration), typed).await
    }

    async fn complete_connection_id(&self, integration: Option<&str>, typed: &str) -> anyhow::Result<String> {
        let piece = (SHORTEST..UUID).contains(&typed.len())
            && typed.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !piece {
            return Ok(typed.to_owned());
        }
        // A key without permission to list connections can still use one.
        let Ok(names) = self.connection_names(integration, typed).await else {
            return Ok(typed.to_owned());
        };
        if names.iter().any(|name| name == typed) {
            return Ok(typed.to_owned());
        }
        let mut made: Vec<(String, String)> = names
            .into_iter()
            .filter(|name| is_uuid(name) && name.starts_with(typed))
            .map(|name| (name, integration.unwrap_or_default().to_owned()))
            .collect();
        // Connections of several integrations may have one name.
        made.dedup();
        if made.is_empty() {
            return Ok(typed.to_owned());
        }
        only("connection", typed, &made).map(str::to_owned)
    }

    async fn connection_names(
        &self,
        integration: Option<&str>,
        search: &str,
    ) -> Result<Vec<String>, ClientError> {
        let mut query = Vec::new();
        query.extend(integration.map(|integration| ("integrationId", integration)));
        query.extend((!search.is_empty()).then_some(("search", search)));
        let response = self.get(&["connections"], &query).await?;
        let names = response::list(&response, "connections").iter();
        Ok(names.map(|one| response::field(one, "connection_id")).collect())
    }

    /// Adds a suggestion to an error about an unknown integration or connection.
    pub(crate) async fn explain(
        &self,
        error: anyhow::Error,
        integration: Option<&str>,
        connection: Option<&str>,
    ) -> anyhow::Error {
        let Some(ClientError::Refused(refusal)) = error.downcast_ref::<ClientError>() else {
            return error;
        };
        let code = refusal.code();
        if let Some(integration) = integration.filter(|name| refusal.is_about_integration(name)) {
            let names = self.integration_names().await;
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = suggest::question_or_list(integration, &known);
            return anyhow::anyhow!("there is no integration {integration:?}{hint}");
        }
        let unknown = matches!(code, "unknown_connection" | "not_found" | "invalid_body");
        if let (Some(integration), Some(connection), true) = (integration, connection, unknown)
            && let Ok(names) = self.connection_names(Some(integration), "").await
            && !names
                .iter()
                .any(|name| name == connection || is_uuid(name) && name.starts_with(connection))
        {
            let hint = match suggest::nearest(connection, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => "`trunkline connections` lists the connections".to_owned(),
            };
            return anyhow::anyhow!("there is no connection {connection:?} of {integration}; {hint}");
        }
        error
    }
}

/// Returns the beginning of an id as it is stored: with its prefix, in lower case. `list` is the command that shows whole ids.
fn beginning(what: &str, prefix: &str, typed: &str, list: &str) -> Result<String, UsageError> {
    let digits = typed.strip_prefix(prefix).unwrap_or(typed);
    let plain = digits.chars().all(|c| c.is_ascii_hexdigit());
    if digits.is_empty() || !plain || digits.len() > DIGITS {
        let text = format!(
            "{typed:?} is not the id of a {what}: `trunkline {list}` shows ids, and their beginning is enough"
        );
        return Err(UsageError(text));
    }
    Ok(format!("{prefix}{}", digits.to_ascii_lowercase()))
}

fn is_whole(id: &str, prefix: &str) -> bool {
    id.len() == prefix.len() + DIGITS
}

/// Returns the ids of listed things, each with a text about it.
fn with_about(listed: &[Json], about: impl Fn(&Json) -> String) -> Vec<(String, String)> {
    let ids = listed.iter().map(|one| (response::field(one, "id"), about(one)));
    ids.collect()
}

/// Returns the error that `of` has no `what` called `name`, with suggestions.
pub(crate) fn unknown(what: &str, of: &str, name: &str, known: &[&str]) -> anyhow::Error {
    if known.is_empty() {
        return anyhow::anyhow!("{of} has no {what}s");
    }
    suggest::unknown(&format!("{of} has no {what}"), name, "it has", known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_if_no_other_begins_with_it() {
        let ids = ["key_01aa", "key_01ab", "key_02"].map(|id| (id.to_owned(), "mine".to_owned()));
        assert_eq!(only("key", "key_02", &ids).unwrap(), "key_02");
        let error = only("key", "key_01", &ids).unwrap_err().to_string();
        assert_eq!(
            error,
            "the ids of several keys begin with key_01:\n  key_01aa  mine\n  key_01ab  mine"
        );
        assert!(only("key", "key_03", &ids).is_err());
    }
}
