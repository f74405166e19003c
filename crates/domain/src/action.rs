//! Actions that are stored: asynchronous ones, and those with an idempotency key.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{ActionName, ConnectionId, RowId, Timestamp};

/// A stored action's id; a plain random UUID, as Nango's SDKs expect.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionId(Uuid);

impl ActionId {
    /// Returns a new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ActionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// The state of a stored action. The words are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum ActionStatus {
    /// Its request was not sent, or it is known that the provider did not carry it out.
    Queued,
    /// Its request is being sent, or was sent and the result was not stored.
    Running,
    /// Ended without an error.
    Succeeded,
    /// Ended with an error.
    Failed,
}

impl ActionStatus {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A stored action: what to send, how far it is, and its result.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionJob {
    /// Its number, in the order in which actions were stored.
    pub number: RowId<ActionJob>,
    /// Its id.
    pub id: ActionId,
    /// The connection.
    pub connection: ConnectionId,
    /// The action's name in the provider's file.
    pub name: ActionName,
    /// The input; removed once the action has ended, since it may hold personal data.
    pub input: Option<Map<String, Json>>,
    /// Whether running it twice has the same effect as once.
    pub repeatable: bool,
    /// Its state.
    pub status: ActionStatus,
    /// How many times its request was sent.
    pub attempts: i64,
    /// The maximum number of times its request may be sent.
    pub max_attempts: i64,
    /// When it is due, or when its lease expires.
    pub due_at: Option<Timestamp>,
    /// The lease holder.
    pub holder: Option<String>,
    /// The result.
    pub output: Option<Json>,
    /// Why it failed.
    pub error: Option<Json>,
    /// A hash of the input, if the action has an idempotency key.
    pub input_hash: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}
