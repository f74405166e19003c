//! First segments of paths that belong to the API itself, today or soon.
//!
//! An integration of such a name would have routes that lead elsewhere, so no new integration, provider or short route may bear
//! one. The list is the only one; a test of the API compares it with its routes.

/// The reserved segments, sorted.
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

/// Whether a segment is reserved, in upper or lower case.
pub fn is_reserved(segment: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(segment))
}
