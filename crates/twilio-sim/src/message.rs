//! A message in the API: twenty fields, in Twilio's order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The status of a message: the thirteen values that Twilio documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "Twilio documents these names")]
pub enum Status {
    Queued,
    Sending,
    Sent,
    Failed,
    Delivered,
    Undelivered,
    Receiving,
    Received,
    Accepted,
    Scheduled,
    Read,
    PartiallyDelivered,
    Canceled,
}

impl Status {
    /// Returns the value in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Read => "read",
            Self::PartiallyDelivered => "partially_delivered",
            Self::Canceled => "canceled",
        }
    }

    /// Returns whether a message with this status was sent, and so has a `date_sent`. `failed` may be either.
    pub(crate) fn is_past_sending(self) -> bool {
        match self {
            Self::Sent
            | Self::Delivered
            | Self::Undelivered
            | Self::Receiving
            | Self::Received
            | Self::Read
            | Self::PartiallyDelivered => true,
            Self::Queued
            | Self::Sending
            | Self::Failed
            | Self::Accepted
            | Self::Scheduled
            | Self::Canceled => false,
        }
    }
}

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To one of the account's numbers.
    Inbound,
    /// By the REST API.
    #[default]
    OutboundApi,
    /// During a call.
    OutboundCall,
    /// By TwiML, in reply to an inbound message.
    OutboundReply,
}

impl Direction {
    /// Returns the value in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundCall => "outbound-call",
            Self::OutboundReply => "outbound-reply",
        }
    }
}

/// A message. It serializes to exactly the JSON of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "Twilio documents these fields in its Messages resource"
)]
pub struct Message {
    pub body: Option<String>,
    /// A count as text; `"0"` until a Messaging Service selects a sender.
    pub num_segments: Option<String>,
    pub direction: Direction,
    /// Null until a Messaging Service selects a sender.
    pub from: Option<String>,
    /// RFC 2822, in whole seconds, like the other dates.
    pub date_updated: Option<String>,
    /// A negative decimal as text; null until billed.
    pub price: Option<String>,
    pub error_message: Option<String>,
    pub uri: String,
    pub account_sid: String,
    pub num_media: Option<String>,
    pub to: Option<String>,
    pub date_created: Option<String>,
    pub status: Status,
    pub sid: String,
    pub date_sent: Option<String>,
    pub messaging_service_sid: Option<String>,
    pub error_code: Option<i64>,
    pub price_unit: Option<String>,
    pub api_version: String,
    pub subresource_uris: SubresourceUris,
    /// A field that Twilio does not document; only some messages have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
}

/// Relative paths of a message's subresources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubresourceUris {
    /// The list of its media.
    pub media: String,
    /// Its feedback; absent in the response to a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
}
