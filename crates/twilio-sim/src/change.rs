//! Changes that tests make: insert, patch, or mutate many messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::message::{Direction, Status};

/// A message to insert. Absent fields are generated. Without dates, it becomes the newest message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewMessage {
    /// A number, a channel address or a name.
    pub to: Option<String>,
    /// A number, a channel address or a name.
    pub from: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// `outbound-api` when absent.
    pub direction: Direction,
    /// With a service, the sender is selected seconds later.
    pub messaging_service_sid: Option<String>,
    /// A count above 0 gives an `MM` SID.
    pub num_media: u32,
    /// Scheduled for this time; until then it has no `date_sent`.
    pub send_at: Option<DateTime<Utc>>,
    /// Fixes the status. Without it, the status follows the clock.
    pub status: Option<Status>,
    /// The simulator's current time when absent.
    pub date_created: Option<DateTime<Utc>>,
    /// Fixes `date_sent`, for instance of a message that arrives late.
    pub date_sent: Option<DateTime<Utc>>,
    /// Fixes the price.
    pub price: Option<String>,
    /// Fixes the error code.
    pub error_code: Option<i64>,
    /// A field that Twilio does not document.
    pub tags: Option<Map<String, Value>>,
    /// Gets a webhook for each status after the initial one.
    pub status_callback: Option<String>,
}

/// Changes to one message. Absent fields stay unchanged. `date_updated` becomes the current time unless set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// Afterwards the clock no longer changes the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// `""` redacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A price, or null.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub price: Option<Option<String>>,
    /// A code, or null.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Option<i64>>,
    /// The error's message; Twilio's message of the code when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The number of remaining media.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_media: Option<u32>,
    /// Moves the message in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_sent: Option<DateTime<Utc>>,
    /// Never earlier than the last change by the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_updated: Option<DateTime<Utc>>,
    /// A field that Twilio does not document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// From now on, gets a webhook for each new status, this patch's included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<String>,
}

#[expect(clippy::option_option, reason = "distinguishes an absent field from null")]
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A kind of change that [`Mutation`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MutationKind {
    /// A later status: sent becomes delivered, delivered WhatsApp read, scheduled canceled, undelivered delivered.
    Status,
    /// A first price, or another one.
    Price,
    /// The body becomes empty.
    Redact,
    /// The message is deleted.
    Delete,
    /// `tags` changes, a field that Twilio does not document.
    Extra,
}

impl MutationKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Status, Self::Price, Self::Redact, Self::Delete, Self::Extra];
}

/// Changes a share of all messages, selected by a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// Selects the messages; the same seed selects the same messages.
    #[serde(default)]
    pub seed: u64,
    /// Share of the live messages, 0 to 1.
    pub share: f64,
    /// Only messages of the last this many days.
    #[serde(default)]
    pub within_days: Option<u32>,
    /// The kinds of change. Each message gets the first applicable kind, beginning at a random one. Empty means all.
    #[serde(default)]
    pub kinds: Vec<MutationKind>,
}

/// The result of a mutation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationReport {
    /// Selected messages.
    pub chosen: u64,
    /// Statuses changed.
    pub status: u64,
    /// Prices changed.
    pub price: u64,
    /// Bodies emptied.
    pub redact: u64,
    /// Messages deleted.
    pub delete: u64,
    /// `tags` changed.
    pub extra: u64,
    /// Selected messages to which no kind applied.
    pub unchanged: u64,
}
