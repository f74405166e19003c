//! The arguments of `webhooks` and `events`.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand};
use secrecy::SecretString;
use url::Url;

use super::{Api, examples, pair};

#[derive(Debug, Args)]
#[command(after_help = examples::WEBHOOKS)]
pub(crate) struct Webhooks {
    #[command(subcommand)]
    pub(crate) command: Option<WebhooksCommand>,
    #[command(flatten)]
    pub(crate) api: Api,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List the webhook endpoints
    List,
    /// Show one endpoint
    Show(OneEndpoint),
    /// Create an endpoint, and show its secret once
    ///
    /// It gets the events that happen from now on.
    Create {
        /// Where events are sent: an https URL
        // Not the argument `url`, which sets `api_url`.
        #[arg(id = "endpoint_url", value_name = "URL")]
        to: String,
        /// Sign with an ed25519 key too, which needs no shared secret to verify
        #[arg(long)]
        ed25519: bool,
        #[command(flatten)]
        settings: Box<EndpointOptions>,
    },
    /// Change an endpoint: what you do not name stays
    Update {
        #[command(flatten)]
        one: OneEndpoint,
        /// Send events to this URL
        #[arg(id = "endpoint_url", long = "to", value_name = "URL")]
        to: Option<String>,
        /// Send events again; those since it was disabled follow, as far as they are kept
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Send no events until it is enabled again
        #[arg(long)]
        disable: bool,
        /// Set these back to their defaults
        #[arg(long, value_name = "SETTING", value_delimiter = ',', value_parser = PossibleValuesParser::new(RESETTABLE))]
        reset: Vec<String>,
        #[command(flatten)]
        settings: Box<EndpointOptions>,
    },
    /// Delete an endpoint with its deliveries
    Delete {
        #[command(flatten)]
        one: OneEndpoint,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Replace the secret of an endpoint, and its ed25519 key if it has one
    RotateSecret {
        #[command(flatten)]
        one: OneEndpoint,
        /// How long deliveries have signatures of the old secret too, such as 12h; at most 7d [default: 1d]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        overlap: Option<Duration>,
    },
    /// Send an example event to an endpoint now, and show the response
    ///
    /// The exit status is 1 unless the endpoint accepts it. Nothing is stored, and nothing is sent again.
    Example {
        #[command(flatten)]
        one: OneEndpoint,
        /// Type of the event, such as sync.succeeded
        #[arg(value_name = "TYPE")]
        event_type: String,
    },
    /// Send events to an endpoint again
    #[command(
        group = ArgGroup::new("what").required(true).multiple(true).args(["failed", "since", "from_change"]),
        override_usage = REPLAY_USAGE
    )]
    Replay {
        #[command(flatten)]
        one: OneEndpoint,
        /// Only deliveries that failed
        #[arg(long, conflicts_with = "from_change")]
        failed: bool,
        /// Events since this time: ISO 8601, or how long ago, such as 2h
        #[arg(long, value_name = "TIME", conflicts_with = "from_change")]
        since: Option<String>,
        /// Events since the run that wrote this change number (`_cursor`) or a later one
        #[arg(long, value_name = "N")]
        from_change: Option<i64>,
    },
    /// List deliveries, newest first
    Deliveries {
        /// Id of the endpoint, or its beginning [default: all]
        #[arg(long, value_name = "ID")]
        endpoint: Option<String>,
        /// Only deliveries in this state
        #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
        status: Option<String>,
        /// Connection id; the beginning of a UUID is enough [default: all]
        #[arg(long, value_name = "ID")]
        connection: Option<String>,
        /// How many deliveries to list
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show one delivery with its attempts
    Delivery(OneDelivery),
    /// Send one delivery again, whatever its state
    ReplayDelivery(OneDelivery),
    /// Forward new events to an app on this machine, until Ctrl-C
    ///
    /// The command reads the feed of events, so it needs no address that the gateway can reach, and no endpoint. Each event is signed and
    /// sent as a webhook endpoint with the format `standard` gets it, except that it is sent once: only a refused connection is tried again,
    /// for some seconds.
    Listen(Listen),
}

