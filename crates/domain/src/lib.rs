//! The types that all of Trunkline uses: ids, the clock, names and their rules, models, records, and what is stored.
//!
//! Every crate may depend on this one, which depends on none of them. It does no I/O. Its only access to the outside is the system
//! clock and the random source behind [`Clock`], [`Id`], [`ActionId`] and [`ConnectionName::random`].

mod action;
mod clock;
mod column;
mod connection;
mod environment;
mod event;
mod id;
mod incoming;
mod integration;
mod json;
mod model;
mod names;
mod record;
mod stored_record;
mod subscription;
mod sync;
mod timestamp;
mod webhook;

pub use action::{ActionId, ActionJob, ActionStatus};
pub use clock::Clock;
pub use column::{Column, ColumnKind, KindInfo, Parse, Storage};
pub use connection::{Connection, ConnectionFilter, ConnectionId, Problem};
pub use environment::{ApiKey, ApiKeyId, Environment, EnvironmentId};
pub use event::{Event, EventConnection, EventId, EventType};
pub use id::{Id, IdKind, ParseIdError, RowId};
pub use incoming::{IncomingEvent, IncomingEventId, IncomingRequest, IncomingStatus};
pub use integration::{IntegrationId, StoredIntegration};
pub use json::{JsonError, JsonKind, JsonReader, JsonScalar, json_text, repaired_json};
pub use model::Model;
pub use names::{
    ActionName, ConnectionName, EnvironmentName, IntegrationKey, ModelName, NameError, ProviderName,
    SyncName, TableName, Variant, check_new_name,
};
pub use record::{
    MAX_KEY_BYTES, Misfit, Record, RecordError, RecordReader, Value, is_shortened, parse_timestamp,
    stored_key,
};
pub use stored_record::{Position, RecordAction, StoredRecord};
pub use subscription::{StoredSubscription, SubscriptionId, SubscriptionStatus};
pub use sync::{
    MisfitCount, Run, RunError, RunFilter, RunId, RunIdPrefix, RunIdPrefixError, RunStatus, Slice, SliceId,
    Sync, SyncFilter, SyncId, Trigger,
};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use webhook::{
    DEFAULT_RETRY_SECONDS, Delivery, DeliveryAttempt, DeliveryId, DeliveryStatus, Endpoint, EndpointHealth,
    EndpointId, EndpointSettings, EndpointSlot, LONGEST_PAUSE, WebhookFormat, matches_type,
};
