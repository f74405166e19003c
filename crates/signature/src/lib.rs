//! Signatures of webhooks: what Trunkline signs for an app, and how it verifies what a provider sent.
//!
//! Pure functions without I/O: the time, the keys and the bytes are parameters. Invariants: a key enters as a [`SecretString`], and no
//! error and no `Debug` output shows a key, a signature or a body; signatures are compared in constant time; the work for a request is
//! bounded before anything is known of its sender.
//!
//! A request of a provider is a [`Message`]: [`verify()`] tells whether it is genuine, [`Message::events`] what it brings.

mod candidates;
mod headers;
mod key;
mod message;
pub mod nango;
mod refused;
mod signed;
pub mod standard;
mod url_variants;
mod value;
mod verify;

pub use candidates::{Candidates, StoredSecret};
pub use headers::Headers;
pub use message::{ChallengeResponse, Event, Message, Request};
pub use refused::Refused;
pub use secrecy::{ExposeSecret, SecretString};
pub use verify::{Verified, verify};
