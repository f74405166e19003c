//! Webhook endpoints: where apps receive events. They are leased work: the holder of an endpoint's lease sends its deliveries, so order,
//! rate and breaker of an endpoint are one process's business at a time.

use diesel::prelude::*;
use domain::{
    Endpoint, EndpointHealth, EndpointId, EndpointSettings, EndpointSlot, EnvironmentId, RowId, Timestamp,
};

use crate::column::{row, to_json};
use crate::dialect::{Bind, Statement, any, integer_list, locking, on_db};
use crate::lease::{self, Lease};
use crate::schema::webhook_endpoints as endpoints;
use crate::{DbConn, StoreError};

row!(EndpointSettings: endpoints {
    url, description, format, events, integrations, tags, unchanged_runs, header_names, ordered, retry_seconds,
    timeout_seconds, rate_per_second, concurrency, enabled
});
row!(EndpointHealth: endpoints { failures, failing_since, paused_until });

/// The columns of an endpoint besides its settings and its health.
struct Base {
    number: RowId<Endpoint>,
    id: EndpointId,
    environment: EnvironmentId,
    slot: Option<EndpointSlot>,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    position: i64,
    replay_to: Option<i64>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

row!(Base: endpoints {
    number, id, slot, disabled_reason, disabled_at, position, replay_to, created_at, updated_at
}, environment = endpoints::environment_id);

type Row = (Base, EndpointSettings, EndpointHealth);

fn joined((base, settings, health): Row) -> Endpoint {
    Endpoint {
        number: base.number,
        id: base.id,
        environment: base.environment,
        slot: base.slot,
        settings,
        disabled_reason: base.disabled_reason,
        disabled_at: base.disabled_at,
        health,
        position: base.position,
        replay_to: base.replay_to,
        created_at: base.created_at,
        updated_at: base.updated_at,
    }
}

fn selected() -> (
    diesel::dsl::AsSelect<Base, crate::db_conn::MultiBackend>,
    diesel::dsl::AsSelect<EndpointSettings, crate::db_conn::MultiBackend>,
    diesel::dsl::AsSelect<EndpointHealth, crate::db_conn::MultiBackend>,
) {
    (
        Base::as_select(),
        EndpointSettings::as_select(),
        EndpointHealth::as_select(),
    )
}

/// Creates an endpoint, which gets the events that are published after this.
pub fn insert(
    c: &mut DbConn,
    environment: EnvironmentId,
    slot: Option<EndpointSlot>,
    settings: &EndpointSettings,
    now: Timestamp,
) -> Result<Endpoint, StoreError> {
    let id = EndpointId::new(now);
    let position = crate::events::last_position(c)?;
    let values = (
        endpoints::id.eq(id.to_string()),
        endpoints::environment_id.eq(environment.raw()),
        endpoints::slot.eq(slot.map(EndpointSlot::as_str)),
        endpoints::position.eq(position),
        // For events that are published before this is committed.
        endpoints::due_at.eq(now.as_micros()),
        endpoints::created_at.eq(now.as_micros()),
        endpoints::updated_at.eq(now.as_micros()),
        set(settings)?,
    );
    on_db!(&mut *c, c => diesel::insert_into(endpoints::table).values(values).execute(c))
        .map_err(StoreError::about("webhook endpoint"))?;
    find(c, environment, id)
}

/// Changes what the app sets of an endpoint. Enabling one makes it due, and forgets that it failed.
pub fn change(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    settings: &EndpointSettings,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set((endpoints::updated_at.eq(now.as_micros()), set(settings)?))
        .execute(c)?;
    if !settings.ordered {
        crate::deliveries::release_all(c, endpoint, now)?;
    }
    if !settings.enabled {
        return Ok(());
    }
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set((
            endpoints::disabled_reason.eq(None::<String>),
            endpoints::disabled_at.eq(None::<i64>),
            health(&EndpointHealth::default()),
        ))
        .execute(c)?;
    wake(c, endpoint, now)
}

type Text = Option<String>;
/// The assignments of all settings.
type Set<'a> = (
    diesel::dsl::Eq<endpoints::url, Option<&'a str>>,
    diesel::dsl::Eq<endpoints::description, Option<&'a str>>,
    diesel::dsl::Eq<endpoints::format, &'static str>,
    diesel::dsl::Eq<endpoints::events, String>,
    diesel::dsl::Eq<endpoints::integrations, Text>,
    diesel::dsl::Eq<endpoints::tags, String>,
    diesel::dsl::Eq<endpoints::unchanged_runs, bool>,
    diesel::dsl::Eq<endpoints::header_names, String>,
    diesel::dsl::Eq<endpoints::ordered, bool>,
    diesel::dsl::Eq<endpoints::retry_seconds, Text>,
    diesel::dsl::Eq<endpoints::timeout_seconds, Option<i64>>,
    diesel::dsl::Eq<endpoints::rate_per_second, Option<i64>>,
    diesel::dsl::Eq<endpoints::concurrency, Option<i64>>,
    diesel::dsl::Eq<endpoints::enabled, bool>,
);

