//! Events that providers sent. They are leased work; see [`crate::lease`].
//!
//! An event is stored before its sender gets a response. What it changes, and that it is processed, is stored in one transaction.

mod late;

use std::collections::HashSet;

use diesel::prelude::*;
use domain::{
    ConnectionId, ConnectionName, EnvironmentId, IncomingEvent, IncomingEventId, IncomingRequest,
    IncomingStatus, IntegrationKey, ProviderName, RowId, Timestamp,
};

use crate::column::{row, to_json};
use crate::dialect::{Bind, Statement, any, inserts, integer_list, locking};
use crate::lease;
use crate::schema::incoming_events as incoming;
use crate::{DbConn, StoreError};

pub use self::late::{DedupeKeys, assign, copy};

row!(IncomingEvent: incoming {
    number, id, integration, provider, connection_id, connection_name, status, verified, event_type, attempts, error, received_at, processed_at
}, environment = incoming::environment_id);
row!(IncomingRequest: incoming { method, url, headers, body });

/// An event to store.
#[derive(Debug, Clone)]
pub struct NewIncoming {
    /// Its id.
    pub id: IncomingEventId,
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration.
    pub integration: IntegrationKey,
    /// The provider.
    pub provider: ProviderName,
    /// The connection that it is for.
    pub connection: Option<(ConnectionId, ConnectionName)>,
    /// Whether its signature was verified. Otherwise it waits, unmatched, until it is replayed.
    pub verified: bool,
    /// The text that a repeated event has too.
    pub dedupe_key: Option<String>,
    /// The text that no second request may have.
    pub nonce: Option<String>,
    /// What kind of event the provider says it is.
    pub event_type: Option<String>,
    /// The request.
    pub request: IncomingRequest,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// What has its own limit of unprocessed events: a connection, or the events of an integration that fit none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IncomingAddress {
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration.
    pub integration: IntegrationKey,
    /// The connection, if one fits.
    pub connection: Option<ConnectionId>,
}

impl NewIncoming {
    /// Returns what limits it.
    pub fn address(&self) -> IncomingAddress {
        IncomingAddress {
            environment: self.environment,
            integration: self.integration.clone(),
            connection: self.connection.as_ref().map(|(id, _)| *id),
        }
    }
}

/// Stores events, unless they are stored already, and returns the ids of those that are new.
pub fn insert(
    c: &mut DbConn,
    events: &[NewIncoming],
    now: Timestamp,
) -> Result<HashSet<IncomingEventId>, StoreError> {
    let columns = "id, environment_id, integration, provider, connection_id, connection_name, status, verified, dedupe_key, nonce, type, \
                   method, url, headers, body, received_at, due_at";
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let (status, due_at) = if event.verified {
            (IncomingStatus::Pending, Some(now.as_micros()))
        } else {
            (IncomingStatus::Unmatched, None)
        };
        let request = &event.request;
        let connection = event.connection.as_ref();
        rows.push(vec![
            Bind::text(event.id.to_string()),
            Bind::integer(event.environment.raw()),
            Bind::text(event.integration.as_str()),
            Bind::text(event.provider.as_str()),
            Bind::Integer(connection.map(|(id, _)| id.raw())),
            Bind::Text(connection.map(|(_, name)| name.as_str().into())),
            Bind::text(status.as_str()),
            Bind::Boolean(Some(event.verified)),
            Bind::Text(event.dedupe_key.as_deref().map(Into::into)),
            Bind::Text(event.nonce.as_deref().map(Into::into)),
            Bind::Text(event.event_type.as_deref().map(Into::into)),
            Bind::text(&request.method),
            Bind::text(&request.url),
            Bind::text(to_json(&request.headers)?),
            Bind::Bytes(request.body.as_deref().map(Into::into)),
            Bind::integer(event.received_at.as_micros()),
            Bind::Integer(due_at),
        ]);
    }
    let insert = format!("INSERT INTO incoming_events ({columns}) VALUES ");
    let mut new = HashSet::with_capacity(events.len());
    for statement in inserts(&insert, " ON CONFLICT DO NOTHING RETURNING id", rows) {
        let stored = statement.load(c, |row| row.some_text(0))?;
        new.extend(stored.iter().filter_map(|id| id.parse::<IncomingEventId>().ok()));
    }
    Ok(new)
}

/// Returns how many events of an address wait, `limit` at most.
pub fn backlog(c: &mut DbConn, address: &IncomingAddress, limit: i64) -> Result<i64, StoreError> {
    // The condition of the index.
    let sql = "SELECT count(*) FROM (SELECT 1 FROM incoming_events WHERE environment_id = ? AND integration = ? \
               AND COALESCE(connection_id, 0) = ? AND (status = 'pending' OR (status = 'unmatched' AND NOT verified)) LIMIT ?) AS waiting";
    let binds = vec![
        Bind::integer(address.environment.raw()),
        Bind::text(address.integration.as_str()),
        Bind::integer(address.connection.map_or(0, RowId::raw)),
        Bind::integer(limit),
    ];
    let count = Statement::new(sql, binds).first(c, |row| row.some_integer(0))?;
    Ok(count.unwrap_or_default())
}

