//! The connection-manager API: routes, their OpenAPI, errors, streams.
//!
//! Only the binary (and tests) may depend on this crate. A handler extracts, makes one call of the gateway and converts; no rule
//! and no SQL lives here. The invariants: who has no key, or a key without the scope, reaches no handler; a cause of our own never
//! reaches an answer; neither a query's values nor a header nor a body reaches the log.

mod actions;
mod body;
mod caller;
mod connect;
mod connect_sessions;
mod connections;
mod document;
mod environments;
mod error;
mod functions;
mod headers;
mod health;
mod integrations;
mod middleware;
mod nango;
mod pages;
mod path;
mod providers;
mod proxy;
mod query;
mod records;
mod request_heads;
mod response;
mod router;
mod routes;
mod runs;
mod schema;
mod server;
mod syncs;
mod verify;

pub use document::{openapi, openapi_for};
pub use server::{ApiOptions, serve};
