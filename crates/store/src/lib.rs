//! All SQL of Trunkline: the control tables, leased work, the typed tables of synced records, and migrations.
//!
//! This crate knows no HTTP and no provider. One [`Store`] stands for two databases: SQLite in a file, and PostgreSQL. Every function
//! takes the connection of the transaction that it belongs to. It also takes the environment, or is named `…_any_environment`, unless
//! its other arguments are known to belong to the caller.

pub mod actions;
pub mod api_keys;
mod column;
pub mod connect_sessions;
pub mod connections;
mod connector;
pub mod credentials;
mod db_conn;
mod dialect;
pub mod environments;
mod error;
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
pub mod syncs;
pub mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod url;
pub mod vault_keys;

pub use connector::StoreOptions;
pub use db_conn::{DbConn, at_once};
pub use error::StoreError;
pub use lease::Lease;
pub use store::Store;
pub use url::{DatabaseUrl, DatabaseUrlError, Dialect, PostgresUrl};
