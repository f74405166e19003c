//! Webhooks: their settings, the queue, and the sender, which signs them as Twilio does.

mod address;
mod callback;
mod client;
mod configuration;
mod faults;
mod log;
mod policy;
mod queue;
mod send;
mod sender;
mod signature;
mod signed_url;
mod streams;
mod wire;

pub(crate) use address::Address;
pub(crate) use callback::{Callback, Form, Payload};
pub use callback::{WebhookKind, WebhookMethod};
pub(crate) use configuration::{
    Configuration, KeptResponse, MOST, Match, Operation, Rule, RuleVersion, Setting, SettingSignature,
    SharedKey,
};
pub use faults::WebhookFaults;
pub use log::{WebhookAttempt, WebhookEntry, WebhookLog, WebhookOutcome};
pub(crate) use policy::{Policy, RetryOn};
pub(crate) use sender::{Sender, SenderConfig};
pub(crate) use signature::{Algorithm, sign};
pub use signed_url::SignedUrl;
pub(crate) use streams::{EVENT_TYPES, EventType, Sink, Streams, Subscription};
