//! Signatures of webhooks: what Trunkline signs for an app, and how it verifies what a provider sent.
//!
//! Pure functions without I/O: the time, the keys and the bytes are parameters. Invariants: a key enters as a [`SecretString`], and no
//! error and no `Debug` output shows a key, a signature or a body; signatures are compared in constant time.

pub mod nango;
pub mod standard;

pub use secrecy::{ExposeSecret, SecretString};