fn set(settings: &EndpointSettings) -> Result<Set<'_>, diesel::result::Error> {
    let integrations = settings.integrations.as_ref().map(|keys| {
        let keys: Vec<_> = keys.iter().map(domain::IntegrationKey::as_str).collect();
        to_json(&keys)
    });
    Ok((
        endpoints::url.eq(settings.url.as_deref()),
        endpoints::description.eq(settings.description.as_deref()),
        endpoints::format.eq(settings.format.as_str()),
        endpoints::events.eq(to_json(&settings.events)?),
        endpoints::integrations.eq(integrations.transpose()?),
        endpoints::tags.eq(to_json(&settings.tags)?),
        endpoints::unchanged_runs.eq(settings.unchanged_runs),
        endpoints::header_names.eq(to_json(&settings.header_names)?),
        endpoints::ordered.eq(settings.ordered),
        endpoints::retry_seconds.eq(settings.retry_seconds.as_ref().map(to_json).transpose()?),
        endpoints::timeout_seconds.eq(settings.timeout_seconds),
        endpoints::rate_per_second.eq(settings.rate_per_second),
        endpoints::concurrency.eq(settings.concurrency),
        endpoints::enabled.eq(settings.enabled),
    ))
}

type Health = (
    diesel::dsl::Eq<endpoints::failures, i64>,
    diesel::dsl::Eq<endpoints::failing_since, Option<i64>>,
    diesel::dsl::Eq<endpoints::paused_until, Option<i64>>,
);

fn health(health: &EndpointHealth) -> Health {
    (
        endpoints::failures.eq(health.failures),
        endpoints::failing_since.eq(health.failing_since.map(Timestamp::as_micros)),
        endpoints::paused_until.eq(health.paused_until.map(Timestamp::as_micros)),
    )
}

/// Returns the environment's endpoint with that id.
pub fn find(c: &mut DbConn, environment: EnvironmentId, id: EndpointId) -> Result<Endpoint, StoreError> {
    endpoints::table
        .filter(endpoints::environment_id.eq(environment.raw()))
        .filter(endpoints::id.eq(id.to_string()))
        .select(selected())
        .get_result::<Row>(c)
        .map(joined)
        .map_err(StoreError::about("webhook endpoint"))
}

/// Returns the environment's endpoints, oldest first.
pub fn list(c: &mut DbConn, environment: EnvironmentId) -> Result<Vec<Endpoint>, StoreError> {
    let rows: Vec<Row> = endpoints::table
        .filter(endpoints::environment_id.eq(environment.raw()))
        .order(endpoints::number)
        .select(selected())
        .load(c)?;
    Ok(rows.into_iter().map(joined).collect())
}

/// Returns how many endpoints the environment has.
pub fn count(c: &mut DbConn, environment: EnvironmentId) -> Result<i64, StoreError> {
    Ok(endpoints::table
        .filter(endpoints::environment_id.eq(environment.raw()))
        .count()
        .get_result(c)?)
}

/// Deletes an endpoint with its deliveries. Returns false if there is none.
pub fn delete(c: &mut DbConn, environment: EnvironmentId, id: EndpointId) -> Result<bool, StoreError> {
    let theirs = endpoints::table
        .filter(endpoints::environment_id.eq(environment.raw()))
        .filter(endpoints::id.eq(id.to_string()));
    Ok(diesel::delete(theirs).execute(c)? == 1)
}

/// Leases up to `limit` endpoints that are due at `now` to `holder` until `until`, longest due first.
pub fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    holder: &str,
    limit: i64,
) -> Result<Vec<Endpoint>, StoreError> {
    let numbers = lease::claim::<Endpoint>(c, now, until, holder, limit)?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    crate::deliveries::release_misdated(c, &numbers, now)?;
    let rows: Vec<Row> = endpoints::table
        .filter(endpoints::number.eq_any(&numbers))
        .select(selected())
        .load(c)?;
    Ok(rows.into_iter().map(joined).collect())
}

/// Locks a leased endpoint until the transaction ends, and returns it as it is now. [`StoreError::LeaseLost`] if the lease is lost, or the
/// endpoint was deleted.
pub fn leased(c: &mut DbConn, lease: &Lease<Endpoint>) -> Result<Endpoint, StoreError> {
    lease.check(c)?;
    let row = endpoints::table
        .find(lease.id.raw())
        .select(selected())
        .get_result::<Row>(c)
        .optional()?;
    row.map(joined).ok_or(StoreError::LeaseLost)
}

