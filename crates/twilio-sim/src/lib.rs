//! A faithful, deterministic simulator of Twilio's REST API (messages, calls, numbers, usage, Verify, Lookup), as a library for
//! tests and as the program `trunkline-sim`.
//!
//! Any crate's tests may depend on it; it depends on no other crate of the workspace. Its invariant: message `i` of `N` is a pure
//! function of the seed, the base time and the clock, so that a million messages cost no memory; only what was inserted or
//! changed afterwards is stored.

mod assets;
mod bodies;
mod calendar;
mod calls;
mod change;
mod clock;
mod config;
mod course;
mod credentials;
mod dates;
mod faults;
mod filter;
mod http;
mod message;
mod mixing;
mod mutate;
mod phone;
mod plan;
mod requests;
mod row;
mod shared;
mod sid;
mod simulator;
mod verification;
mod walk;
mod world;
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
