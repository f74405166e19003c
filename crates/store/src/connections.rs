//! Connections: an environment's access to one account of a provider.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use domain::{
    Connection, ConnectionFilter, ConnectionId, ConnectionName, EnvironmentId, IntegrationKey, Problem,
    ProviderName, StoredIntegration, Timestamp,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::column::{row, to_json};
use crate::dialect::{json_field, on_db, tag_is};
use crate::schema::{connection_values as values, connections, integrations};
use crate::{DbConn, StoreError};

row!(Connection: connections {
    id, name, integration, provider, connection_config, metadata, tags, end_user, problem,
    created_at, updated_at, last_fetched_at, webhook_url_override
}, environment = connections::environment_id);

/// A connection to create or replace.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Its environment.
    pub environment: EnvironmentId,
    /// The integration.
    pub integration: IntegrationKey,
    /// The app's name for it.
    pub name: ConnectionName,
    /// The provider.
    pub provider: ProviderName,
    /// What requests need besides the credentials; not secret.
    pub connection_config: Map<String, Json>,
    /// What the app sets besides.
    pub change: ConnectionChange,
}

/// A change of a connection; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct ConnectionChange {
    /// The app's own metadata.
    pub metadata: Option<Map<String, Json>>,
    /// The app's tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// The app's user.
    pub end_user: Option<Json>,
    /// The URL that receives its events; the inner `None` for the environment's.
    pub webhook_url_override: Option<Option<String>>,
}