/// Sets how far the endpoint has come in the events, and whether it is replaying.
pub fn set_position(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    position: i64,
    replay_to: Option<i64>,
) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set((
            endpoints::position.eq(position),
            endpoints::replay_to.eq(replay_to),
        ))
        .execute(c)?;
    Ok(())
}

/// Sets the endpoint back to an earlier position, and makes it due. Up to where it is now, or where an earlier call set it back from, events
/// are delivered again.
pub fn go_back(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    position: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let greatest = match c.dialect() {
        crate::Dialect::Sqlite => "max",
        crate::Dialect::Postgres => "greatest",
    };
    let sql = format!(
        "UPDATE webhook_endpoints SET replay_to = {greatest}(coalesce(replay_to, 0), position), position = ? \
         WHERE number = ? AND position > ?"
    );
    let binds = vec![
        Bind::integer(position),
        Bind::integer(endpoint.raw()),
        Bind::integer(position),
    ];
    Statement::new(sql, binds).execute(c)?;
    wake(c, endpoint, now)
}

/// Notes that the secrets of an endpoint have changed, so that its holder reads them again.
pub fn touch(c: &mut DbConn, endpoint: RowId<Endpoint>, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set(endpoints::updated_at.eq(now.as_micros()))
        .execute(c)?;
    Ok(())
}

/// Sets how the last deliveries went.
pub fn set_health(c: &mut DbConn, endpoint: RowId<Endpoint>, new: &EndpointHealth) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set(health(new))
        .execute(c)?;
    Ok(())
}

/// Disables an endpoint, and says why.
pub fn disable(
    c: &mut DbConn,
    endpoint: RowId<Endpoint>,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find(endpoint.raw()))
        .set((
            endpoints::enabled.eq(false),
            endpoints::disabled_reason.eq(reason),
            endpoints::disabled_at.eq(now.as_micros()),
        ))
        .execute(c)?;
    Ok(())
}

/// Publishes up to `limit` events, and makes the endpoints of their environments due. Returns how many events those were.
pub fn publish(c: &mut DbConn, limit: i64, now: Timestamp) -> Result<usize, StoreError> {
    let (published, environments) = crate::events::publish(c, limit)?;
    if published > 0 {
        wake_all(c, &environments, now)?;
    }
    Ok(published)
}

/// Deletes up to `limit` published events that are older than `before`, with their deliveries, and lets go what these held back in ordered
/// endpoints. Returns how many events those were; repeat until that is less than `limit`.
pub fn prune_events(
    c: &mut DbConn,
    before: Timestamp,
    limit: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let pruned = crate::events::prune(c, before, limit)?;
    if pruned > 0 {
        let released = crate::deliveries::release_after_prune(c, now)?;
        lease::make_due::<Endpoint>(c, &released, now)?;
    }
    Ok(pruned)
}

/// Makes an endpoint due now. Its holder, if any, looks for more work before it gives the lease back.
pub fn wake(c: &mut DbConn, endpoint: RowId<Endpoint>, now: Timestamp) -> Result<(), StoreError> {
    wake_where(c, "number = ?", vec![Bind::integer(endpoint.raw())], now)
}

/// Makes the enabled endpoints of these environments due now, except those that wait after failures.
fn wake_all(c: &mut DbConn, environments: &[i64], now: Timestamp) -> Result<(), StoreError> {
    let filter = format!(
        "enabled AND (paused_until IS NULL OR paused_until <= ? OR paused_until > ?) AND environment_id {}",
        any(c.dialect())
    );
    let longest = now.plus(domain::LONGEST_PAUSE).plus(Timestamp::CLOCK_SKEW);
    let binds = vec![
        Bind::integer(now.as_micros()),
        Bind::integer(longest.as_micros()),
        integer_list(c.dialect(), environments)?,
    ];
    wake_where(c, &filter, binds, now)
}

fn wake_where(c: &mut DbConn, filter: &str, binds: Vec<Bind<'_>>, now: Timestamp) -> Result<(), StoreError> {
    // Locked whether they are leased or not: a holder that finds nothing to do and gives its lease back at this moment either sees what this
    // transaction has written, or has given the lease back before this makes the endpoint due.
    let lock = locking(c, " FOR NO KEY UPDATE");
    let sql = format!("SELECT number FROM webhook_endpoints WHERE {filter} ORDER BY number{lock}");
    let numbers = Statement::new(sql, binds).load(c, |row| row.some_integer(0))?;
    if numbers.is_empty() {
        return Ok(());
    }
    lease::make_due::<Endpoint>(c, &numbers, now)
}
