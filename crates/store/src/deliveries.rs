//! Deliveries of events to webhook endpoints, and their attempts. The holder of an endpoint's lease makes and ends them.

mod list;

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;
use domain::{Delivery, DeliveryAttempt, DeliveryId, DeliveryStatus, Endpoint, Event, RowId, Timestamp};

use crate::column::row;
use crate::dialect::{Bind, Statement, any, inserts, integer_list};
use crate::lease;
use crate::schema::{
    events, webhook_attempts, webhook_deliveries as deliveries, webhook_endpoints as endpoints,
};
use crate::{DbConn, StoreError};

pub use self::list::{DeliveryFilter, count_pending, find, list};

row!(Delivery: deliveries {
    number, id, status, attempts, due_at, created_at, finished_at
}, endpoint = endpoints::id, event = events::id, event_type = events::event_type,
    connection_name = events::connection_name, integration = events::integration);
row!(DeliveryAttempt: webhook_attempts { attempt, at, duration_ms, status, error, response });

/// A delivery whose next attempt is due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueDelivery {
    /// The delivery.
    pub number: RowId<Delivery>,
    /// Its event.
    pub event: Event,
    /// How many attempts were made.
    pub attempts: i64,
    /// How many of them since the delivery was made or replayed.
    pub tries: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// The delivery.
    pub delivery: RowId<Delivery>,
    /// The attempt.
    pub attempt: DeliveryAttempt,
    /// How many attempts came before it since the delivery was made or replayed.
    pub tries: i64,
    /// What follows.
    pub then: ThenDelivery,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThenDelivery {
    /// The delivery has ended.
    Ended(DeliveryStatus),
    /// Another attempt is due then.
    Again(Timestamp),
}

/// Makes deliveries of events for a leased endpoint. With an event that has one already: if `again`, the delivery begins anew.
///
/// In an ordered endpoint, a delivery is held back while an earlier one of its connection is pending.
pub fn make(
    c: &mut DbConn,
    endpoint: &Endpoint,
    wanted: &[&Event],
    again: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let busy = if endpoint.settings.ordered {
        pending_connections(c, endpoint.number, wanted)?
    } else {
        HashSet::new()
    };
    let mut held_back = busy;
    let conflict = if again {
        " ON CONFLICT (event, endpoint) DO UPDATE SET status = 'pending', tries = 0, due_at = excluded.due_at, \
         due_within = excluded.due_within, finished_at = NULL"
    } else {
        " ON CONFLICT DO NOTHING"
    };
    let insert = "INSERT INTO webhook_deliveries (id, endpoint, event, connection_id, status, due_at, due_within, created_at) VALUES ";
    let mut rows = Vec::with_capacity(wanted.len());
    for event in wanted {
        let connection = event.connection.as_ref().map(|connection| connection.id.raw());
        // Of two events of one connection, the second waits for the first.
        let waits = endpoint.settings.ordered && !held_back.insert(connection);
        let due = endpoint.wait_before(0).unwrap_or_default();
        let (due_at, due_within) = lease::due((!waits).then(|| now.plus(due)), now);
        rows.push(vec![
            Bind::text(DeliveryId::new(now).to_string()),
            Bind::integer(endpoint.number.raw()),
            Bind::integer(event.number.raw()),
            Bind::Integer(connection),
            Bind::text(DeliveryStatus::Pending.as_str()),
            Bind::Integer(due_at),
            Bind::integer(due_within),
            Bind::integer(now.as_micros()),
        ]);
    }
    for statement in inserts(insert, conflict, rows) {
        statement.execute(c)?;
    }
    if again && endpoint.settings.ordered {
        // A delivery that begins anew counted as pending above, perhaps alone.
        let theirs: Vec<Option<i64>> = held_back.into_iter().collect();
        release_next(c, endpoint, Some(&theirs), now)?;
    }
    Ok(())
}

/// The connections of these events with a pending delivery.
fn pending_connections(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    wanted: &[&Event],
) -> Result<HashSet<Option<i64>>, StoreError> {
    let connections: Vec<i64> = wanted
        .iter()
        .filter_map(|event| event.connection.as_ref())
        .map(|connection| connection.id.raw())
        .collect();
    let sql = format!(
        "SELECT DISTINCT connection_id FROM webhook_deliveries WHERE endpoint = ? AND status = 'pending' \
         AND (connection_id {} OR connection_id IS NULL)",
        any(c.dialect())
    );
    let binds = vec![
        Bind::integer(endpoint.raw()),
        integer_list(c.dialect(), &connections)?,
    ];
    let found = Statement::new(sql, binds).load(c, |row| row.integer(0))?;
    Ok(found.into_iter().collect())
}

