//! Deliveries: lists and shows them, sends events again, and sends examples.

use domain::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::{endpoints, time};
use crate::cli::{OneDelivery, OneEndpoint};
use crate::client::{Client, response};
use crate::table::{Column, Kind, Table};
use crate::{exit, output};

/// The path of all deliveries.
const PATH: &str = "webhook-deliveries";
/// The most deliveries that the API returns in a page.
const PAGE: usize = 1_000;
/// How much of a receiver's response is shown. `--json` has all that is stored.
const SHOWN: usize = 300;

/// What to send again.
pub(super) struct Replay {
    pub(super) failed: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) from_change: Option<i64>,
}

/// Which deliveries to list, as query parameters.
pub(super) struct Filter(Vec<(&'static str, String)>);

impl Filter {
    /// Replaces the beginnings of ids by whole ids.
    pub(super) async fn complete(
        client: &Client,
        endpoint: Option<&str>,
        status: Option<String>,
        connection: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut query = Vec::new();
        if let Some(endpoint) = endpoint {
            query.push(("endpoint_id", client.endpoint_id(endpoint).await?));
        }
        query.extend(status.map(|status| ("status", status)));
        if let Some(connection) = connection {
            query.push(("connection_id", client.connection_id_anywhere(connection).await?));
        }
        Ok(Self(query))
    }
}

/// Lists the newest deliveries.
pub(super) async fn list(
    client: &Client,
    filter: &Filter,
    limit: usize,
    as_json: bool,
) -> anyhow::Result<()> {
    let (rows, next_cursor) = pages(client, filter, limit).await?;
    if as_json {
        return output::json(&json!({ "deliveries": rows, "next_cursor": next_cursor }));
    }
    let mut table = Table::new([
        Column::new("delivery", Kind::Id),
        Column::new("type", Kind::Word),
        Column::new("connection", Kind::Connection),
        Column::new("state", Kind::Word),
        Column::new("tries", Kind::Count).rank(1),
        Column::new("created", Kind::Ago),
        Column::new("next_try", Kind::Ago).rank(2),
        Column::new("integration", Kind::Word).rank(3),
        Column::new("endpoint", Kind::Id).rank(4),
        Column::new("event", Kind::Id).rank(5),
    ]);
    for row in &rows {
        table.row(
            [
                "id",
                "event_type",
                "connection_id",
                "status",
                "attempts",
                "created_at",
                "next_attempt_at",
                "provider_config_key",
                "endpoint_id",
                "event_id",
            ]
            .map(|name| response::field(row, name)),
        );
    }
    table.print("There are no such deliveries.")
}

/// Reads pages until there are as many deliveries as wanted, or no more. Returns where the next page begins, too.
async fn pages(
    client: &Client,
    filter: &Filter,
    wanted: usize,
) -> anyhow::Result<(Vec<Json>, Option<String>)> {
    let mut rows: Vec<Json> = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < wanted {
        let limit = (wanted - rows.len()).min(PAGE).to_string();
        let mut query: Vec<(&str, &str)> = filter
            .0
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        query.push(("limit", &limit));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(&[PATH], &query).await?;
        if let Some(Json::Array(more)) = page.get_mut("deliveries").map(Json::take) {
            rows.extend(more);
        }
        cursor = page.get("next_cursor").and_then(Json::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok((rows, cursor))
}

/// Shows one delivery and its attempts.
pub(super) async fn show(client: &Client, one: &OneDelivery, as_json: bool) -> anyhow::Result<()> {
    let id = client.delivery_id(&one.delivery_id).await?;
    let response = client.get(&[PATH, &id], &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let delivery = response.get("data").unwrap_or(&Json::Null);
    let field = |name| response::field(delivery, name);
    let when = |name| time(&response::field(delivery, name));
    let mut table = Table::details();
    table.detail("delivery", field("id"));
    table.detail("state", field("status"));
    table.detail("endpoint", field("endpoint_id"));
    table.detail("event", field("event_id"));
    table.detail("type", field("event_type"));
    table.detail("integration", field("provider_config_key"));
    table.detail("connection", field("connection_id"));
    table.detail("created", when("created_at"));
    table.detail("ended", when("finished_at"));
    table.detail("next try", when("next_attempt_at"));
    for attempt in response::list(delivery, "attempt_list") {
        let name = format!("try {}", response::field(attempt, "attempt"));
        let at = time(&response::field(attempt, "at"));
        table.detail(&name, format!("{at}: {}", outcome(attempt)));
    }
    table.print("")
}

/// Sends one delivery again.
pub(super) async fn replay_one(client: &Client, one: &OneDelivery, as_json: bool) -> anyhow::Result<()> {
    let id = client.delivery_id(&one.delivery_id).await?;
    let response = client.post(&[PATH, &id, "replay"], &json!({}), &[]).await?;
    if as_json {
        return output::json(&response);
    }
    output::sentence(format_args!("Sending {id} again."))
}

/// Sends events of an endpoint again.
pub(super) async fn replay(
    client: &Client,
    one: &OneEndpoint,
    what: &Replay,
    as_json: bool,
) -> anyhow::Result<()> {
    let id = client.endpoint_id(&one.endpoint_id).await?;
    let mut body = Map::new();
    if what.failed {
        body.insert("status".to_owned(), "failed".into());
    }
    body.extend(
        what.since
            .map(|since| ("since".to_owned(), since.to_string().into())),
    );
    body.extend(
        what.from_change
            .map(|change| ("from_change".to_owned(), change.into())),
    );
    let path = [endpoints::PATH, &id, "replay"];
    let response = client.post(&path, &body.into(), &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let since = what.since.map(|since| time(&since.to_string()));
    match (
        response.get("replayed").and_then(Json::as_u64),
        since,
        what.from_change,
    ) {
        (Some(1), ..) => output::sentence(format_args!("Sending 1 failed delivery to {id} again.")),
        (Some(count), ..) => {
            output::sentence(format_args!("Sending {count} failed deliveries to {id} again."))
        }
        (None, Some(since), _) => {
            output::sentence(format_args!("Sending all events since {since} to {id} again."))
        }
        (None, None, change) => output::sentence(format_args!(
            "Sending all events to {id} again, from the run that wrote change {}.",
            change.unwrap_or_default()
        )),
    }
}

/// Sends an example event, and fails unless the endpoint accepts it.
pub(super) async fn example(
    client: &Client,
    one: &OneEndpoint,
    event_type: &str,
    as_json: bool,
) -> anyhow::Result<()> {
    let id = client.endpoint_id(&one.endpoint_id).await?;
    let body = json!({ "type": event_type });
    let response = client
        .post(&[endpoints::PATH, &id, "example"], &body, &[])
        .await?;
    let attempt = response.get("data").unwrap_or(&Json::Null);
    let accepted = attempt
        .get("status")
        .and_then(Json::as_u64)
        .is_some_and(|status| (200..300).contains(&status));
    if as_json {
        output::json(&response)?;
    } else {
        output::sentence(format_args!("{event_type}: {}", outcome(attempt)))?;
    }
    exit::require(accepted)
}

/// Returns what came of an attempt: `204 in 12 ms`, with what the receiver said, or why there was no response.
fn outcome(attempt: &Json) -> String {
    let field = |name| response::field(attempt, name);
    let took = field("duration_ms");
    let error = field("error");
    let status = field("status");
    if status.is_empty() {
        return format!("no response after {took} ms: {error}");
    }
    let said = if error.is_empty() {
        field("response")
    } else {
        error
    };
    match shortened(said.trim()).as_str() {
        "" => format!("{status} in {took} ms"),
        said => format!("{status} in {took} ms: {said}"),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(SHOWN).collect();
    beginning + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_said_in_a_line() {
        let attempt = |status: Json, error: Json, response: Json| json!({ "duration_ms": 12, "status": status, "error": error, "response": response });
        assert_eq!(
            outcome(&attempt(204.into(), Json::Null, "".into())),
            "204 in 12 ms"
        );
        assert_eq!(
            outcome(&attempt(500.into(), Json::Null, " oops\n".into())),
            "500 in 12 ms: oops"
        );
        assert_eq!(
            outcome(&attempt(Json::Null, "connection refused".into(), Json::Null)),
            "no response after 12 ms: connection refused"
        );
        let long = outcome(&attempt(500.into(), Json::Null, "x".repeat(400).into()));
        assert!(long.ends_with("x…") && long.len() < 330, "{long}");
    }
}