#[derive(Debug, Args)]
pub(crate) struct OneEndpoint {
    /// Id of the endpoint, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) endpoint_id: String,
}

#[derive(Debug, Args)]
pub(crate) struct OneDelivery {
    /// Id of the delivery, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) delivery_id: String,
}

/// What can be set of an endpoint.
#[derive(Debug, Default, Args)]
pub(crate) struct EndpointOptions {
    /// Types of events: types, groups such as sync.*, or * for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub(crate) events: Vec<String>,
    /// Form of the bodies
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["standard", "nango"]))]
    pub(crate) format: Option<String>,
    /// Deliver the events of each connection in order: one that fails holds back later ones
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) ordered: Option<bool>,
    /// Send the ends of runs that changed nothing, too
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) unchanged_runs: Option<bool>,
    /// Only events of this integration; repeat the flag for several
    // Not the argument `integration`, which names the integration that a command is about.
    #[arg(
        id = "integrations",
        long = "integration",
        value_name = "INTEGRATION",
        value_delimiter = ','
    )]
    pub(crate) integrations: Vec<String>,
    /// Only events of connections with this tag; repeat the flag for several
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// A header of your own, such as Authorization; replaces all earlier ones. Other users of this machine can see it
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// What the endpoint is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// The most deliveries in a second
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// The most deliveries at a time
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<u32>,
    /// The waits before each attempt, such as 0,5,300
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    pub(crate) retry_seconds: Vec<u32>,
    /// How long the receiver may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::LISTEN)]
pub(crate) struct Listen {
    /// Where to send the events, such as http://localhost:4000/hook
    #[arg(long, value_name = "URL", value_parser = web_address)]
    pub(crate) forward_to: Url,
    /// Types of events: types, groups such as sync.*, or * for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "*")]
    pub(crate) events: Vec<String>,
    /// Sign with this secret, whsec_… [default: a new one, which the command shows]
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Option<SecretString>,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Types of events: types, groups such as sync.*, or * for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "*")]
    pub(crate) types: Vec<String>,
    /// How many events to list
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "follow")]
    pub(crate) limit: usize,
    /// Print new events as they happen, until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// Replaces clap's usage, which is too wide and does not show which flags belong together.
const REPLAY_USAGE: &str = "\
trunkline webhooks replay <ID> --failed [--since <TIME>]
       trunkline webhooks replay <ID> --since <TIME>
       trunkline webhooks replay <ID> --from-change <N>";

/// The settings that `update --reset` can name: the flags of [`EndpointOptions`].
const RESETTABLE: [&str; 12] = [
    "events",
    "format",
    "ordered",
    "unchanged-runs",
    "integrations",
    "tags",
    "headers",
    "description",
    "rate",
    "concurrency",
    "retry-seconds",
    "timeout",
];

/// The states of a delivery.
const STATES: [&str; 4] = ["pending", "delivered", "failed", "aborted"];

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME:VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Parses an address; without a scheme it is http, since it is most likely on this machine.
fn web_address(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    Url::parse(&whole)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "must be a URL such as http://localhost:4000/hook".to_owned())
}

/// Parses a duration: seconds, or a number with the unit s, m, h or d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(3_600),
        Some("d") => Some(86_400),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    let seconds = number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit));
    let seconds = seconds.ok_or("must be a number and a unit, such as 30s, 15m, 12h or 1d")?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, seconds) in [
            ("90", 90),
            ("30s", 30),
            ("15m", 900),
            ("12h", 43_200),
            ("1d", 86_400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1w", "1.5h", "-1", "1 h", "99999999999999999d", "1dé"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_to_forward_to_needs_no_scheme() {
        assert_eq!(
            web_address("localhost:4000/hook").unwrap().as_str(),
            "http://localhost:4000/hook"
        );
        assert!(web_address("https://app.acme.example").is_ok());
        for text in ["", "ftp://localhost", "http://"] {
            assert!(web_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let parsed = header("Authorization: Bearer a:b").unwrap();
        assert_eq!(parsed, ("Authorization".to_owned(), "Bearer a:b".to_owned()));
        assert!(header("Authorization").is_err());
    }
}
