//! All SQL of Trunkline: the control tables, leased work, the typed tables of synced records, and migrations.
//!
//! This crate knows no HTTP and no provider. One [`Store`] stands for two databases: SQLite in a file, and PostgreSQL. Every function
//! takes the connection of the transaction that it belongs to.
//!
//! A function that serves a caller takes the environment, or a row or id that was already found within it. The caller's environment is
//! itself found by a name, or by the hash of an API key or of a session's token. Functions of the worker and of clean-up work on all
//! environments. A read that could be mistaken for one within an environment, and is not, is named `…_any_environment`.

pub mod actions;
pub mod api_keys;
mod column;
pub mod connect_sessions;
pub mod connections;
mod connector;
pub mod credentials;
mod db_conn;
pub mod deliveries;
mod dialect;
pub mod endpoints;
pub mod environments;
mod error;
pub mod events;
pub mod incoming;
pub mod integration_secrets;
pub mod integrations;
pub mod lease;
mod migrations;
mod outage;
mod pool;
pub mod records;
mod run_notes;
pub mod runs;
pub mod schedule;
mod schema;
pub mod slices;
mod store;
pub mod subscriptions;
pub mod syncs;
pub mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod url;
pub mod vault_keys;
pub mod webhook_secrets;

pub use connector::StoreOptions;
pub use db_conn::{DbConn, at_once};
pub use error::StoreError;
pub use lease::Lease;
pub use store::Store;
pub use url::{DatabaseUrl, DatabaseUrlError, Dialect, PostgresUrl};
