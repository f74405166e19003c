//! Webhook endpoints: lists, shows, creates, changes and deletes them, and replaces their secrets.

use std::time::Duration;

use domain::{Clock, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::{distance, settings, time};
use crate::cli::{EndpointOptions, OneEndpoint};
use crate::client::{Client, response};
use crate::commands::confirm::confirm;
use crate::table::{self, Column, Kind, Table};
use crate::usage::UsageError;
use crate::{output, state, terminal, when};

/// The path of all endpoints.
pub(super) const PATH: &str = "webhook-endpoints";

/// How long a replaced secret still signs, unless the command says otherwise: the gateway's default.
const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

/// Lists the endpoints, oldest first.
pub(super) async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let response = client.get(&[PATH], &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let mut table = Table::new([
        Column::new("endpoint", Kind::Id),
        Column::new("state", Kind::Word),
        Column::new("url", Kind::Line),
        Column::new("events", Kind::Prose).rank(1),
        Column::new("format", Kind::Word).rank(2),
        Column::new("created", Kind::Ago).rank(3),
        Column::new("problem", Kind::Below),
        Column::new("description", Kind::Below),
    ]);
    for endpoint in response::list(&response, "data") {
        let field = |name| response::field(endpoint, name);
        table.row([
            field("id"),
            state(endpoint).to_owned(),
            url(endpoint),
            words(endpoint, "events"),
            field("format"),
            field("created_at"),
            problem(endpoint),
            field("description"),
        ]);
    }
    table.print("There are no webhook endpoints yet: `trunkline webhooks create URL` creates one.")
}

/// Shows one endpoint, without its secret.
pub(super) async fn show(client: &Client, one: &OneEndpoint, as_json: bool) -> anyhow::Result<()> {
    let id = client.endpoint_id(&one.endpoint_id).await?;
    let response = client.get(&[PATH, &id], &[]).await?;
    if as_json {
        return output::json(&response);
    }
    details(data(&response)).print("")
}

/// Creates an endpoint and shows its secret.
pub(super) async fn create(
    client: &Client,
    url: &str,
    ed25519: bool,
    options: &EndpointOptions,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut body = settings::body(options, &[])?;
    body.insert("url".to_owned(), url.into());
    if ed25519 {
        body.insert("ed25519".to_owned(), true.into());
    }
    let response = client.post(&[PATH], &body.into(), &[]).await?;
    if as_json {
        return output::json(&response);
    }
    let endpoint = data(&response);
    show_secret(endpoint)?;
    output::verbatim_note(format_args!(
        "\nTry it:\n  trunkline webhooks example {} sync.succeeded",
        response::text(endpoint, "/id")
    ));
    Ok(())
}

/// Changes what `body` names.
pub(super) async fn update(
    client: &Client,
    one: &OneEndpoint,
    body: Map<String, Json>,
    as_json: bool,
) -> anyhow::Result<()> {
    if body.is_empty() {
        let text =
            "name what to change, such as --events or --enable: `trunkline help webhooks update` lists all";
        return Err(UsageError(text.to_owned()).into());
    }
    let id = client.endpoint_id(&one.endpoint_id).await?;
    let response = client.patch(&[PATH, &id], &body.into()).await?;
    if as_json {
        return output::json(&response);
    }
    details(data(&response)).print("")
}

/// Deletes an endpoint, once the user confirms.
pub(super) async fn delete(
    client: &Client,
    one: &OneEndpoint,
    yes: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let id = client.endpoint_id(&one.endpoint_id).await?;
    confirm(yes, &format!("Delete {id} with its deliveries?"))?;
    client.delete(&[PATH, &id], &[]).await?;
    if as_json {
        output::json(&json!({ "success": true }))
    } else {
        output::sentence(format_args!("Deleted {id}."))
    }
}

/// Replaces the secret of an endpoint and shows the new one.
pub(super) async fn rotate_secret(
    client: &Client,
    one: &OneEndpoint,
    overlap: Option<Duration>,
    as_json: bool,
) -> anyhow::Result<()> {
    let id = client.endpoint_id(&one.endpoint_id).await?;
    let overlap = overlap.unwrap_or(DEFAULT_OVERLAP);
    let body = json!({ "overlap_seconds": overlap.as_secs() });
    let response = client.post(&[PATH, &id, "rotate-secret"], &body, &[]).await?;
    if as_json {
        return output::json(&response);
    }
    show_secret(data(&response))?;
    if overlap.is_zero() {
        output::note("The old secret no longer signs.");
    } else {
        let until = Clock::system().now().plus(overlap).to_string();
        output::note(format_args!(
            "Until {}, deliveries have signatures of the old and the new secret.",
            when::absolute(&until)
        ));
    }
    Ok(())
}

/// Shows a secret that the gateway shows only now.
fn show_secret(endpoint: &Json) -> anyhow::Result<()> {
    let mut table = Table::details();
    for (title, name) in [
        ("endpoint", "id"),
        ("url", "url"),
        ("secret", "secret"),
        ("public key", "public_key"),
    ] {
        table.detail(title, response::field(endpoint, name));
    }
    table.print("")?;
    output::note("\nKeep the secret: it is not shown again. Your app verifies events with it.");
    Ok(())
}

fn details(endpoint: &Json) -> Table {
    let field = |name| response::field(endpoint, name);
    let at = |name: &str| time(&response::field(endpoint, name));
    let number = |name: &str, unit: &str| match response::field(endpoint, name) {
        number if number.is_empty() || !terminal::is_terminal() => number,
        number => format!("{number}{unit}"),
    };
    let mut table = Table::details();
    table.detail("endpoint", field("id"));
    table.detail("url", url(endpoint));
    table.detail("state", state(endpoint));
    table.detail("problem", problem(endpoint));
    table.detail("description", field("description"));
    table.detail("events", words(endpoint, "events"));
    table.detail("format", field("format"));
    table.detail("integrations", words(endpoint, "integrations"));
    table.detail("tags", tags(endpoint));
    table.detail("headers", words(endpoint, "header_names"));
    table.detail("ordered", yes_or_no(endpoint, "ordered"));
    table.detail("unchanged runs", yes_or_no(endpoint, "unchanged_runs"));
    table.detail("attempts", waits(endpoint));
    table.detail("timeout", number("timeout_seconds", " s"));
    table.detail("rate", number("rate_per_second", " a second"));
    table.detail("concurrency", number("concurrency", " at a time"));
    table.detail("public key", field("public_key"));
    table.detail("created", at("created_at"));
    table.detail("updated", at("updated_at"));
    table
}

fn data(response: &Json) -> &Json {
    response.get("data").unwrap_or(&Json::Null)
}

/// Returns its URL. An address of `/environment/webhooks` without one serves connections that have a URL of their own.
fn url(endpoint: &Json) -> String {
    match response::field(endpoint, "url") {
        url if url.is_empty() => "(those of connections)".to_owned(),
        url => url,
    }
}

fn state(endpoint: &Json) -> &'static str {
    let failures = endpoint.get("failures").and_then(Json::as_u64);
    if endpoint.get("enabled") == Some(&Json::Bool(false)) {
        state::DISABLED
    } else if failures.is_some_and(|failures| failures > 0) {
        state::FAILING
    } else {
        state::OK
    }
}

