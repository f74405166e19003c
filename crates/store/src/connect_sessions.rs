//! Connect sessions: permissions to connect that end by themselves; their tokens are stored hashed, never as such.

use std::collections::BTreeMap;

use diesel::prelude::*;
use domain::{ConnectionId, EnvironmentId, IntegrationKey, Timestamp};
use serde_json::{Map, Value as Json};

use crate::column::{JsonText, MaybeJson, MaybeMicros, Micros, Number, to_json};
use crate::schema::connect_sessions;
use crate::{DbConn, StoreError};

/// A session to be stored.
#[derive(Debug, Clone)]
pub struct NewConnectSession {
    /// The environment that it lets connect in.
    pub environment: EnvironmentId,
    /// The hash of its token, unique.
    pub token_hash: String,
    /// The connection whose credentials it may replace; `None` if it makes new ones.
    pub connection: Option<ConnectionId>,
    /// The app's user, for the connections made.
    pub end_user: Option<Json>,
    /// The app's labels, for the connections made.
    pub tags: BTreeMap<String, String>,
    /// The integrations that it may connect; `None` for all.
    pub allowed_integrations: Option<Vec<IntegrationKey>>,
    /// What is set for a connection, by integration, as it was given.
    pub defaults: Map<String, Json>,
    /// What a connect page shows otherwise, by integration, as it was given.
    pub overrides: Map<String, Json>,
    /// Where events of the connections made go.
    pub webhook_url_override: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A stored session.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = connect_sessions)]
pub struct ConnectSession {
    /// Its number.
    pub id: i64,
    /// The environment that it lets connect in.
    #[diesel(deserialize_as = Number, column_name = environment_id)]
    pub environment: EnvironmentId,
    /// The connection whose credentials it may replace.
    #[diesel(column_name = connection_id)]
    connection: Option<i64>,
    /// The app's user.
    #[diesel(deserialize_as = MaybeJson)]
    pub end_user: Option<Json>,
    /// The app's labels.
    #[diesel(deserialize_as = JsonText)]
    pub tags: BTreeMap<String, String>,
    /// The integrations that it may connect; `None` for all.
    #[diesel(deserialize_as = MaybeJson)]
    pub allowed_integrations: Option<Vec<IntegrationKey>>,
    /// What is set for a connection, by integration.
    #[diesel(deserialize_as = JsonText)]
    pub defaults: Map<String, Json>,
    /// What a connect page shows otherwise, by integration.
    #[diesel(deserialize_as = JsonText)]
    pub overrides: Map<String, Json>,
    /// Where events of the connections made go.
    pub webhook_url_override: Option<String>,
    /// When it ends.
    #[diesel(deserialize_as = Micros)]
    pub expires_at: Timestamp,
}

impl ConnectSession {
    /// The connection whose credentials it may replace; `None` if it makes new ones.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection.map(ConnectionId::from_raw)
    }
}

/// Stores a session, and takes away those of any environment that had ended by then.
pub fn insert(c: &mut DbConn, new: &NewConnectSession) -> Result<(), StoreError> {
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

/// The session with that hash of its token, unless it has ended by `now`, or a clock that was ahead made it: that one would last too
/// long.
pub fn by_hash(c: &mut DbConn, hash: &str, now: Timestamp) -> Result<Option<ConnectSession>, StoreError> {
    Ok(connect_sessions::table
        .filter(connect_sessions::token_hash.eq(hash))
        .filter(connect_sessions::expires_at.gt(now.as_micros()))
        .filter(connect_sessions::created_at.le(now.plus(Timestamp::CLOCK_SKEW).as_micros()))
        .select(ConnectSession::as_select())
        .first(c)
        .optional()?)
}

/// What a session has been used for, by which it is bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = connect_sessions)]
pub struct Attempts {
    /// Connections made or renewed.
    pub connections: i64,
    /// Attempts since the last connection that made none, those under way among them.
    pub failures: i64,
    /// Before this moment no attempt may begin.
    #[diesel(deserialize_as = MaybeMicros)]
    pub retry_at: Option<Timestamp>,
}

/// The session's attempts, locked until the transaction ends; `None` if the session has ended by `now`.
pub fn lock_attempts(c: &mut DbConn, id: i64, now: Timestamp) -> Result<Option<Attempts>, StoreError> {
    let row = connect_sessions::table
        .filter(connect_sessions::id.eq(id))
        .filter(connect_sessions::expires_at.gt(now.as_micros()));
    // An update that changes nothing locks the row on either database.
    diesel::update(row)
        .set(connect_sessions::failures.eq(connect_sessions::failures))
        .execute(c)?;
    Ok(row.select(Attempts::as_select()).first(c).optional()?)
}

/// Sets the session's attempts.
pub fn set_attempts(c: &mut DbConn, id: i64, attempts: &Attempts) -> Result<(), StoreError> {
    diesel::update(connect_sessions::table.find(id))
        .set((
            connect_sessions::connections.eq(attempts.connections),
            connect_sessions::failures.eq(attempts.failures),
            connect_sessions::retry_at.eq(attempts.retry_at.map(Timestamp::as_micros)),
        ))
        .execute(c)?;
    Ok(())
}

/// Ends the session.
pub fn delete(c: &mut DbConn, environment: EnvironmentId, id: i64) -> Result<(), StoreError> {
    let row = connect_sessions::table
        .filter(connect_sessions::environment_id.eq(environment.raw()))
        .filter(connect_sessions::id.eq(id));
    diesel::delete(row).execute(c)?;
    Ok(())
}
