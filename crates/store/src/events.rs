//! Events: what happened, for apps. Written in the transaction of the change, and published after it, with [`crate::endpoints::publish`].
//!
//! Publishing gives events their position, in the order in which a publisher sees them. One publisher at a time holds the lock, so a reader
//! that has seen position n has seen all below it. Positions assigned in the transactions themselves would have no such order, unless each
//! transaction kept a lock until its commit.

use diesel::prelude::*;
use domain::{
    ConnectionId, EnvironmentId, EnvironmentName, Event, EventConnection, EventId, EventType, IntegrationKey,
    RowId, Timestamp,
};
use serde_json::{Map, Value as Json};

use crate::column::{row, to_json};
use crate::dialect::{Bind, Statement, any, integer_list, locking, on_db, text_list};
use crate::schema::{environments, events};
use crate::{DbConn, StoreError};

/// An event to write.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its environment.
    pub environment: EnvironmentId,
    /// What kind of event it is.
    pub event_type: EventType,
    /// The connection that it is about.
    pub connection: Option<EventConnection>,
    /// What happened.
    pub data: Map<String, Json>,
}

/// A row of `events`, with the name of its environment.
struct EventRow {
    number: RowId<Event>,
    id: EventId,
    environment: EnvironmentId,
    environment_name: EnvironmentName,
    position: Option<i64>,
    event_type: EventType,
    connection_id: Option<ConnectionId>,
    integration: Option<IntegrationKey>,
    connection_name: Option<domain::ConnectionName>,
    url_override: Option<String>,
    data: Option<Map<String, Json>>,
    created_at: Timestamp,
}

row!(EventRow: events {
    number, id, position, event_type, connection_id, integration, connection_name, url_override, data, created_at
}, environment = events::environment_id, environment_name = environments::name);

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let connection = match (row.connection_id, row.integration, row.connection_name) {
            (Some(id), Some(integration), Some(name)) => Some(EventConnection {
                id,
                integration,
                name,
                url_override: row.url_override,
            }),
            _ => None,
        };
        Self {
            number: row.number,
            id: row.id,
            environment: row.environment,
            environment_name: row.environment_name,
            position: row.position.unwrap_or_default(),
            event_type: row.event_type,
            connection,
            data: row.data,
            created_at: row.created_at,
        }
    }
}

/// Writes an event. Call it in the transaction of the change that it reports.
pub fn insert(c: &mut DbConn, new: &NewEvent, now: Timestamp) -> Result<(), StoreError> {
    let connection = new.connection.as_ref();
    let values = (
        events::id.eq(EventId::new(now).to_string()),
        events::environment_id.eq(new.environment.raw()),
        events::event_type.eq(new.event_type.as_str()),
        events::connection_id.eq(connection.map(|connection| connection.id.raw())),
        events::integration.eq(connection.map(|connection| connection.integration.as_str())),
        events::connection_name.eq(connection.map(|connection| connection.name.as_str())),
        events::url_override.eq(connection.and_then(|connection| connection.url_override.as_deref())),
        events::data.eq(to_json(&new.data)?),
        events::created_at.eq(now.as_micros()),
    );
    on_db!(c, c => diesel::insert_into(events::table).values(values).execute(c))?;
    Ok(())
}

/// Whether an event waits to be published.
pub fn any_unpublished(c: &mut DbConn) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE position IS NULL)";
    Statement::new(sql, Vec::new()).is_true(c)
}

/// Gives up to `limit` events their position. Returns how many those were, and their environments.
pub(crate) fn publish(c: &mut DbConn, limit: i64) -> Result<(usize, Vec<i64>), StoreError> {
    let lock = locking(c, " FOR UPDATE");
    let sql = format!("SELECT last FROM event_positions WHERE id = 1{lock}");
    let last = Statement::new(sql, Vec::new()).first(c, |row| row.some_integer(0))?;
    let last = last.ok_or(StoreError::NotFound {
        what: "last position of events",
    })?;
    let sql = "UPDATE events SET position = new.place FROM (SELECT number, ? + row_number() OVER (ORDER BY number) AS place \
               FROM events WHERE position IS NULL ORDER BY number LIMIT ?) AS new \
               WHERE events.number = new.number RETURNING events.environment_id";
    let binds = vec![Bind::integer(last), Bind::integer(limit)];
    let mut environments = Statement::new(sql, binds).load(c, |row| row.some_integer(0))?;
    let published = environments.len();
    if published == 0 {
        return Ok((0, environments));
    }
    let moved = last + i64::try_from(published).unwrap_or_default();
    let sql = "UPDATE event_positions SET last = ? WHERE id = 1";
    Statement::new(sql, vec![Bind::integer(moved)]).execute(c)?;
    environments.sort_unstable();
    environments.dedup();
    Ok((published, environments))
}

