//! Events: what happened, for apps.

use serde_json::{Map, Value as Json};

use crate::{
    ConnectionId, ConnectionName, EnvironmentId, EnvironmentName, Id, IdKind, IntegrationKey, RowId,
    Timestamp,
};

/// An event's id, `evt_…`. All attempts of all deliveries of the event carry it, so a receiver can recognise a repeated one.
pub type EventId = Id<Event>;

impl IdKind for Event {
    const PREFIX: &'static str = "evt";
}

/// What kind of event it is. The words are stored and sent, and never change.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
pub enum EventType {
    /// A connection was created.
    #[strum(serialize = "connection.created")]
    ConnectionCreated,
    /// A connection got new credentials.
    #[strum(serialize = "connection.updated")]
    ConnectionUpdated,
    /// A connection was deleted.
    #[strum(serialize = "connection.deleted")]
    ConnectionDeleted,
    /// The provider refuses the credentials of a connection.
    #[strum(serialize = "connection.error")]
    ConnectionError,
    /// The provider accepts the credentials again, or the connection got new ones.
    #[strum(serialize = "connection.recovered")]
    ConnectionRecovered,
    /// A run of a sync succeeded.
    #[strum(serialize = "sync.succeeded")]
    SyncSucceeded,
    /// A run of a sync failed.
    #[strum(serialize = "sync.failed")]
    SyncFailed,
    /// An asynchronous action succeeded.
    #[strum(serialize = "action.succeeded")]
    ActionSucceeded,
    /// An asynchronous action failed.
    #[strum(serialize = "action.failed")]
    ActionFailed,
    /// A provider sent an event.
    #[strum(serialize = "provider.event")]
    ProviderEvent,
    /// A webhook endpoint was disabled because it could not be reached, or because its responses said so.
    #[strum(serialize = "endpoint.disabled")]
    EndpointDisabled,
}

impl EventType {
    /// All of them.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word that is stored and sent.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The connection that an event is about, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConnection {
    /// Its row number. The row may be gone by now.
    pub id: ConnectionId,
    /// Its integration.
    pub integration: IntegrationKey,
    /// Its name.
    pub name: ConnectionName,
    /// The URL that replaces the environment's two addresses for its events.
    pub url_override: Option<String>,
}

/// A published event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its row number.
    pub number: RowId<Event>,
    /// Its id.
    pub id: EventId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// That environment's name.
    pub environment_name: EnvironmentName,
    /// Its place in the order that all readers see.
    pub position: i64,
    /// What kind of event it is.
    pub event_type: EventType,
    /// The connection that it is about.
    pub connection: Option<EventConnection>,
    /// What happened; `None` once its connection is deleted.
    pub data: Option<Map<String, Json>>,
    /// When it happened.
    pub created_at: Timestamp,
}

impl Event {
    /// Whether it is the end of a run that changed nothing. Only endpoints that ask for it get it.
    pub fn is_unchanged_run(&self) -> bool {
        let models = self.data.as_ref().and_then(|data| data.get("models")?.as_array());
        let changed = |model: &Json| {
            ["added", "updated", "deleted"]
                .iter()
                .any(|count| model.get(count).and_then(Json::as_u64) != Some(0))
        };
        self.event_type == EventType::SyncSucceeded
            && models.is_some_and(|models| !models.iter().any(changed))
    }

    /// A tag of its connection.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.data.as_ref()?.get("tags")?.get(name)?.as_str()
    }
}
