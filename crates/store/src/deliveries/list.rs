//! Reading deliveries, for people and for the API.

use diesel::prelude::*;
use domain::{
    Delivery, DeliveryAttempt, DeliveryId, DeliveryStatus, Endpoint, EnvironmentId, RowId, Timestamp,
};

use crate::schema::{
    events, webhook_attempts, webhook_deliveries as deliveries, webhook_endpoints as endpoints,
};
use crate::{DbConn, StoreError};

/// Which deliveries to list. `None` selects all.
#[derive(Debug, Clone)]
pub struct DeliveryFilter {
    /// Deliveries to this endpoint.
    pub endpoint: Option<domain::EndpointId>,
    /// Deliveries in this state.
    pub status: Option<DeliveryStatus>,
    /// Deliveries of events of connections with this name.
    pub connection_name: Option<String>,
    /// Deliveries of this event.
    pub event: Option<domain::EventId>,
    /// Deliveries made since this time.
    pub since: Option<Timestamp>,
    /// Deliveries made before this time.
    pub until: Option<Timestamp>,
    /// Deliveries made before this one.
    pub before: Option<RowId<Delivery>>,
    /// At most this many.
    pub limit: i64,
}

/// Returns the environment's deliveries that match the filter, newest first.
pub fn list(
    c: &mut DbConn,
    environment: EnvironmentId,
    filter: &DeliveryFilter,
) -> Result<Vec<Delivery>, StoreError> {
    let mut query = deliveries::table
        .inner_join(endpoints::table)
        .inner_join(events::table)
        .filter(endpoints::environment_id.eq(environment.raw()))
        .into_boxed();
    if let Some(endpoint) = filter.endpoint {
        query = query.filter(endpoints::id.eq(endpoint.to_string()));
    }
    if let Some(status) = filter.status {
        query = query.filter(deliveries::status.eq(status.as_str()));
    }
    if let Some(name) = &filter.connection_name {
        query = query.filter(events::connection_name.eq(name));
    }
    if let Some(event) = filter.event {
        query = query.filter(events::id.eq(event.to_string()));
    }
    if let Some(since) = filter.since {
        query = query.filter(deliveries::created_at.ge(since.as_micros()));
    }
    if let Some(until) = filter.until {
        query = query.filter(deliveries::created_at.lt(until.as_micros()));
    }
    if let Some(before) = filter.before {
        query = query.filter(deliveries::number.lt(before.raw()));
    }
    Ok(query
        .order(deliveries::number.desc())
        .limit(filter.limit)
        .select(Delivery::as_select())
        .load(c)?)
}

/// Returns the environment's delivery with that id, and its attempts, oldest first.
pub fn find(
    c: &mut DbConn,
    environment: EnvironmentId,
    id: DeliveryId,
) -> Result<(Delivery, Vec<DeliveryAttempt>), StoreError> {
    let delivery: Delivery = deliveries::table
        .inner_join(endpoints::table)
        .inner_join(events::table)
        .filter(endpoints::environment_id.eq(environment.raw()))
        .filter(deliveries::id.eq(id.to_string()))
        .select(Delivery::as_select())
        .get_result(c)
        .map_err(StoreError::about("delivery"))?;
    let attempts = webhook_attempts::table
        .filter(webhook_attempts::delivery.eq(delivery.number.raw()))
        .order(webhook_attempts::attempt)
        .select(DeliveryAttempt::as_select())
        .load(c)?;
    Ok((delivery, attempts))
}

/// Returns how many deliveries of the endpoint wait, by status.
pub fn count_pending(c: &mut DbConn, endpoint: RowId<Endpoint>) -> Result<i64, StoreError> {
    Ok(deliveries::table
        .filter(deliveries::endpoint.eq(endpoint.raw()))
        .filter(deliveries::status.eq(DeliveryStatus::Pending.as_str()))
        .count()
        .get_result(c)?)
}