/// Deletes the oldest events of an address that could not be verified, `most` at most, and returns how many those were.
pub fn evict_unverified(c: &mut DbConn, address: &IncomingAddress, most: i64) -> Result<i64, StoreError> {
    let sql = "DELETE FROM incoming_events WHERE number IN (SELECT number FROM incoming_events WHERE environment_id = ? \
               AND integration = ? AND COALESCE(connection_id, 0) = ? AND (status = 'pending' OR (status = 'unmatched' AND NOT verified)) \
               AND status = 'unmatched' ORDER BY number LIMIT ?)";
    let binds = vec![
        Bind::integer(address.environment.raw()),
        Bind::text(address.integration.as_str()),
        Bind::integer(address.connection.map_or(0, RowId::raw)),
        Bind::integer(most),
    ];
    let evicted = Statement::new(sql, binds).execute(c)?;
    Ok(i64::try_from(evicted).unwrap_or(i64::MAX))
}

/// An event whose lease one claim has.
#[derive(Debug, Clone)]
pub struct LeasedIncoming {
    /// The event.
    pub event: IncomingEvent,
    /// Its request.
    pub request: IncomingRequest,
}

/// The most events that one claim leases.
const MOST_CLAIMED: i64 = 400;
/// The most events that are processed together.
const TOGETHER: i64 = 100;

/// Leases events that are due at `now` to `holder` until `until`: up to `limit` groups, each of one connection and oldest first.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<Vec<LeasedIncoming>>, StoreError> {
    let most = limit.saturating_mul(TOGETHER).min(MOST_CLAIMED);
    let mut numbers = lease::claim::<IncomingEvent>(c, now, until, holder, most)?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    numbers.sort_unstable();
    let rows: Vec<(IncomingEvent, IncomingRequest)> = incoming::table
        .filter(incoming::number.eq_any(&numbers))
        .order((incoming::connection_id, incoming::number))
        .select((IncomingEvent::as_select(), IncomingRequest::as_select()))
        .load(c)?;
    let mut groups: Vec<Vec<LeasedIncoming>> = Vec::new();
    for (event, request) in rows {
        let leased = LeasedIncoming { event, request };
        let fits = |group: &&mut Vec<LeasedIncoming>| {
            let same = group.first().is_some_and(|first| {
                first.event.connection_id == leased.event.connection_id
                    && first.event.environment == leased.event.environment
                    && first.event.integration == leased.event.integration
            });
            same && i64::try_from(group.len()).is_ok_and(|events| events < TOGETHER)
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(leased),
            None => groups.push(vec![leased]),
        }
    }
    let groups_limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if groups.len() > groups_limit {
        // Claimed by none after all.
        let rest = groups.split_off(groups_limit);
        let rest: Vec<i64> = rest
            .iter()
            .flatten()
            .map(|leased| leased.event.number.raw())
            .collect();
        release(c, holder, &rest, now)?;
    }
    Ok(groups)
}

/// Gives leased events back, due now.
pub fn release(c: &mut DbConn, holder: &str, numbers: &[i64], now: Timestamp) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE incoming_events SET due_at = ?, due_within = 0, holder = NULL WHERE holder = ? AND number {}",
        any(c.dialect())
    );
    let binds = vec![
        Bind::integer(now.as_micros()),
        Bind::text(holder),
        integer_list(c.dialect(), numbers)?,
    ];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Extends the leases of those of these events that the holder still has. Returns how many those are.
pub fn renew(
    c: &mut DbConn,
    holder: &str,
    numbers: &[i64],
    until: Timestamp,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let (due_at, due_within) = lease::due(Some(until), now);
    let sql = format!(
        "UPDATE incoming_events SET due_at = ?, due_within = ? WHERE holder = ? AND number {}",
        any(c.dialect())
    );
    let binds = vec![
        Bind::Integer(due_at),
        Bind::integer(due_within),
        Bind::text(holder),
        integer_list(c.dialect(), numbers)?,
    ];
    Statement::new(sql, binds).execute(c)
}

