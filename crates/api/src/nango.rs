//! Routes that exist only for clients of Nango: former paths, the protocol of its front-end library, and what its tools ask for. Only the
//! table of routes, the document and the server import this module.

pub(crate) mod aliases;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod front_end;
pub(crate) mod oauth;
pub(crate) mod quickstart;
pub(crate) mod scripts;
pub(crate) mod telemetry;
pub(crate) mod variables;
pub(crate) mod webhooks;