/// The most bytes of data that one batch has, unless its first event alone has more.
const MAX_BYTES: i64 = 4 << 20;

/// Consecutive events of an environment.
#[derive(Debug)]
pub struct EventBatch {
    /// The events that were asked for, in order.
    pub events: Vec<Event>,
    /// All events up to this position were considered.
    pub through: i64,
    /// Whether there may be more after it.
    pub more: bool,
}

/// Returns the environment's published events after a position, in order; of these types only, unless the list is empty. Considers up to
/// `limit` events, and 4 MB of data. Leaves out events whose data was erased.
pub fn after(
    c: &mut DbConn,
    environment: EnvironmentId,
    position: i64,
    types: &[EventType],
    limit: i64,
) -> Result<EventBatch, StoreError> {
    // Read first: what is published meanwhile comes after it.
    let published = last_position(c)?;
    let (last, more) = match last_within(c, environment, position, types, limit)? {
        Some(last) => (last, true),
        None => (published.max(position), false),
    };
    let mut query = events::table
        .inner_join(environments::table)
        .filter(events::environment_id.eq(environment.raw()))
        .filter(events::position.gt(position))
        .filter(events::position.le(last))
        .filter(events::data.is_not_null())
        .into_boxed();
    if !types.is_empty() {
        query = query.filter(events::event_type.eq_any(types.iter().map(|event_type| event_type.as_str())));
    }
    let rows: Vec<EventRow> = query
        .order(events::position)
        .select(EventRow::as_select())
        .load(c)?;
    Ok(EventBatch {
        events: rows.into_iter().map(Event::from).collect(),
        through: last,
        more,
    })
}

/// Returns the position of the last event of the next batch; `None` if it is the environment's last event.
fn last_within(
    c: &mut DbConn,
    environment: EnvironmentId,
    position: i64,
    types: &[EventType],
    limit: i64,
) -> Result<Option<i64>, StoreError> {
    let length = match c.dialect() {
        crate::Dialect::Sqlite => "length",
        crate::Dialect::Postgres => "octet_length",
    };
    let names: Vec<&str> = types.iter().map(|event_type| event_type.as_str()).collect();
    let of_types = if names.is_empty() {
        String::new()
    } else {
        format!(" AND type {}", any(c.dialect()))
    };
    let sql = format!(
        "SELECT position, CAST({length}(data) AS BIGINT) FROM events WHERE environment_id = ? AND position > ? AND data IS NOT NULL{of_types} \
         ORDER BY position LIMIT ?"
    );
    let mut binds = vec![Bind::integer(environment.raw()), Bind::integer(position)];
    if !names.is_empty() {
        binds.push(text_list(c.dialect(), &names)?);
    }
    // One more, which tells whether there are more.
    binds.push(Bind::integer(limit.saturating_add(1)));
    let sizes = Statement::new(sql, binds).load(c, |row| Ok((row.some_integer(0)?, row.some_integer(1)?)))?;
    let (mut total, mut count, mut last) = (0_i64, 0, None);
    for (position, size) in sizes {
        total = total.saturating_add(size);
        if last.is_some() && (total > MAX_BYTES || count == limit) {
            return Ok(last);
        }
        count += 1;
        last = Some(position);
    }
    Ok(None)
}

/// Returns the last position of a published event, in any environment; 0 if there is none.
pub fn last_position(c: &mut DbConn) -> Result<i64, StoreError> {
    let last = Statement::new("SELECT last FROM event_positions WHERE id = 1", Vec::new());
    Ok(last.first(c, |row| row.some_integer(0))?.unwrap_or_default())
}

