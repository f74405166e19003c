//! What may be changed from outside: messages inserted, patched, and mutated by the thousand.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::message::{Direction, Status};

/// A message to insert. What is absent is made up; the newest message of all unless dates say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewMessage {
    /// A number, a channel address or a name.
    pub to: Option<String>,
    /// Likewise.
    pub from: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// `outbound-api` when absent.
    pub direction: Direction,
    /// With one, the sender is picked seconds later.
    pub messaging_service_sid: Option<String>,
    /// Above 0 makes an `MM` SID.
    pub num_media: u32,
    /// Scheduled for this time; until then it has no `date_sent`.
    pub send_at: Option<DateTime<Utc>>,
    /// Fixes the status; without it the message lives its life by the clock.
    pub status: Option<Status>,
    /// The simulator's now when absent.
    pub date_created: Option<DateTime<Utc>>,
    /// Fixes the date of sending, for instance of a late arrival.
    pub date_sent: Option<DateTime<Utc>>,
    /// Fixes the price.
    pub price: Option<String>,
    /// Fixes the error code.
    pub error_code: Option<i64>,
    /// A field that Twilio's description does not know.
    pub tags: Option<Map<String, Value>>,
}

/// Changes to one message; what is absent stays. `date_updated` becomes now unless given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// From now on the clock no longer moves the status.
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
    /// Words for the error; the usual ones when only the code is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// How many media are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_media: Option<u32>,
    /// Moves the message in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_sent: Option<DateTime<Utc>>,
    /// At least what the clock itself has made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_updated: Option<DateTime<Utc>>,
    /// A field that Twilio's description does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
}

#[expect(clippy::option_option, reason = "tells an absent field from a null one")]
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A kind of change that [`Mutation`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MutationKind {
    /// A later status: sent is delivered, delivered WhatsApp is read, scheduled is canceled, undelivered arrives after all.
    Status,
    /// A price where there was none, or another one.
    Price,
    /// The body becomes empty.
    Redact,
    /// The message is gone.
    Delete,
    /// `tags` changes, a field that Twilio's description does not know.
    Extra,
}

impl MutationKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Status, Self::Price, Self::Redact, Self::Delete, Self::Extra];
}

/// Changes to a share of all messages, chosen by its seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// Chooses the messages; the same seed chooses the same ones.
    #[serde(default)]
    pub seed: u64,
    /// Share of the live messages, 0 to 1.
    pub share: f64,
    /// Only messages that stand in the last so many days.
    #[serde(default)]
    pub within_days: Option<u32>,
    /// One of these for each message: the first that fits it, beginning at a random one. Empty means all.
    #[serde(default)]
    pub kinds: Vec<MutationKind>,
}

/// What a mutation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationReport {
    /// Messages that were chosen.
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
    /// Chosen messages that none of the kinds fitted.
    pub unchanged: u64,
}
