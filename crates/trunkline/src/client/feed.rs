//! The feed of events of an environment.

use std::time::Duration;

use domain::{EventType, matches_type};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Client, ClientError, response};
use crate::usage::UsageError;
use crate::{output, suggest};

/// How many events a page of a followed feed has at most.
const PAGE: usize = 100;
/// How often the feed is read while it has nothing new.
const IDLE: Duration = Duration::from_millis(300);
/// The waits between two requests while the gateway does not respond: each is twice as long as the one before.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An event, as the API shows it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) r#type: String,
    pub(crate) timestamp: String,
    pub(crate) data: Json,
}

impl Event {
    /// Returns a field of its data as text; nothing if it is missing or null.
    pub(crate) fn field(&self, name: &str) -> String {
        response::field(&self.data, name)
    }

    /// Returns the body that a webhook endpoint with the format `standard` gets.
    pub(crate) fn standard_body(&self) -> String {
        json!({ "type": self.r#type, "timestamp": self.timestamp, "data": self.data }).to_string()
    }
}

/// The types of events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Types {
    /// All, also those that this version does not know.
    All,
    /// These, separated by commas.
    Some(String),
}

impl Types {
    /// Reads types and groups such as `sync.*`; `*` stands for all types.
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, UsageError> {
        let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
        let mut wanted: Vec<&str> = Vec::new();
        for pattern in patterns {
            let before = wanted.len();
            let matching = EventType::ALL
                .iter()
                .filter(|known| matches_type(pattern, **known));
            wanted.extend(matching.map(|matching| matching.as_str()));
            if wanted.len() == before {
                let unknown = suggest::unknown("there is no type of event", pattern, "there are", &known);
                return Err(UsageError(unknown.to_string()));
            }
        }
        if patterns.iter().any(|pattern| pattern == "*") {
            return Ok(Self::All);
        }
        Ok(Self::Some(wanted.join(",")))
    }
}

/// A position in the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    types: Types,
    /// `None` before the oldest event.
    cursor: Option<String>,
}

impl Feed {
    /// The feed from its oldest event.
    pub(crate) fn from_oldest(types: Types) -> Self {
        Self { types, cursor: None }
    }

    /// The feed from now on. It begins when its first page is read.
    pub(crate) fn from_now(types: Types) -> Self {
        Self {
            types,
            cursor: Some("latest".to_owned()),
        }
    }

    /// Returns where the next page begins.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Reads up to `limit` events and goes on to the next ones. After an error, the same page can be read again.
    pub(crate) async fn next(&mut self, client: &Client, limit: usize) -> Result<Vec<Event>, ClientError> {
        let limit = limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        if let Types::Some(types) = &self.types {
            query.push(("types", types));
        }
        let response = client.get(&["events"], &query).await?;
        let page: Page = serde_json::from_value(response).map_err(ClientError::Unexpected)?;
        self.cursor = Some(page.next_cursor);
        Ok(page.events)
    }

    /// Passes each new event to `receive`, in order, and never ends by itself. While the gateway does not respond, it waits; no event is
    /// missed.
    pub(crate) async fn follow(
        &mut self,
        client: &Client,
        mut receive: impl AsyncFnMut(Event) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut wait = SHORTEST_WAIT;
        loop {
            let pause = match self.next(client, PAGE).await {
                Ok(events) => {
                    if wait > SHORTEST_WAIT {
                        output::note("The gateway responds again.");
                        wait = SHORTEST_WAIT;
                    }
                    let pause = if events.is_empty() { IDLE } else { Duration::ZERO };
                    for event in events {
                        receive(event).await?;
                    }
                    pause
                }
                Err(error) if error.is_transient() => {
                    if wait == SHORTEST_WAIT {
                        let error = anyhow::Error::from(error);
                        output::note(format_args!(
                            "The gateway does not respond, and the command tries again until it does: {error}"
                        ));
                    }
                    let now = wait;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    now
                }
                Err(error) => return Err(error.into()),
            };
            tokio::time::sleep(pause).await;
        }
    }
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
    next_cursor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(patterns: &[&str]) -> Result<Types, UsageError> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Types::parse(&patterns)
    }

    #[test]
    fn types_are_names_groups_or_all() {
        let some = |types: &str| Types::Some(types.to_owned());
        assert_eq!(parse(&["*"]).unwrap(), Types::All);
        assert_eq!(parse(&["sync.failed", "*"]).unwrap(), Types::All);
        assert_eq!(parse(&["sync.failed"]).unwrap(), some("sync.failed"));
        assert_eq!(
            parse(&["action.*", "sync.failed"]).unwrap(),
            some("action.succeeded,action.failed,sync.failed")
        );
        let error = parse(&["sync.fail"]).unwrap_err().to_string();
        assert!(error.contains("did you mean sync.failed?"), "{error}");
    }

    #[test]
    fn the_body_has_type_timestamp_and_data_in_this_order() {
        let text = r#"{"id":"evt_1","type":"sync.failed","timestamp":"2026-11-29T10:00:00Z","data":{"b":1,"a":1.50}}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(
            event.standard_body(),
            r#"{"type":"sync.failed","timestamp":"2026-11-29T10:00:00Z","data":{"b":1,"a":1.50}}"#
        );
    }
}
