//! Events that providers sent.

use std::collections::BTreeMap;
use std::fmt;

use crate::{ConnectionId, EnvironmentId, Id, IdKind, IntegrationKey, ProviderName, RowId, Timestamp};

/// An incoming event's id, `whe_…`.
pub type IncomingEventId = Id<IncomingEvent>;

impl IdKind for IncomingEvent {
    const PREFIX: &'static str = "whe";
}

/// The state of an incoming event. The words are stored and shown, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum IncomingStatus {
    /// Waits to be processed.
    Pending,
    /// Its changes are in the tables.
    Processed,
    /// It fits no connection.
    Unmatched,
    /// It could not be processed, and is not tried again.
    Failed,
}

impl IncomingStatus {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An event that a provider sent, for one connection or for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingEvent {
    /// Its row number; events that arrived later have greater ones.
    pub number: RowId<IncomingEvent>,
    /// Its id.
    pub id: IncomingEventId,
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration whose address got it, or the connection's.
    pub integration: IntegrationKey,
    /// The provider.
    pub provider: ProviderName,
    /// The connection that it is for.
    pub connection_id: Option<ConnectionId>,
    /// That connection's name.
    pub connection_name: Option<String>,
    /// Its state.
    pub status: IncomingStatus,
    /// Whether its signature was verified; false if no connection fits, so that there is no secret.
    pub verified: bool,
    /// What kind of event the provider says it is.
    pub event_type: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// Why it is not processed.
    pub error: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When it was last processed, or given up; it stays when the event is replayed.
    pub processed_at: Option<Timestamp>,
}

/// The request that brought an incoming event, as far as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingRequest {
    /// The method in capital letters.
    pub method: String,
    /// The URL, without what is secret in it.
    pub url: String,
    /// The headers that the provider file names, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The raw body, or the part of it that is about this event; `None` once it is erased.
    pub body: Option<Vec<u8>>,
}

impl fmt::Debug for IncomingRequest {
    /// Shows the method and the size: all else may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.body.as_ref().map(Vec::len);
        write!(f, "IncomingRequest({}, {size:?} bytes)", self.method)
    }
}