/// Returns why it is disabled, or how long it has been failing; empty if all is well.
fn problem(endpoint: &Json) -> String {
    let field = |name| response::field(endpoint, name);
    let failures = endpoint
        .get("failures")
        .and_then(Json::as_u64)
        .unwrap_or_default();
    match (state(endpoint), field("disabled_reason")) {
        (state::DISABLED, reason) if !reason.is_empty() => {
            format!("{reason} ({})", distance(&field("disabled_at")))
        }
        (state::FAILING, _) => {
            let since = distance(&field("failing_since"));
            let now = Clock::system().now();
            let next = match field("paused_until") {
                until if until.parse().is_ok_and(|until: Timestamp| until > now) => {
                    format!(", the next {}", distance(&until))
                }
                _ => String::new(),
            };
            let attempts = if failures == 1 { "attempt" } else { "attempts" };
            format!(
                "{} {attempts} failed, the first {since}{next}",
                table::count(failures)
            )
        }
        _ => String::new(),
    }
}

fn words(endpoint: &Json, name: &str) -> String {
    let words = response::list(endpoint, name).iter().filter_map(Json::as_str);
    words.collect::<Vec<_>>().join(", ")
}

fn tags(endpoint: &Json) -> String {
    let tags = endpoint.get("tags").and_then(Json::as_object);
    let tags = tags.into_iter().flatten();
    let tags = tags.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    tags.collect::<Vec<_>>().join(", ")
}

fn yes_or_no(endpoint: &Json, name: &str) -> &'static str {
    if endpoint.get(name) == Some(&Json::Bool(true)) {
        "yes"
    } else {
        "no"
    }
}

/// Returns the waits before the attempts: `at once, 5 s, 5 min` on a terminal, `0,5,300` in a pipe.
fn waits(endpoint: &Json) -> String {
    let waits = response::list(endpoint, "retry_seconds").iter();
    let waits = waits.filter_map(Json::as_u64);
    if !terminal::is_terminal() {
        let waits = waits.map(|wait| wait.to_string());
        return waits.collect::<Vec<_>>().join(",");
    }
    waits.map(wait).collect::<Vec<_>>().join(", ")
}

fn wait(seconds: u64) -> String {
    match seconds {
        0 => "at once".to_owned(),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_an_endpoint_comes_with_its_problem() {
        let well = json!({ "enabled": true, "failures": 0, "failing_since": null });
        assert_eq!((state(&well), problem(&well).as_str()), ("ok", ""));
        let failing = json!({ "enabled": true, "failures": 1, "failing_since": "2026-11-29T10:00:00Z" });
        assert_eq!(state(&failing), "failing");
        assert_eq!(
            problem(&failing),
            "1 attempt failed, the first 2026-11-29T10:00:00Z"
        );
        let paused = json!({ "failures": 6, "failing_since": "2026-11-29T10:00:00Z", "paused_until": "2999-01-01T00:00:00Z" });
        assert!(problem(&paused).ends_with("10:00:00Z, the next 2999-01-01T00:00:00Z"));
        let off = json!({ "enabled": false, "failures": 9, "disabled_reason": null });
        assert_eq!((state(&off), problem(&off).as_str()), ("disabled", ""));
        let gone =
            json!({ "enabled": false, "disabled_reason": "410 Gone", "disabled_at": "2026-11-29T10:00:00Z" });
        assert_eq!(problem(&gone), "410 Gone (2026-11-29T10:00:00Z)");
    }

    #[test]
    fn waits_are_in_the_largest_unit_that_fits() {
        let shown = [0, 5, 90, 300, 7_200, 86_400].map(wait);
        assert_eq!(shown, ["at once", "5 s", "90 s", "5 min", "2 h", "24 h"]);
    }
}
