//! A faithful, deterministic simulator of Twilio's REST API (messages, calls, numbers, usage, Verify, Lookup) and of its webhooks
//! (status callbacks, inbound messages, Event Streams, Conversations, the webhooks configuration API), as a library for tests and as
//! the program `trunkline-sim`.
//!
//! The tests of any crate may depend on it; it depends on no other crate of the workspace. Invariant: message `i` of `N` is a pure
//! function of the seed, the base time and the clock. So a million messages need no memory; only inserted, changed and watched
//! messages are stored.

mod assets;
mod bodies;
mod calendar;
mod callbacks;
mod calls;
mod change;
mod clock;
mod config;
mod conversations;
mod credentials;
mod dates;
mod faults;
mod filter;
mod http;
mod iterate;
mod lifecycle;
mod message;
mod message_store;
mod mutate;
mod numbers;
mod phone;
mod plan;
mod progress;
mod random;
mod requests;
mod resource_settings;
mod row;
mod shared;
mod sid;
mod simulator;
mod verification;
mod watches;
mod webhooks;
mod writer;

pub use assets::Assets;
pub use callbacks::{ConversationEvent, CustomWebhook, InboundMedia, InboundMessage};
pub use change::{Mutation, MutationKind, MutationReport, NewMessage, Patch};
pub use config::{Permission, SimConfig};
pub use credentials::Credentials;
pub use faults::{Burst, Faults};
pub use message::{Direction, Message, Status, SubresourceUris};
pub use requests::{RequestEntry, RequestLog};
pub use simulator::Simulator;
pub use verification::SentCode;
pub use webhooks::{
    SignedUrl, WebhookAttempt, WebhookEntry, WebhookFaults, WebhookKind, WebhookLog, WebhookMethod,
    WebhookOutcome,
};