/// Locks leased events until the transaction ends. [`StoreError::LeaseLost`] if the lease of one is lost.
pub fn check(c: &mut DbConn, holder: &str, numbers: &[i64]) -> Result<(), StoreError> {
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!(
        "SELECT number FROM incoming_events WHERE holder = ? AND number {} ORDER BY number{lock}",
        any(c.dialect())
    );
    let binds = vec![Bind::text(holder), integer_list(c.dialect(), numbers)?];
    let held = Statement::new(sql, binds).load(c, |row| row.some_integer(0))?;
    if held.len() == numbers.len() {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// How the work on a leased event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingEnd {
    /// With this state, for good.
    Ended(IncomingStatus, Option<String>),
    /// It is tried again then, because of this error.
    Again(Timestamp, String),
}

/// Stores the end of the work on an event whose lease was checked in this transaction.
pub fn finish(
    c: &mut DbConn,
    number: RowId<IncomingEvent>,
    end: &IncomingEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (status, error, due, processed_at) = match end {
        IncomingEnd::Ended(status, error) => (*status, error.as_deref(), None, Some(now.as_micros())),
        IncomingEnd::Again(at, error) => (IncomingStatus::Pending, Some(error.as_str()), Some(*at), None),
    };
    let (due_at, due_within) = lease::due(due, now);
    let sql = "UPDATE incoming_events SET status = ?, error = ?, attempts = attempts + 1, due_at = ?, due_within = ?, holder = NULL, \
               processed_at = COALESCE(?, processed_at) WHERE number = ?";
    let binds = vec![
        Bind::text(status.as_str()),
        Bind::Text(error.map(Into::into)),
        Bind::Integer(due_at),
        Bind::integer(due_within),
        Bind::Integer(processed_at),
        Bind::integer(number.raw()),
    ];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Which events to list. `None` selects all.
#[derive(Debug, Clone)]
pub struct IncomingFilter {
    /// Events of this integration.
    pub integration: Option<IntegrationKey>,
    /// Events in this state.
    pub status: Option<IncomingStatus>,
    /// Events of connections with this name.
    pub connection_name: Option<String>,
    /// Events that arrived before this one.
    pub before: Option<RowId<IncomingEvent>>,
    /// At most this many.
    pub limit: i64,
}

/// Returns the environment's events that match the filter, newest first.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &IncomingFilter,
) -> Result<Vec<IncomingEvent>, StoreError> {
    let mut query = incoming::table
        .filter(incoming::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(integration) = &filter.integration {
        query = query.filter(incoming::integration.eq(integration.as_str()));
    }
    if let Some(status) = filter.status {
        query = query.filter(incoming::status.eq(status.as_str()));
    }
    if let Some(name) = &filter.connection_name {
        query = query.filter(incoming::connection_name.eq(name));
    }
    if let Some(before) = filter.before {
        query = query.filter(incoming::number.lt(before.raw()));
    }
    Ok(query
        .order(incoming::number.desc())
        .limit(filter.limit)
        .select(IncomingEvent::as_select())
        .load(c)?)
}

/// Returns the environment's event with that id, and its request.
pub fn find(
    c: &mut DbConn,
    environment: EnvironmentId,
    id: IncomingEventId,
) -> Result<LeasedIncoming, StoreError> {
    incoming::table
        .filter(incoming::environment_id.eq(environment.raw()))
        .filter(incoming::id.eq(id.to_string()))
        .select((IncomingEvent::as_select(), IncomingRequest::as_select()))
        .get_result::<(IncomingEvent, IncomingRequest)>(c)
        .map(|(event, request)| LeasedIncoming { event, request })
        .map_err(StoreError::about("incoming event"))
}

/// Makes an event due again, whatever its state. Returns false if it was erased, or is being processed.
pub fn replay(c: &mut DbConn, number: RowId<IncomingEvent>, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE incoming_events SET status = 'pending', error = NULL, attempts = 0, due_at = ?, due_within = 0 \
               WHERE number = ? AND holder IS NULL AND body IS NOT NULL";
    let binds = vec![Bind::integer(now.as_micros()), Bind::integer(number.raw())];
    Ok(Statement::new(sql, binds).execute(c)? == 1)
}

/// Erases headers and bodies of up to `limit` events of a connection, and ends those that wait. Returns how many those were.
pub fn erase(
    c: &mut DbConn,
    connection: ConnectionId,
    limit: i64,
    now: Timestamp,
) -> Result<usize, StoreError> {
    // In the order of their numbers, so that two deletions never wait for each other.
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!(
        "UPDATE incoming_events SET body = NULL, headers = '{{}}', url = '', nonce = NULL, due_at = NULL, holder = NULL, \
         processed_at = COALESCE(processed_at, ?), error = CASE WHEN status = 'pending' THEN 'the connection was deleted' ELSE error END, \
         status = CASE WHEN status = 'pending' THEN 'failed' ELSE status END \
         WHERE number IN (SELECT number FROM incoming_events WHERE connection_id = ? AND body IS NOT NULL ORDER BY number LIMIT ?{lock})"
    );
    let binds = vec![
        Bind::integer(now.as_micros()),
        Bind::integer(connection.raw()),
        Bind::integer(limit),
    ];
    Statement::new(sql, binds).execute(c)
}

/// Deletes up to `limit` events that arrived before `before` and wait for nothing, and what is remembered of rows that no event changed since
/// then. Returns how many events; repeat until that is less than `limit`.
pub fn prune(c: &mut DbConn, before: Timestamp, limit: i64) -> Result<i64, StoreError> {
    let binds = || vec![Bind::integer(before.as_micros()), Bind::integer(limit)];
    let sql = "DELETE FROM incoming_events WHERE number IN \
               (SELECT number FROM incoming_events WHERE received_at < ? AND status <> 'pending' ORDER BY received_at LIMIT ?)";
    let deleted = Statement::new(sql, binds()).execute(c)?;
    let sql = "DELETE FROM row_versions WHERE (connection_id, model_table, key) IN \
               (SELECT connection_id, model_table, key FROM row_versions WHERE updated_at < ? ORDER BY updated_at LIMIT ?)";
    Statement::new(sql, binds()).execute(c)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
