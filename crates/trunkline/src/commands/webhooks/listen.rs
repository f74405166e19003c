//! `webhooks listen`: forwards new events to an app on this machine, signed like webhooks.

use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use domain::Clock;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect;
use secrecy::ExposeSecret;
use serde_json::json;
use signature::standard::{self, SigningKey};
use url::Url;

use crate::cli::ListenOptions;
use crate::client::{Client, Event, Feed, Types};
use crate::event_line::{self, Mood, Remark};
use crate::lifecycle::Signals;
use crate::output;
use crate::usage::UsageError;

/// How long the app may take, as webhook endpoints have it by default.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The waits before a refused connection is tried again: an app that is being restarted is back soon.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How much of a response's body is shown, and read.
const SHOWN: usize = 200;
/// The most events of the first page, which has those that happen while the command starts.
const FIRST: usize = 100;

/// Forwards events until a signal ends the command, which is then a success.
pub(super) async fn run(client: &Client, options: &ListenOptions, as_json: bool) -> anyhow::Result<()> {
    let types = Types::parse(&options.events)?;
    let secret = options.secret.clone().unwrap_or_else(standard::generate_secret);
    let key = SigningKey::parse(&secret).map_err(|rule| UsageError(format!("--secret: {rule}")))?;
    let mut signals = Signals::listen()?;
    let mut forwarder = Forwarder::new(options.forward_to.clone(), key, as_json)?;
    let mut feed = Feed::from_now(types);
    let forward = async {
        // If the gateway is not there at first, its address is most likely wrong.
        let first = feed.next(client, FIRST).await?;
        output::verbatim_note(format_args!(
            "Forwarding the events of {} to {}.\nThe signing secret is {}\nCtrl-C ends this.\n",
            client.url(),
            forwarder.to,
            secret.expose_secret()
        ));
        if !as_json {
            event_line::print_heading(&["status", "ms", "problem"])?;
        }
        for event in first {
            forwarder.forward(&event).await?;
        }
        feed.follow(client, async |event| forwarder.forward(&event).await)
            .await
    };
    tokio::select! {
        failed = forward => failed?,
        _ = signals.next() => {}
    }
    output::note(format_args!("\n{}", forwarder.summary()));
    Ok(())
}

/// Sends events to one address.
struct Forwarder {
    http: reqwest::Client,
    to: Url,
    key: SigningKey,
    as_json: bool,
    accepted: u64,
    failed: u64,
}

/// What came of an event.
struct Sent {
    status: Option<u16>,
    took: Duration,
    /// What went wrong; empty if nothing did.
    problem: String,
}

impl Sent {
    fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Forwarder {
    fn new(to: Url, key: SigningKey, as_json: bool) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            to,
            key,
            as_json,
            accepted: 0,
            failed: 0,
        })
    }

    /// Sends an event, and prints a line about it.
    async fn forward(&mut self, event: &Event) -> anyhow::Result<()> {
        let sent = self.send(event).await?;
        if sent.is_accepted() {
            self.accepted += 1;
        } else {
            self.failed += 1;
        }
        let ms = sent.took.as_millis();
        if self.as_json {
            let line = json!({
                "id": event.id, "type": event.r#type, "timestamp": event.timestamp,
                "connection_id": event.data.get("connection_id"),
                "provider_config_key": event.data.get("provider_config_key"),
                "status": sent.status, "duration_ms": u64::try_from(ms).unwrap_or(u64::MAX),
                "problem": Some(&sent.problem).filter(|problem| !problem.is_empty()),
            });
            return output::line(line);
        }
        let status = sent.status.map(|status| status.to_string());
        let mood = if sent.is_accepted() { Mood::Good } else { Mood::Bad };
        let result = format!("{}  {ms} ms", status.as_deref().unwrap_or("---"));
        let values = [status.unwrap_or_default(), ms.to_string(), sent.problem.clone()];
        let remark = Remark {
            result: Some((result, mood)),
            text: &sent.problem,
            values: &values,
        };
        event_line::print(event, &remark)
    }

    /// Sends an event once. A refused connection is tried again for some seconds.
    async fn send(&self, event: &Event) -> anyhow::Result<Sent> {
        let body = event.standard_body();
        let mut waits = AGAIN.into_iter();
        loop {
            let signed = standard::sign([&self.key], &event.id, Clock::system().now(), body.as_bytes())?;
            let request = self
                .http
                .post(self.to.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(USER_AGENT, concat!("trunkline-cli/", env!("CARGO_PKG_VERSION")))
                .body(body.clone());
            let headers = signed.headers();
            let request = headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value));
            let began = Instant::now();
            let response = request.send().await;
            let took = began.elapsed();
            return Ok(match response {
                Ok(response) => {
                    let status = response.status();
                    let problem = if status.is_success() {
                        String::new()
                    } else if status.is_redirection() {
                        "webhooks do not follow redirects".to_owned()
                    } else {
                        said(response).await
                    };
                    Sent {
                        status: Some(status.as_u16()),
                        took,
                        problem,
                    }
                }
                Err(error) => {
                    let refused = is_refused(&error);
                    if refused && let Some(wait) = waits.next() {
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    Sent {
                        status: None,
                        took,
                        problem: self.described(&error, refused),
                    }
                }
            });
        }
    }

    /// Returns why there is no response.
    fn described(&self, error: &reqwest::Error, refused: bool) -> String {
        if refused {
            return format!(
                "nothing listens at {}: the connection was refused {} times",
                self.to,
                AGAIN.len() + 1
            );
        }
        if error.is_timeout() {
            return format!("no response within {} s", TIMEOUT.as_secs());
        }
        // The last cause says most.
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        format!("no response: {cause}")
    }

    fn summary(&self) -> String {
        let events = self.accepted + self.failed;
        let plural = if events == 1 { "" } else { "s" };
        match self.failed {
            0 => format!("{events} event{plural} forwarded."),
            failed => format!("{events} event{plural} forwarded; your app did not accept {failed}."),
        }
    }
}

/// Whether nothing listens at the address.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the beginning of a response's body.
async fn said(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < SHOWN
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(&part);
    }
    let text = String::from_utf8_lossy(&body);
    let text = text.trim();
    let beginning: String = text.chars().take(SHOWN).collect();
    if beginning.len() < text.len() {
        beginning + "…"
    } else {
        beginning
    }
}
