//! `webhooks`: endpoints, deliveries, and a listener that forwards events to this machine.

mod deliveries;
mod endpoints;
mod listen;
mod settings;

use domain::{Clock, Timestamp};

use crate::cli::{self, Webhooks, WebhooksCommand};
use crate::client::Client;
use crate::usage::UsageError;
use crate::{terminal, when};

/// Runs a command about webhooks.
pub(crate) async fn run(client: &Client, options: Webhooks) -> anyhow::Result<()> {
    let as_json = options.api.json;
    match options.command.unwrap_or(WebhooksCommand::List) {
        WebhooksCommand::List => endpoints::list(client, as_json).await,
        WebhooksCommand::Show(one) => endpoints::show(client, &one, as_json).await,
        WebhooksCommand::Create {
            to,
            ed25519,
            settings,
        } => endpoints::create(client, &to, ed25519, &settings, as_json).await,
        WebhooksCommand::Update {
            one,
            to,
            enable,
            disable,
            reset,
            settings,
        } => {
            let mut body = settings::body(&settings, &reset)?;
            body.extend(to.map(|to| ("url".to_owned(), to.into())));
            if enable || disable {
                body.insert("enabled".to_owned(), enable.into());
            }
            endpoints::update(client, &one, body, as_json).await
        }
        WebhooksCommand::Delete { one, yes } => endpoints::delete(client, &one, yes, as_json).await,
        WebhooksCommand::RotateSecret { one, overlap } => {
            endpoints::rotate_secret(client, &one, overlap, as_json).await
        }
        WebhooksCommand::Example { one, event_type } => {
            deliveries::example(client, &one, &event_type, as_json).await
        }
        WebhooksCommand::Replay {
            one,
            failed,
            since,
            from_change,
        } => {
            let since = since.as_deref().map(since_time).transpose()?;
            let what = deliveries::Replay {
                failed,
                since,
                from_change,
            };
            deliveries::replay(client, &one, &what, as_json).await
        }
        WebhooksCommand::Deliveries {
            endpoint,
            status,
            connection,
            limit,
        } => {
            let endpoint = endpoint.as_deref();
            let connection = connection.as_deref();
            let filter = deliveries::Filter::complete(client, endpoint, status, connection).await?;
            deliveries::list(client, &filter, limit, as_json).await
        }
        WebhooksCommand::Delivery(one) => deliveries::show(client, &one, as_json).await,
        WebhooksCommand::ReplayDelivery(one) => deliveries::replay_one(client, &one, as_json).await,
        WebhooksCommand::Listen(options) => listen::run(client, &options, as_json).await,
    }
}

/// Reads a time, or how long ago it was.
fn since_time(text: &str) -> Result<Timestamp, UsageError> {
    let ago = || {
        let ago = cli::duration(text).ok()?;
        Some(Clock::system().now().minus(ago))
    };
    Timestamp::from_parameter(text).ok().or_else(ago).ok_or_else(|| {
        UsageError(format!(
            "--since must be a time in ISO 8601, such as 2026-11-21T10:00:00Z, or how long ago, such as 30m, 2h or 3d (got {text:?})"
        ))
    })
}

/// Returns a time of the API with its distance from now; in a pipe unchanged.
fn time(text: &str) -> String {
    if terminal::is_terminal() {
        when::both(text, Clock::system().now())
    } else {
        text.to_owned()
    }
}

/// Returns the distance of a time of the API from now; in a pipe the time.
fn distance(text: &str) -> String {
    if terminal::is_terminal() {
        when::relative(text, Clock::system().now())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_begins_at_a_time_or_some_time_ago() {
        let time = since_time("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-21T10:00:00Z");
        let now = Clock::system().now();
        let ago = now.since(since_time("2h").unwrap()).as_secs();
        assert!((7_190..=7_200).contains(&ago), "{ago}");
        let error = since_time("yesterday").unwrap_err().to_string();
        assert!(error.contains("--since") && error.contains("2h"), "{error}");
    }
}
