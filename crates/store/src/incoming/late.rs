//! Events that find their connection later than they arrived.

use domain::{ConnectionId, ConnectionName, IncomingEvent, IncomingEventId, RowId, Timestamp};

use crate::dialect::{Bind, Statement};
use crate::{DbConn, StoreError};

/// Keys by which duplicates of an event are found, set once the event is verified. `None` keeps the stored value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DedupeKeys {
    /// The text that a repeated event has too.
    pub dedupe_key: Option<String>,
    /// The text that no second request may have.
    pub nonce: Option<String>,
}

impl DedupeKeys {
    fn binds(&self) -> [Bind<'_>; 2] {
        [&self.dedupe_key, &self.nonce].map(|key| Bind::Text(key.as_deref().map(Into::into)))
    }
}

/// Assigns an event that fitted no connection, and whose lease was checked in this transaction, to one. Returns false if that connection
/// has the event already.
pub fn assign(
    c: &mut DbConn,
    number: RowId<IncomingEvent>,
    connection: (ConnectionId, &ConnectionName),
    keys: &DedupeKeys,
) -> Result<bool, StoreError> {
    let sql = "UPDATE incoming_events SET connection_id = ?, connection_name = ?, verified = ?, dedupe_key = COALESCE(?, dedupe_key), \
               nonce = COALESCE(?, nonce) WHERE number = ? AND NOT EXISTS \
               (SELECT 1 FROM incoming_events AS other WHERE other.environment_id = incoming_events.environment_id \
               AND other.integration = incoming_events.integration AND COALESCE(other.connection_id, 0) = ? \
               AND (other.dedupe_key = COALESCE(?, incoming_events.dedupe_key) OR other.nonce = COALESCE(?, incoming_events.nonce)))";
    let mut binds = vec![
        Bind::integer(connection.0.raw()),
        Bind::text(connection.1.as_str()),
        Bind::Boolean(Some(true)),
    ];
    binds.extend(keys.binds());
    binds.extend([Bind::integer(number.raw()), Bind::integer(connection.0.raw())]);
    binds.extend(keys.binds());
    Ok(Statement::new(sql, binds).execute(c)? == 1)
}

/// Gives another connection a copy of an event, due now, unless it has the event already.
pub fn copy(
    c: &mut DbConn,
    number: RowId<IncomingEvent>,
    id: IncomingEventId,
    connection: (ConnectionId, &ConnectionName),
    keys: &DedupeKeys,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO incoming_events (id, environment_id, integration, provider, connection_id, connection_name, status, verified, \
               dedupe_key, nonce, type, method, url, headers, body, received_at, due_at) \
               SELECT ?, environment_id, integration, provider, ?, ?, 'pending', ?, COALESCE(?, dedupe_key), COALESCE(?, nonce), type, method, url, headers, body, \
               received_at, ? FROM incoming_events WHERE number = ? ON CONFLICT DO NOTHING";
    let mut binds = vec![
        Bind::text(id.to_string()),
        Bind::integer(connection.0.raw()),
        Bind::text(connection.1.as_str()),
        Bind::Boolean(Some(true)),
    ];
    binds.extend(keys.binds());
    binds.extend([Bind::integer(now.as_micros()), Bind::integer(number.raw())]);
    Statement::new(sql, binds).execute(c).map(drop)
}
