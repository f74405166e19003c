//! Routes that exist for clients of Nango alone: former names of routes, the protocol of its front-end library, and what its tools ask
//! for. No other module knows this one, but for the table of routes and the server.

pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod front_end;
pub(crate) mod oauth;
pub(crate) mod quickstart;
pub(crate) mod scripts;
pub(crate) mod telemetry;
pub(crate) mod variables;
