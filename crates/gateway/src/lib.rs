//! The use cases of Trunkline: authenticate, connect, list, trigger, query.
//!
//! The API and the worker use this crate and have no rules of their own; it knows no HTTP server and writes no SQL. The consequences of a
//! change are stored in its transaction, and no transaction spans a request to a provider.
//!
//! `gateway` is at the bottom. The use cases are the functions of the public modules above it. They take the [`Gateway`], except [`LostKeys`],
//! which is for databases that no gateway can open, and helpers that read no data, such as [`syncs::next_due`]. Modules import
//! each other in one direction only. Use cases share the modules between: `credentials`, `deletion`, `sync_permissions`, and [`health`],
//! which is public because the worker uses it too.

pub mod actions;
pub mod api_keys;
mod caller;
mod connection_webhooks;
pub mod connections;
mod credentials;
mod deletion;
pub mod encryption;
mod encryption_keys;
pub mod environments;
mod error;
pub mod events;
mod gateway;
pub mod health;
mod inbox;
mod inputs;
mod integration_config;
mod integration_secrets;
pub mod integrations;
mod labels;
mod log_context;
mod models;
pub mod providers;
pub mod proxy;
pub mod records;
mod refusals;
mod secrets;
pub mod sessions;
mod start;
mod sync_permissions;
pub mod syncs;
mod ttl_cache;
pub mod webhooks;

pub use actions::{ActionOutput, ActionRequest, MAX_RETRIES, StoredAction};
pub use api_keys::{NewKey, NewKeyRequest};
pub use caller::{Caller, Scope, scope};
pub use connections::{
    ConnectRequest, ConnectionDetails, ConnectionPatch, Import, MetadataChange, ShowCredentials,
};
pub use credentials::Connected;
pub use encryption::{Forgotten, LostKeys, Rotation};
pub use encryption_keys::{CurrentKey, KeySource, SealedCount};
pub use error::{ActionFailure, ActionFailureKind, FieldError, GatewayError, Refusal, Result, error_chain};
pub use gateway::{Gateway, Names, ResolvedIntegration, WebhookAddress};
pub use health::AUTH_PROBLEM;
pub use integrations::{FullIntegration, IntegrationChangeRequest, NewIntegrationRequest};
pub use labels::{EndUser, Organization};
pub use log_context::LogContext;
pub use models::ModelTable;
pub use records::{FeedPage, FeedRequest, PruneRequest, RecordFilter, RecordPage};
pub use sessions::{IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection};
pub use start::GatewayParts;
pub use store::StoreError;
pub use store::connect_sessions::ConnectSession;
pub use sync_permissions::{PERMISSION_PROBLEM, permission_hint, permission_problem};
pub use syncs::{SyncSelection, SyncStatus, TriggerOptions, TriggeredRun};
