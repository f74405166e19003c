//! A faithful, deterministic simulator of Twilio's REST API (messages, calls, numbers, usage, Verify, Lookup), as a library for
//! tests and as the program `trunkline-sim`.
//!
//! The tests of any crate may depend on it; it depends on no other crate of the workspace. Invariant: message `i` of `N` is a pure
//! function of the seed, the base time and the clock. So a million messages need no memory; only inserted and changed messages are
//! stored.

mod assets;
mod bodies;
mod calendar;
mod calls;
mod change;
mod clock;
mod config;
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
mod phone;
mod plan;
mod random;
mod requests;
mod row;
mod shared;
mod sid;
mod simulator;
mod verification;
mod writer;

pub use assets::Assets;
pub use change::{Mutation, MutationKind, MutationReport, NewMessage, Patch};
pub use config::{Permission, SimConfig};
pub use credentials::Credentials;
pub use faults::{Burst, Faults};
pub use message::{Direction, Message, Status, SubresourceUris};
pub use requests::{RequestEntry, RequestLog};
pub use simulator::Simulator;
pub use verification::SentCode;