/// Returns deliveries of a leased endpoint whose next attempt is due, longest due first, except those in `in_flight`.
pub fn due(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    in_flight: &BTreeSet<RowId<Delivery>>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<DueDelivery>, StoreError> {
    // Those in flight are due too, and among the first.
    let most = i64::try_from(limit.saturating_add(in_flight.len())).unwrap_or(i64::MAX);
    let found: Vec<(i64, i64, i64, i64)> = deliveries::table
        .filter(deliveries::endpoint.eq(endpoint.raw()))
        .filter(deliveries::due_at.le(now.as_micros()))
        .order((deliveries::due_at, deliveries::number))
        .limit(most)
        .select((
            deliveries::number,
            deliveries::event,
            deliveries::attempts,
            deliveries::tries,
        ))
        .load(c)?;
    let found: Vec<_> = found
        .into_iter()
        .filter(|(number, ..)| !in_flight.contains(&RowId::from_raw(*number)))
        .take(limit)
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i64> = found.iter().map(|(_, event, ..)| *event).collect();
    let events = crate::events::by_numbers(c, &numbers)?;
    let mut events: HashMap<i64, Event> = events
        .into_iter()
        .map(|event| (event.number.raw(), event))
        .collect();
    let (mut due, mut erased) = (Vec::new(), Vec::new());
    for (number, event, attempts, tries) in found {
        match events.remove(&event) {
            Some(event) if event.data.is_some() => due.push(DueDelivery {
                number: RowId::from_raw(number),
                event,
                attempts,
                tries,
            }),
            // Its event was erased while the delivery was made.
            _ => erased.push(number),
        }
    }
    end(c, DeliveryStatus::Aborted, &erased, false, now)?;
    Ok(due)
}

/// Ends pending deliveries; `tried` counts an attempt of each.
fn end(
    c: &mut DbConn,
    status: DeliveryStatus,
    numbers: &[i64],
    tried: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    if numbers.is_empty() {
        return Ok(());
    }
    let tried = if tried { TRIED } else { "" };
    let sql = format!(
        "UPDATE webhook_deliveries SET status = ?{tried}, due_at = NULL, finished_at = ? WHERE status = 'pending' AND number {}",
        any(c.dialect())
    );
    let binds = vec![
        Bind::text(status.as_str()),
        Bind::integer(now.as_micros()),
        integer_list(c.dialect(), numbers)?,
    ];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Counts an attempt.
const TRIED: &str = ", attempts = attempts + 1, tries = tries + 1";

/// Returns when the next attempt of a delivery of the endpoint is due.
pub fn next_due(c: &mut DbConn, endpoint: RowId<Endpoint>) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(due_at) FROM webhook_deliveries WHERE endpoint = ? AND due_at IS NOT NULL";
    let next = Statement::new(sql, vec![Bind::integer(endpoint.raw())]).first(c, |row| row.integer(0))?;
    Ok(next.flatten().map(Timestamp::from_micros))
}

/// Stores the ends of attempts of a leased endpoint. A delivery that has ended meanwhile, because its connection was deleted, stays as it
/// is.
pub fn store_ends(
    c: &mut DbConn,
    endpoint: &Endpoint,
    ends: &[AttemptEnd],
    now: Timestamp,
) -> Result<(), StoreError> {
    let all: Vec<i64> = ends.iter().map(|end| end.delivery.raw()).collect();
    let erased = erased(c, &all)?;
    let insert =
        "INSERT INTO webhook_attempts (delivery, attempt, at, duration_ms, status, error, response) VALUES ";
    let rows = ends.iter().map(|end| {
        let response = end.attempt.response.as_deref();
        let response = response.filter(|_| !erased.contains(&end.delivery.raw()));
        vec![
            Bind::integer(end.delivery.raw()),
            Bind::integer(end.attempt.attempt),
            Bind::integer(end.attempt.at.as_micros()),
            Bind::integer(end.attempt.duration_ms),
            Bind::Integer(end.attempt.status),
            Bind::Text(end.attempt.error.as_deref().map(Into::into)),
            Bind::Text(response.map(Into::into)),
        ]
    });
    for statement in inserts(insert, " ON CONFLICT DO NOTHING", rows.collect()) {
        statement.execute(c)?;
    }
    let delivered = ThenDelivery::Ended(DeliveryStatus::Delivered);
    let accepted = ends.iter().filter(|end| end.then == delivered);
    let accepted: Vec<i64> = accepted.map(|end| end.delivery.raw()).collect();
    end(c, DeliveryStatus::Delivered, &accepted, true, now)?;
    let mut ended = accepted;
    for attempted in ends.iter().filter(|end| end.then != delivered) {
        let (status, due_at) = match attempted.then {
            ThenDelivery::Ended(status) => (status, None),
            ThenDelivery::Again(due_at) => (DeliveryStatus::Pending, Some(due_at)),
        };
        let finished_at = due_at.is_none().then(|| now.as_micros());
        let (due_at, due_within) = lease::due(due_at, now);
        // Not if this was stored before, or the delivery was replayed meanwhile.
        let sql = format!(
            "UPDATE webhook_deliveries SET status = ?{TRIED}, due_at = ?, due_within = ?, finished_at = ? \
             WHERE status = 'pending' AND number = ? AND attempts = ? AND tries = ?"
        );
        let binds = vec![
            Bind::text(status.as_str()),
            Bind::Integer(due_at),
            Bind::integer(due_within),
            Bind::Integer(finished_at),
            Bind::integer(attempted.delivery.raw()),
            Bind::integer(attempted.attempt.attempt - 1),
            Bind::integer(attempted.tries),
        ];
        Statement::new(sql, binds).execute(c)?;
        ended.push(attempted.delivery.raw());
    }
    if endpoint.settings.ordered && !ended.is_empty() {
        let sql = format!(
            "SELECT DISTINCT connection_id FROM webhook_deliveries WHERE number {}",
            any(c.dialect())
        );
        let list = integer_list(c.dialect(), &ended)?;
        let theirs = Statement::new(sql, vec![list]).load(c, |row| row.integer(0))?;
        release_next(c, endpoint, Some(&theirs), now)?;
    }
    Ok(())
}

/// The deliveries of which the event was erased with its connection.
fn erased(c: &mut DbConn, deliveries: &[i64]) -> Result<HashSet<i64>, StoreError> {
    let sql = format!(
        "SELECT number FROM webhook_deliveries WHERE number {} AND event IN (SELECT number FROM events WHERE data IS NULL)",
        any(c.dialect())
    );
    let list = integer_list(c.dialect(), deliveries)?;
    let found = Statement::new(sql, vec![list]).load(c, |row| row.some_integer(0))?;
    Ok(found.into_iter().collect())
}

/// Makes due what an endpoint holds back that is ordered no longer.
pub(crate) fn release_all(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE webhook_deliveries SET due_at = ?, due_within = 0 \
               WHERE endpoint = ? AND status = 'pending' AND due_at IS NULL";
    let binds = vec![Bind::integer(now.as_micros()), Bind::integer(endpoint.raw())];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Makes due, in all ordered endpoints, the first pending delivery of each connection of which none is due. Call it after events were
/// pruned: one of them may have held back others. Returns the endpoints.
pub(crate) fn release_after_prune(c: &mut DbConn, now: Timestamp) -> Result<Vec<i64>, StoreError> {
    let sql = "UPDATE webhook_deliveries SET due_at = ?, due_within = 0 WHERE number IN \
               (SELECT min(d.number) FROM webhook_deliveries AS d JOIN webhook_endpoints AS e ON e.number = d.endpoint \
               WHERE e.ordered AND d.status = 'pending' GROUP BY d.endpoint, d.connection_id HAVING count(d.due_at) = 0) \
               RETURNING endpoint";
    let binds = vec![Bind::integer(now.as_micros())];
    Statement::new(sql, binds).load(c, |row| row.some_integer(0))
}

/// Makes due, in an ordered endpoint, the first pending delivery of each of these connections, or of all, of which none is due.
fn release_next(
    c: &mut DbConn,
    endpoint: &Endpoint,
    connections: Option<&[Option<i64>]>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut binds = vec![
        Bind::integer(now.as_micros()),
        Bind::integer(endpoint.number.raw()),
    ];
    let mut theirs = String::new();
    if let Some(connections) = connections {
        let known: Vec<i64> = connections.iter().copied().flatten().collect();
        let none = if connections.contains(&None) {
            " OR connection_id IS NULL"
        } else {
            ""
        };
        theirs = format!(" AND (connection_id {}{none})", any(c.dialect()));
        binds.push(integer_list(c.dialect(), &known)?);
    }
    let sql = format!(
        "UPDATE webhook_deliveries SET due_at = ?, due_within = 0 WHERE number IN \
         (SELECT min(number) FROM webhook_deliveries WHERE endpoint = ? AND status = 'pending'{theirs} \
         GROUP BY connection_id HAVING count(due_at) = 0)"
    );
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Makes due what a wrong clock set too far in the future, of these endpoints.
pub(crate) fn release_misdated(c: &mut DbConn, endpoints: &[i64], now: Timestamp) -> Result<(), StoreError> {
    let limit = now.plus(Timestamp::CLOCK_SKEW).as_micros();
    let sql = format!(
        "UPDATE webhook_deliveries SET due_at = ?, due_within = 0 WHERE due_at > ? AND due_at - due_within > ? AND endpoint {}",
        any(c.dialect())
    );
    let binds = vec![
        Bind::integer(now.as_micros()),
        Bind::integer(limit),
        Bind::integer(limit),
        integer_list(c.dialect(), endpoints)?,
    ];
    Statement::new(sql, binds).execute(c).map(drop)
}

/// Begins a delivery anew, whatever its state; in an ordered endpoint after earlier ones of its connection. Returns false if its event was
/// erased.
pub fn replay(
    c: &mut DbConn,
    endpoint: &Endpoint,
    delivery: RowId<Delivery>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let due_at = (!endpoint.settings.ordered).then(|| now.as_micros());
    let sql = "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ?, due_within = 0, finished_at = NULL \
               WHERE number = ? AND event IN (SELECT number FROM events WHERE data IS NOT NULL) RETURNING connection_id";
    let binds = vec![Bind::Integer(due_at), Bind::integer(delivery.raw())];
    let replayed = Statement::new(sql, binds).load(c, |row| row.integer(0))?;
    if endpoint.settings.ordered && !replayed.is_empty() {
        release_next(c, endpoint, Some(&replayed), now)?;
    }
    Ok(!replayed.is_empty())
}

/// Deletes up to `limit` deliveries of an endpoint. Returns how many; repeat until that is less than `limit`.
pub fn delete_some(c: &mut DbConn, endpoint: RowId<Endpoint>, limit: i64) -> Result<i64, StoreError> {
    let sql = "DELETE FROM webhook_deliveries WHERE number IN \
               (SELECT number FROM webhook_deliveries WHERE endpoint = ? ORDER BY number LIMIT ?)";
    let binds = vec![Bind::integer(endpoint.raw()), Bind::integer(limit)];
    let deleted = Statement::new(sql, binds).execute(c)?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// Begins up to `limit` failed deliveries of the endpoint anew, oldest first, of events since a time. Returns how many; repeat until that is
/// less than `limit`.
pub fn replay_failed(
    c: &mut DbConn,
    endpoint: &Endpoint,
    since: Option<Timestamp>,
    limit: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    // Held back at first if the endpoint is ordered.
    let due = (!endpoint.settings.ordered).then(|| now.as_micros());
    let sql = "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ?, due_within = 0, finished_at = NULL WHERE number IN \
               (SELECT d.number FROM webhook_deliveries AS d JOIN events AS e ON e.number = d.event \
               WHERE d.endpoint = ? AND d.status = 'failed' AND e.data IS NOT NULL AND e.created_at >= ? ORDER BY d.number LIMIT ?)";
    let binds = vec![
        Bind::Integer(due),
        Bind::integer(endpoint.number.raw()),
        Bind::integer(since.map_or(i64::MIN, Timestamp::as_micros)),
        Bind::integer(limit),
    ];
    let replayed = Statement::new(sql, binds).execute(c)?;
    if endpoint.settings.ordered {
        release_next(c, endpoint, None, now)?;
    }
    Ok(i64::try_from(replayed).unwrap_or(i64::MAX))
}
