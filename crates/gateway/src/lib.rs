//! The use cases of Trunkline: authenticate, connect, list, trigger, query.
//!
//! The API and the worker stand on this crate and hold no rule of their own; it knows no HTTP server and writes no SQL. Whatever
//! follows a change is stored in the same transaction as the change, and no transaction spans a call to a provider.

mod actions;
mod attempts;
mod brief;
mod connect;
mod connect_sessions;
mod connections;
mod credentials;
mod environments;
mod error;
mod establish;
mod feed;
mod form;
mod frequency;
mod gateway;
mod given;
mod health;
mod held;
mod import;
mod integration_config;
mod integration_secrets;
mod integrations;
mod key_ring;
mod keys;
mod labels;
mod lookup;
mod lost_keys;
mod models;
mod patch;
mod permissions;
mod providers;
mod proxy;
mod records;
mod reseal;
mod secret_config;
mod subject;
mod sync_status;
mod syncs;
mod trial;
mod variants;

pub use actions::{
    ActionFailure, ActionFailureKind, ActionOutput, ActionRequest, Actions, MAX_RETRIES, ShortRoute,
    StoredAction,
};
pub use connect::{ConnectRequest, Connected};
pub use connect_sessions::{NewSession, NewSessionToken, Reconnection, Session, Sessions};
pub use connections::{Connections, Credential, Listed, Look, Shown, Verified};
pub use environments::Environments;
pub use error::{FieldError, GatewayError};
pub use feed::{FeedPage, FeedRequest, PruneRequest};
pub use gateway::{Gateway, Integration, Parts};
pub use health::{AUTH_PROBLEM, Health};
pub use import::Import;
pub use integrations::{IntegrationRequest, Integrations, MadeIntegration};
pub use key_ring::{CurrentKey, KeySource};
pub use keys::{Caller, Keys, NewKey, NewKeyRequest, Scope};
pub use labels::{EndUser, Organization};
pub use lost_keys::{Forgotten, LostKey, LostKeys};
pub use models::{ModelTable, Models};
pub use patch::{ConnectionPatch, MetadataChange};
pub use permissions::{PERMISSION_PROBLEM, SyncProblem, UnreadableSync, permission_hint, permission_problem};
pub use providers::Providers;
pub use proxy::Proxy;
pub use records::{RecordFilter, RecordPage, Records};
pub use reseal::Rotation;
pub use store::StoreError;
pub use subject::Subject;
pub use sync_status::SyncStatus;
pub use syncs::{SyncSelection, Syncs, TriggerOptions, TriggeredRun};