/// Returns the position before the environment's first published event since a time; the last position if there is none.
pub fn position_before(
    c: &mut DbConn,
    environment: EnvironmentId,
    since: Timestamp,
) -> Result<i64, StoreError> {
    let sql = "SELECT min(position) FROM events WHERE environment_id = ? AND created_at >= ?";
    let binds = vec![Bind::integer(environment.raw()), Bind::integer(since.as_micros())];
    let first = Statement::new(sql, binds).first(c, |row| row.integer(0))?;
    match first.flatten() {
        Some(first) => Ok(first - 1),
        None => last_position(c),
    }
}

/// Returns the position before the environment's first published run that wrote this change number or a later one; the last position if
/// there is none.
pub fn position_before_change(
    c: &mut DbConn,
    environment: EnvironmentId,
    change: i64,
) -> Result<i64, StoreError> {
    const PAGE: i64 = 500;
    let mut position = 0;
    loop {
        let batch = after(
            c,
            environment,
            position,
            &[EventType::SyncSucceeded, EventType::SyncFailed],
            PAGE,
        )?;
        let reaches = |event: &&Event| {
            let models = event
                .data
                .as_ref()
                .and_then(|data| data.get("models")?.as_array());
            models.is_some_and(|models| {
                models
                    .iter()
                    .filter_map(|model| model.get("last_change")?.as_i64())
                    .any(|last| last >= change)
            })
        };
        match batch.events.iter().find(reaches) {
            Some(event) => return Ok(event.position - 1),
            None if batch.more => position = batch.through,
            None => return Ok(batch.through),
        }
    }
}

/// Returns the published events with these row numbers.
pub(crate) fn by_numbers(c: &mut DbConn, numbers: &[i64]) -> Result<Vec<Event>, StoreError> {
    let rows: Vec<EventRow> = events::table
        .inner_join(environments::table)
        .filter(events::number.eq_any(numbers))
        .select(EventRow::as_select())
        .load(c)?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// Erases the data of up to `limit` events of a connection, except that of its deletion, with the responses to their deliveries, and ends deliveries that are pending.
/// Returns how many events those were.
pub fn erase(
    c: &mut DbConn,
    connection: ConnectionId,
    limit: i64,
    now: Timestamp,
) -> Result<usize, StoreError> {
    // In the order of their numbers, so that two deletions never wait for each other.
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!(
        "UPDATE events SET data = NULL, url_override = NULL WHERE number IN \
         (SELECT number FROM events WHERE connection_id = ? AND data IS NOT NULL AND type <> 'connection.deleted' \
         ORDER BY number LIMIT ?{lock}) RETURNING number"
    );
    let binds = vec![Bind::integer(connection.raw()), Bind::integer(limit)];
    let erased = Statement::new(sql, binds).load(c, |row| row.some_integer(0))?;
    if erased.is_empty() {
        return Ok(0);
    }
    let any = any(c.dialect());
    let numbers = |c: &DbConn| integer_list(c.dialect(), &erased);
    // The endpoints before their deliveries, as the holders of their leases lock them.
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!(
        "SELECT number FROM webhook_endpoints WHERE number IN (SELECT endpoint FROM webhook_deliveries WHERE event {any}) \
         ORDER BY number{lock}"
    );
    Statement::new(sql, vec![numbers(c)?]).load(c, |_| Ok(()))?;
    let sql = format!(
        "UPDATE webhook_attempts SET response = NULL WHERE delivery IN (SELECT number FROM webhook_deliveries WHERE event {any})"
    );
    Statement::new(sql, vec![numbers(c)?]).execute(c)?;
    let sql = format!(
        "UPDATE webhook_deliveries SET status = 'aborted', due_at = NULL, finished_at = ? WHERE status = 'pending' AND event {any}"
    );
    Statement::new(sql, vec![Bind::integer(now.as_micros()), numbers(c)?]).execute(c)?;
    Ok(erased.len())
}

/// Deletes up to `limit` published events that are older than `before`, with their deliveries. Returns how many.
pub(crate) fn prune(c: &mut DbConn, before: Timestamp, limit: i64) -> Result<i64, StoreError> {
    let sql = "DELETE FROM events WHERE number IN \
               (SELECT number FROM events WHERE created_at < ? AND position IS NOT NULL ORDER BY created_at LIMIT ?)";
    let binds = vec![Bind::integer(before.as_micros()), Bind::integer(limit)];
    let deleted = Statement::new(sql, binds).execute(c)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
