//! Finds the id that the user means: its beginning is enough if no other id begins with it.

use super::{Client, ClientError, response};
use crate::table::is_uuid;
use crate::usage::UsageError;
use crate::{suggest, when};

/// The length of a run's id, and of a UUID.
const RUN_ID: usize = "run_".len() + 32;
const UUID: usize = 36;
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
            anyhow::bail!(
                "the ids of several {what}s begin with {typed}:{}{more}",
                lines.concat()
            )
        }
    }
}

impl Client {
    /// Returns the id of a run from its beginning. The prefix `run_` is optional.
    pub(crate) async fn run_id(&self, typed: &str) -> anyhow::Result<String> {
        let digits = typed.strip_prefix("run_").unwrap_or(typed);
        let id = format!("run_{digits}");
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_hexdigit()) || id.len() > RUN_ID {
            let text = format!(
                "{typed:?} is not the id of a run: `trunkline sync runs` shows ids, and their beginning is enough"
            );
            return Err(UsageError(text).into());
        }
        if id.len() == RUN_ID {
            return Ok(id);
        }
        let limit = (LISTED + 1).to_string();
        let query = [("id_prefix", id.as_str()), ("limit", limit.as_str())];
        let response = self.get(&["sync", "runs"], &query).await?;
        let runs: Vec<(String, String)> = response::list(&response, "runs")
            .iter()
            .map(|run| {
                let [sync, connection, created] =
                    ["sync", "connection_id", "created_at"].map(|name| response::field(run, name));
                let about = format!("{sync} of {connection}, {}", when::absolute(&created));
                (response::field(run, "id"), about)
            })
            .collect();
        only("run", &id.to_ascii_lowercase(), &runs).map(str::to_owned)
    }

    /// Returns the id of a connection. The beginning of a UUID, which the gateway made, is enough. An id that an app
    /// chose must be whole, since `user-1` must never mean `user-10`.
    pub(crate) async fn connection_id(&self, integration: &str, typed: &str) -> anyhow::Result<String> {
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
        let made: Vec<(String, String)> = names
            .into_iter()
            .filter(|name| is_uuid(name) && name.starts_with(typed))
            .map(|name| (name, integration.to_owned()))
            .collect();
        if made.is_empty() {
            return Ok(typed.to_owned());
        }
        only("connection", typed, &made).map(str::to_owned)
    }

    async fn connection_names(&self, integration: &str, search: &str) -> Result<Vec<String>, ClientError> {
        let mut query = vec![("integrationId", integration)];
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
            && let Ok(names) = self.connection_names(integration, "").await
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
