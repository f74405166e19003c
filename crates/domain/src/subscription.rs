//! Subscriptions of connections to what their providers send.

use serde_json::{Map, Value as Json};

use crate::{ConnectionId, Id, IdKind, RowId, Timestamp};

/// A subscription's id, `whs_…`.
pub type SubscriptionId = Id<StoredSubscription>;

impl IdKind for StoredSubscription {
    const PREFIX: &'static str = "whs";
}

/// The state of a subscription. The words are stored and shown, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum SubscriptionStatus {
    /// Its requests are being sent.
    Creating,
    /// The provider has it.
    Active,
    /// It is being ended, or ending it is tried again.
    Ending,
    /// A request failed or its outcome is unknown; the caller subscribes again or ends it.
    Failed,
}

impl SubscriptionStatus {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A subscription as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSubscription {
    /// Its row number.
    pub number: RowId<StoredSubscription>,
    /// Its id.
    pub id: SubscriptionId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name in the provider's file.
    pub name: String,
    /// The input of its requests.
    pub input: Map<String, Json>,
    /// Its state.
    pub status: SubscriptionStatus,
    /// How many of the requests that subscribe are done.
    pub steps: i64,
    /// Failed attempts in a row to renew or to end it.
    pub attempts: i64,
    /// Why it failed, or why the last attempt to renew or to end it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
}
