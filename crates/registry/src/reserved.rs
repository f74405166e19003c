//! Path segments that are reserved for the API's own routes, present and planned.
//!
//! The routes of an integration that is named like a reserved first segment could not be reached, nor could a list or an action whose
//! path begins with a reserved segment below the integration. The API's tests compare these lists with its routes.

/// The reserved first segments, sorted.
pub const RESERVED: [&str; 51] = [
    "action",
    "actions",
    "admin",
    "api",
    "api-auth",
    "assets",
    "audit",
    "auth",
    "config",
    "connect",
    "connect.js",
    "connection",
    "connections",
    "dashboard",
    "docs",
    "environment",
    "environment-variables",
    "environments",
    "events",
    "favicon.ico",
    "functions",
    "health",
    "images",
    "integrations",
    "login",
    "logout",
    "logs",
    "mcp",
    "metrics",
    "oauth",
    "oauth2",
    "openapi.json",
    "providers",
    "providers.json",
    "proxy",
    "ready",
    "records",
    "robots.txt",
    "scripts",
    "static",
    "sync",
    "syncs",
    "v1",
    "variants",
    "verify",
    "webhook",
    "webhook-deliveries",
    "webhook-endpoints",
    "webhook-events",
    "webhooks",
    "well-known",
];

/// The segments that are reserved below an integration (`/{integration}/connect`), sorted.
pub const RESERVED_BELOW: [&str; 3] = ["connect", "verify", "webhooks"];

/// Whether a first segment is reserved, ignoring case.
pub fn is_reserved(segment: &str) -> bool {
    contains(&RESERVED, segment)
}

/// Whether a segment below an integration is reserved, ignoring case.
pub fn is_reserved_below(segment: &str) -> bool {
    contains(&RESERVED_BELOW, segment)
}

fn contains(reserved: &[&str], segment: &str) -> bool {
    reserved
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(segment))
}
