//! The log of webhooks, for assertions: what was sent, and how the receiver answered.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::webhooks::callback::WebhookKind;

const KEPT: usize = 10_000;

/// How a webhook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookOutcome {
    /// A 2xx.
    Delivered,
    /// The last attempt got no 2xx.
    Failed,
    /// A fault kept it from being sent.
    Lost,
    /// Not sent: the queue was full, or the URL belongs to Twilio itself.
    Dropped,
}

/// One request to the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAttempt {
    /// By the simulator's clock.
    pub at: DateTime<Utc>,
    /// The status of the response.
    pub status: Option<u16>,
    /// Why there was no response.
    pub error: Option<String>,
    /// The first 16 KB of the response's body.
    pub response: String,
    /// Until the response ended.
    pub millis: u64,
}

/// A webhook with all its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEntry {
    /// From 0, in the order in which the webhooks came up.
    pub number: u64,
    /// What it reports.
    pub kind: WebhookKind,
    /// The SID of the message, call or conversation, or the id of the event.
    pub subject: String,
    /// The status or event type: `delivered`, `completed`, `com.twilio.messaging.message.sent`.
    pub state: String,
    /// `POST` or `GET`.
    pub method: String,
    /// The URL that was requested: without user info and fragment, with an added query.
    pub url: String,
    /// The URL that was signed.
    pub signed_url: String,
    /// The body of the request.
    pub body: String,
    /// `X-Twilio-Signature`.
    pub signature: Option<String>,
    /// `X-Twilio-Webhooks-Signature-Settings`: the shared key and its algorithm.
    pub signature_settings: Option<String>,
    /// `I-Twilio-Idempotency-Token`.
    pub idempotency_token: String,
    /// The names of the faults that affected it.
    pub faults: Vec<String>,
    /// How it ended.
    pub outcome: WebhookOutcome,
    /// Oldest first.
    pub attempts: Vec<WebhookAttempt>,
}

impl WebhookEntry {
    /// Returns the status of the last response.
    pub fn status(&self) -> Option<u16> {
        self.attempts.last().and_then(|attempt| attempt.status)
    }
}

/// The webhooks since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookLog {
    /// The number of webhooks that ended.
    pub total: u64,
    /// Webhooks by outcome.
    pub by_outcome: BTreeMap<WebhookOutcome, u64>,
    /// The number of requests to receivers, retries included.
    pub requests: u64,
    /// The last 10,000 webhooks, in the order in which they ended.
    pub entries: VecDeque<WebhookEntry>,
}

impl WebhookLog {
    pub(crate) fn record(&mut self, entry: WebhookEntry) {
        self.total += 1;
        *self.by_outcome.entry(entry.outcome).or_default() += 1;
        self.requests += u64::try_from(entry.attempts.len()).unwrap_or(0);
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}
