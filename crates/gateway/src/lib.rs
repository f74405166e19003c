//! The use cases of Trunkline: authenticate, connect, list, trigger, query.
//!
//! The API and the worker use this crate and have no rules of their own; it knows no HTTP server and writes no SQL. The consequences of a
//! change are stored in its transaction, and no transaction spans a request to a provider.
//!
//! `services` is at the bottom. Each use case is a module above it that borrows it and imports no other use case. Shared parts are in
//! modules between (`credentials`, `deletion`, `health`, `sync_permissions`). `gateway` provides the use cases.

mod actions;
mod api_keys;
mod caller;
mod connections;
mod credentials;
mod deletion;
mod encryption;
mod encryption_keys;
mod environments;
mod error;
mod gateway;
mod health;
mod integration_config;
mod integration_secrets;
mod integrations;
mod labels;
mod log_context;
mod models;
mod providers;
mod proxy;
mod records;
mod secrets;
mod services;
mod sessions;
mod sync_permissions;
mod syncs;
mod ttl_cache;
mod worker_handle;

pub use actions::{ActionOutput, ActionRequest, Actions, MAX_RETRIES, ShortRoute, StoredAction};
pub use api_keys::{ApiKeys, NewKey, NewKeyRequest};
pub use caller::{Caller, Scope, scope};
pub use connections::{
    ConnectRequest, ConnectionPatch, Connections, FullConnection, Import, ListedConnection, MetadataChange,
    ShowCredentials, StoredCredentials, Verified,
};
pub use credentials::Connected;
pub use encryption::{Encryption, Forgotten, LostKey, LostKeys, Rotation};
pub use encryption_keys::{CurrentKey, KeySource};
pub use environments::Environments;
pub use error::{ActionFailure, ActionFailureKind, FieldError, GatewayError};
pub use gateway::{Gateway, GatewayParts};
pub use health::AUTH_PROBLEM;
pub use integrations::{FullIntegration, IntegrationRequest, Integrations};
pub use labels::{EndUser, Organization};
pub use log_context::LogContext;
pub use models::ModelTable;
pub use providers::Providers;
pub use proxy::Proxy;
pub use records::{FeedPage, FeedRequest, PruneRequest, RecordFilter, RecordPage, Records};
pub use services::ResolvedIntegration;
pub use sessions::{
    IntegrationDefaults, IntegrationOverrides, NewSession, NewSessionToken, Reconnection, Session, Sessions,
};
pub use store::StoreError;
pub use sync_permissions::{
    PERMISSION_PROBLEM, SyncProblem, UnreadableSync, permission_hint, permission_problem,
};
pub use syncs::{SyncSelection, SyncStatus, Syncs, TriggerOptions, TriggeredRun};
pub use worker_handle::WorkerHandle;
