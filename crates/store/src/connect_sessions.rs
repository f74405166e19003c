//! Connect sessions: permissions to connect that expire. Only hashes of their tokens are stored.

use std::collections::BTreeMap;
use std::fmt;

use diesel::prelude::*;
use domain::{ConnectionId, EnvironmentId, IntegrationKey, Timestamp};
use serde_json::{Map, Value as Json};

use crate::column::{row, to_json};
use crate::schema::connect_sessions;
use crate::{DbConn, StoreError};

/// A session, known by the hash of its token.
#[derive(Clone, PartialEq)]
pub struct ConnectSession {
    /// The environment of the connections.
    pub environment: EnvironmentId,
    /// The hash of its token, unique.
    pub token_hash: String,
    /// The connection whose credentials it may replace; `None` if it creates connections.
    pub connection: Option<ConnectionId>,
    /// The app's user of the connections.
    pub end_user: Option<Json>,
    /// The tags of the connections.
    pub tags: BTreeMap<String, String>,
    /// The integrations that it allows; `None` for all.
    pub allowed_integrations: Option<Vec<IntegrationKey>>,
    /// The settings of connections, by integration, as the client sent them.
    pub defaults: Map<String, Json>,
    /// What the connect page shows instead of its usual content, by integration, as the client sent it.
    pub overrides: Map<String, Json>,
    /// The URL that receives the events of the connections.
    pub webhook_url_override: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl ConnectSession {
    /// Returns whether the integration of that key may be connected.
    pub fn allows(&self, key: &IntegrationKey) -> bool {
        let allowed = self.allowed_integrations.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(key))
    }
}

/// Shows neither the hash nor what the client sent, which may be personal.
impl fmt::Debug for ConnectSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectSession")
            .field("environment", &self.environment)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

row!(ConnectSession: connect_sessions {
    token_hash, end_user, tags, allowed_integrations, defaults, overrides, webhook_url_override,
    created_at, expires_at
}, environment = connect_sessions::environment_id, connection = connect_sessions::connection_id);

/// Stores a session, and deletes those of any environment that had expired when it was created.
pub fn insert(c: &mut DbConn, new: &ConnectSession) -> Result<(), StoreError> {
    let ended = connect_sessions::table.filter(connect_sessions::expires_at.le(new.created_at.as_micros()));
    diesel::delete(ended).execute(c)?;
    let allowed = new.allowed_integrations.as_ref().map(to_json).transpose()?;
    let end_user = new.end_user.as_ref().map(to_json).transpose()?;
    diesel::insert_into(connect_sessions::table)
        .values((
            connect_sessions::environment_id.eq(new.environment.raw()),
            connect_sessions::token_hash.eq(&new.token_hash),
            connect_sessions::connection_id.eq(new.connection.map(ConnectionId::raw)),
            connect_sessions::end_user.eq(end_user),
            connect_sessions::tags.eq(to_json(&new.tags)?),
            connect_sessions::allowed_integrations.eq(allowed),
            connect_sessions::defaults.eq(to_json(&new.defaults)?),
            connect_sessions::overrides.eq(to_json(&new.overrides)?),
            connect_sessions::webhook_url_override.eq(new.webhook_url_override.as_deref()),
            connect_sessions::created_at.eq(new.created_at.as_micros()),
            connect_sessions::expires_at.eq(new.expires_at.as_micros()),
        ))
        .execute(c)
        .map_err(StoreError::about("connect session"))?;
    Ok(())
}

/// Returns the session whose token has that hash, unless it has expired by `now`, or was created by a clock that was ahead: that one would
/// last too long.
pub fn by_hash(
    c: &mut DbConn,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<ConnectSession>, StoreError> {
    Ok(connect_sessions::table
        .filter(connect_sessions::token_hash.eq(token_hash))
        .filter(connect_sessions::expires_at.gt(now.as_micros()))
        .filter(connect_sessions::created_at.le(now.plus(Timestamp::CLOCK_SKEW).as_micros()))
        .select(ConnectSession::as_select())
        .get_result(c)
        .optional()?)
}

/// How often a session was used, which is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Connections created or renewed.
    pub connections: i64,
    /// Attempts without a connection since the last one with, including those in flight.
    pub failures: i64,
    /// No attempt may begin before this time.
    pub retry_at: Option<Timestamp>,
}

row!(Attempts: connect_sessions { connections, failures, retry_at });

/// Returns the session's attempts, locked until the transaction ends. `None` if the session has expired by `now`.
pub fn lock_attempts(
    c: &mut DbConn,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<Attempts>, StoreError> {
    let session = connect_sessions::table
        .filter(connect_sessions::token_hash.eq(token_hash))
        .filter(connect_sessions::expires_at.gt(now.as_micros()));
    // An update that changes nothing locks the row on either database.
    diesel::update(session)
        .set(connect_sessions::failures.eq(connect_sessions::failures))
        .execute(c)?;
    Ok(session.select(Attempts::as_select()).get_result(c).optional()?)
}

/// Sets the session's attempts.
pub fn set_attempts(c: &mut DbConn, token_hash: &str, attempts: &Attempts) -> Result<(), StoreError> {
    diesel::update(connect_sessions::table.filter(connect_sessions::token_hash.eq(token_hash)))
        .set((
            connect_sessions::connections.eq(attempts.connections),
            connect_sessions::failures.eq(attempts.failures),
            connect_sessions::retry_at.eq(attempts.retry_at.map(Timestamp::as_micros)),
        ))
        .execute(c)?;
    Ok(())
}

/// Deletes the session.
pub fn delete(c: &mut DbConn, environment: EnvironmentId, token_hash: &str) -> Result<(), StoreError> {
    let session = connect_sessions::table
        .filter(connect_sessions::environment_id.eq(environment.raw()))
        .filter(connect_sessions::token_hash.eq(token_hash));
    diesel::delete(session).execute(c)?;
    Ok(())
}
