//! Segments of paths that belong to the API itself, today or soon.
//!
//! An integration with a reserved first segment as its name would have routes that lead elsewhere, and so would a list or an action
//! with a reserved segment below the integration. These lists are the only ones; tests of the API compare them with its routes.

/// The reserved first segments, sorted.
pub const RESERVED: [&str; 50] = [
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
pub const RESERVED_BELOW: [&str; 2] = ["connect", "verify"];

/// Whether a first segment is reserved, in upper or lower case.
pub fn is_reserved(segment: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(segment))
}

/// Whether a segment below an integration is reserved, in upper or lower case.
pub fn is_reserved_below(segment: &str) -> bool {
    RESERVED_BELOW
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(segment))
}
