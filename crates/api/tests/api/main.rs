//! The API as its clients see it: a real server, a real database, and the simulator as the provider.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by a panic"
)]

mod action_refusals;
mod actions;
mod api_auth;
mod catalog;
mod connect;
mod connect_races;
mod connect_sessions;
mod connection_changes;
mod connection_credentials;
mod connection_imports;
mod connection_races;
mod connections;
mod conventions;
mod digits;
mod docs;
mod document;
mod environments;
mod example_requests;
mod examples;
mod feed;
mod feed_requests;
mod integration_secrets;
mod integrations;
mod methods;
mod names;
mod nul_characters;
mod permissions;
mod provider_responses;
mod proxy;
mod proxy_bytes;
mod proxy_stalls;
mod records;
mod request_checks;
mod secret_config;
mod secrets;
mod session_limits;
mod snapshots;
mod stored_actions;
mod subscriptions;
mod sync_races;
mod sync_requests;
mod syncs;
mod tenants;
mod variants;