/// Creates a connection unless there is one of the same environment, integration and name. Returns whether it was created.
pub fn insert(c: &mut DbConn, new: &NewConnection, now: Timestamp) -> Result<bool, StoreError> {
    let created = on_db!(&mut *c, c => diesel::insert_into(connections::table)
        .values((
            connections::environment_id.eq(new.environment.raw()),
            connections::integration.eq(new.integration.as_str()),
            connections::name.eq(new.name.as_str()),
            connections::provider.eq(new.provider.as_str()),
            connections::connection_config.eq(to_json(&new.connection_config)?),
            connections::metadata.eq(maybe_json(new.change.metadata.as_ref())?),
            connections::tags.eq(to_json(&new.change.tags.as_ref().unwrap_or(&BTreeMap::new()))?),
            connections::end_user.eq(maybe_json(new.change.end_user.as_ref())?),
            connections::webhook_url_override.eq(new.change.webhook_url_override.clone().flatten()),
            connections::created_at.eq(now.as_micros()),
            connections::updated_at.eq(now.as_micros()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    if created == 1 {
        let same = connections::table
            .filter(connections::environment_id.eq(new.environment.raw()))
            .filter(connections::integration.eq(new.integration.as_str()))
            .filter(connections::name.eq(new.name.as_str()));
        let id: i64 = same.select(connections::id).get_result(c)?;
        insert_values(c, ConnectionId::from_raw(id), &new.connection_config)?;
    }
    Ok(created == 1)
}

/// The longest value of a configuration by which a connection is found, in bytes.
pub const LONGEST_CONFIG_VALUE: usize = 1024;

/// Stores the values of a configuration by which [`with_config`] finds the connection. Values that are too long or contain NUL,
/// which PostgreSQL's text refuses, are not stored.
fn insert_values(c: &mut DbConn, id: ConnectionId, config: &Map<String, Json>) -> Result<(), StoreError> {
    for (key, value) in config {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => value.to_string(),
            Json::Null | Json::Array(_) | Json::Object(_) => continue,
        };
        if text.len() > LONGEST_CONFIG_VALUE || text.contains('\0') || key.contains('\0') {
            continue;
        }
        let row = (
            values::connection_id.eq(id.raw()),
            values::key.eq(key),
            values::value.eq(text),
        );
        on_db!(&mut *c, c => diesel::insert_into(values::table).values(row).execute(c))?;
    }
    Ok(())
}

fn replace_values(c: &mut DbConn, id: ConnectionId, config: &Map<String, Json>) -> Result<(), StoreError> {
    diesel::delete(values::table.filter(values::connection_id.eq(id.raw()))).execute(c)?;
    insert_values(c, id, config)
}

/// Sets a connection's provider and configuration, and those of the other fields that are not `None`, and clears its problem.
pub fn replace(
    c: &mut DbConn,
    id: ConnectionId,
    new: &NewConnection,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(connections::table.find(id.raw()))
        .set((
            connections::provider.eq(new.provider.as_str()),
            connections::connection_config.eq(to_json(&new.connection_config)?),
            connections::problem.eq(None::<String>),
        ))
        .execute(c)?;
    replace_values(c, id, &new.connection_config)?;
    change(c, id, &new.change, now)
}

/// Changes the connection.
pub fn change(
    c: &mut DbConn,
    id: ConnectionId,
    change: &ConnectionChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let set = (
        connections::updated_at.eq(now.as_micros()),
        maybe_json(change.metadata.as_ref())?.map(|metadata| connections::metadata.eq(metadata)),
        maybe_json(change.tags.as_ref())?.map(|tags| connections::tags.eq(tags)),
        maybe_json(change.end_user.as_ref())?.map(|user| connections::end_user.eq(user)),
        change
            .webhook_url_override
            .as_ref()
            .map(|url| connections::webhook_url_override.eq(url.as_deref())),
    );
    diesel::update(connections::table.find(id.raw()))
        .set(set)
        .execute(c)?;
    Ok(())
}

/// Returns the environment's connection of that integration and name, locked until the transaction ends.
pub fn lock(
    c: &mut DbConn,
    environment: EnvironmentId,
    integration: &IntegrationKey,
    name: &ConnectionName,
) -> Result<Connection, StoreError> {
    let row = connections::table
        .filter(connections::environment_id.eq(environment.raw()))
        .filter(connections::integration.eq(integration.as_str()))
        .filter(connections::name.eq(name.as_str()));
    // An update that changes nothing locks the row on either database.
    diesel::update(row)
        .set(connections::environment_id.eq(environment.raw()))
        .execute(c)?;
    find(c, environment, integration, name)
}

fn maybe_json(value: Option<&impl Serialize>) -> Result<Option<String>, diesel::result::Error> {
    value.map(to_json).transpose()
}

/// Returns the environment's connection of that integration and name.
pub fn find(
    c: &mut DbConn,
    environment: EnvironmentId,
    integration: &IntegrationKey,
    name: &ConnectionName,
) -> Result<Connection, StoreError> {
    connections::table
        .filter(connections::environment_id.eq(environment.raw()))
        .filter(connections::integration.eq(integration.as_str()))
        .filter(connections::name.eq(name.as_str()))
        .select(Connection::as_select())
        .get_result(c)
        .map_err(StoreError::about("connection"))
}

/// Returns the connection as [`find`] does, with its integration if that is stored. `None` if there is no such connection.
pub fn find_with_integration(
    c: &mut DbConn,
    environment: EnvironmentId,
    integration: &IntegrationKey,
    name: &ConnectionName,
) -> Result<Option<(Connection, Option<StoredIntegration>)>, StoreError> {
    let of_connection = integrations::environment_id
        .eq(connections::environment_id)
        .and(integrations::key.eq(connections::integration));
    Ok(connections::table
        .left_join(integrations::table.on(of_connection))
        .filter(connections::environment_id.eq(environment.raw()))
        .filter(connections::integration.eq(integration.as_str()))
        .filter(connections::name.eq(name.as_str()))
        .select((Connection::as_select(), Option::<StoredIntegration>::as_select()))
        .get_result(c)
        .optional()?)
}

/// Returns up to `limit` connections of an integration whose configuration has this text, number or boolean at `key`, oldest first.
pub fn with_config(
    c: &mut DbConn,
    environment: EnvironmentId,
    integration: &IntegrationKey,
    (key, value): (&str, &str),
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    let has = values::table
        .filter(values::key.eq(key))
        .filter(values::value.eq(value))
        .select(values::connection_id);
    Ok(connections::table
        .filter(connections::environment_id.eq(environment.raw()))
        .filter(connections::integration.eq(integration.as_str()))
        .filter(connections::id.eq_any(has))
        .order(connections::id)
        .limit(limit)
        .select(Connection::as_select())
        .load(c)?)
}

/// Returns the connection with that row number, of any environment.
pub fn get_any_environment(c: &mut DbConn, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    Ok(connections::table
        .find(id.raw())
        .select(Connection::as_select())
        .get_result(c)
        .optional()?)
}

/// Returns the environment's connections that match the filter, newest first.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &ConnectionFilter,
) -> Result<Vec<Connection>, StoreError> {
    let dialect = c.dialect();
    let user = |path: &[&'static str]| json_field(dialect, "end_user", path);
    let mut query = connections::table
        .filter(connections::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(name) = &filter.name {
        query = query.filter(connections::name.eq(name.as_str()));
    }
    if let Some(search) = &filter.search {
        let searched = format!(
            "lower(name || ' ' || coalesce({}, '') || ' ' || coalesce({}, '') || ' ' || coalesce({}, ''))",
            user(&["id"]),
            user(&["email"]),
            user(&["display_name"])
        );
        let pattern = format!(
            "%{}%",
            search
                .to_lowercase()
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_")
        );
        query = query.filter(diesel::dsl::sql::<Text>(&searched).like(pattern).escape('\\'));
    }
    if !filter.integrations.is_empty() {
        query = query
            .filter(connections::integration.eq_any(filter.integrations.iter().map(IntegrationKey::as_str)));
    }
    for (tag, value) in &filter.tags {
        let [before, between, after] = tag_is(dialect);
        let tagged = diesel::dsl::sql::<Bool>(before)
            .bind::<Text, _>(tag)
            .sql(between)
            .bind::<Text, _>(value)
            .sql(after);
        query = query.filter(tagged);
    }
    if let Some(id) = &filter.end_user_id {
        query = query.filter(diesel::dsl::sql::<Text>(&user(&["id"])).eq(id));
    }
    if let Some(id) = &filter.organization_id {
        query = query.filter(diesel::dsl::sql::<Text>(&user(&["organization", "id"])).eq(id));
    }
    Ok(query
        .order(connections::id.desc())
        .limit(filter.limit)
        .offset(filter.page.saturating_mul(filter.limit))
        .select(Connection::as_select())
        .load(c)?)
}

/// Returns how many connections the environment has, or how many only one integration has.
pub fn count(
    c: &mut DbConn,
    environment: EnvironmentId,
    integration: Option<&IntegrationKey>,
) -> Result<i64, StoreError> {
    let mut query = connections::table
        .filter(connections::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(key) = integration {
        query = query.filter(connections::integration.eq(key.as_str()));
    }
    Ok(query.count().get_result(c)?)
}

/// Sets or clears the connection's problem.
pub fn set_problem(c: &mut DbConn, id: ConnectionId, problem: Option<&Problem>) -> Result<(), StoreError> {
    let problem = maybe_json(problem)?;
    diesel::update(connections::table.find(id.raw()))
        .set(connections::problem.eq(problem))
        .execute(c)?;
    Ok(())
}

/// Clears the connection's problem if it is still this one. Returns whether it was.
pub fn clear_problem(c: &mut DbConn, id: ConnectionId, problem: &Problem) -> Result<bool, StoreError> {
    let noted = connections::table
        .filter(connections::id.eq(id.raw()))
        .filter(connections::problem.eq(to_json(problem)?));
    let cleared = diesel::update(noted)
        .set(connections::problem.eq(None::<String>))
        .execute(c)?;
    Ok(cleared == 1)
}

/// Sets the configuration, and nothing else.
pub fn set_config(c: &mut DbConn, id: ConnectionId, config: &Map<String, Json>) -> Result<(), StoreError> {
    diesel::update(connections::table.find(id.raw()))
        .set(connections::connection_config.eq(to_json(config)?))
        .execute(c)?;
    replace_values(c, id, config)
}

/// Returns up to `limit` connections of the provider, of any environment, with row numbers above `after`, in their order.
pub fn of_provider_any_environment(
    c: &mut DbConn,
    provider: &ProviderName,
    after: ConnectionId,
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    Ok(connections::table
        .filter(connections::provider.eq(provider.as_str()))
        .filter(connections::id.gt(after.raw()))
        .order(connections::id)
        .limit(limit)
        .select(Connection::as_select())
        .load(c)?)
}

/// Sets when the connection's credentials were last handed out.
pub fn touch(c: &mut DbConn, id: ConnectionId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(connections::table.find(id.raw()))
        .set(connections::last_fetched_at.eq(now.as_micros()))
        .execute(c)?;
    Ok(())
}

/// Deletes the connection with its credentials, syncs, schedules, runs, slices and counters. Returns false if there is none.
///
/// Synced rows stay: delete them before, in batches, with [`crate::records::delete_connection`].
pub fn delete(c: &mut DbConn, id: ConnectionId) -> Result<bool, StoreError> {
    crate::webhook_secrets::delete_of_connection(c, id)?;
    Ok(diesel::delete(connections::table.find(id.raw())).execute(c)? == 1)
}
