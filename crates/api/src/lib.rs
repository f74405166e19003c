//! The HTTP API: routes, the OpenAPI document, errors, streams.
//!
//! Only the binary and tests depend on this crate. A handler reads the request, calls the gateway once and converts the result; rules
//! and SQL are elsewhere. Three things always hold: a request without a key, or with a key that lacks the scope, reaches no handler; the
//! cause of an internal error is never in a response; query values, headers and bodies are never in the log.
//!
//! In layers, each of which imports only from those below: `server`; `document` and `routes`, the table; `nango`; the resources, from
//! `actions` to `verify`; and what they share, such as `query`, `body`, `caller` and `error`.

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
mod parameters;
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
mod webhooks;

pub use document::{openapi, openapi_for};
pub use server::{ApiOptions, serve};
