//! Lists deliveries, and begins them anew.

use domain::{Delivery, DeliveryAttempt, DeliveryId, Endpoint, RowId, Timestamp};
use store::deliveries::{self, DeliveryFilter};
use store::{endpoints, events};

use super::endpoints::find;
use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::gateway::Gateway;

/// How many failed deliveries one transaction begins anew.
const BATCH: i64 = 1_000;

/// What an endpoint is to get again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// The deliveries that failed, of events since a time.
    Failed(Option<Timestamp>),
    /// All events since a time, delivered before or not.
    Since(Timestamp),
    /// All events since the first run that wrote this change number or a later one.
    FromChange(i64),
}

/// Returns the environment's deliveries that match the filter and were made before the one with the id `before`, newest first.
pub async fn list_deliveries(
    gateway: &Gateway,
    caller: &Caller,
    mut filter: DeliveryFilter,
    before: Option<DeliveryId>,
) -> Result<Vec<Delivery>> {
    let environment = caller.environment;
    let found = gateway.store.read(move |c| {
        if let Some(before) = before {
            filter.before = Some(deliveries::find(c, environment, before)?.0.number);
        }
        deliveries::list(c, environment, &filter)
    });
    let unknown = || GatewayError::NotFound("the delivery of the cursor was deleted: begin again".to_owned());
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Returns a delivery and its attempts, oldest first.
pub async fn delivery(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
) -> Result<(Delivery, Vec<DeliveryAttempt>)> {
    let unknown = || GatewayError::NotFound(format!("there is no delivery {id:?}"));
    let parsed: DeliveryId = id.parse().map_err(|_| unknown())?;
    let environment = caller.environment;
    let found = gateway
        .store
        .read(move |c| deliveries::find(c, environment, parsed));
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Begins a delivery anew, whatever its state: with the whole schedule of its endpoint.
pub async fn replay_delivery(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Delivery> {
    let (row, _) = delivery(gateway, caller, id).await?;
    let endpoint = find(gateway, caller.environment, &row.endpoint.to_string()).await?;
    let (number, now) = (row.number, gateway.clock.now());
    let replayed = gateway.store.write(move |c| {
        // The endpoint before its deliveries, as the holder of its lease locks them.
        store::lease::lock(c, endpoint.number)?;
        let replayed = deliveries::replay(c, &endpoint, number, now)?;
        endpoints::wake(c, endpoint.number, now)?;
        Ok(replayed)
    });
    if !replayed.await? {
        return Err(GatewayError::NotFound(format!(
            "the event of the delivery {id:?} was erased with its connection, so it cannot be sent again"
        )));
    }
    gateway.delivery_due.send_replace(());
    Ok(delivery(gateway, caller, id).await?.0)
}

/// Makes an endpoint get events again. Returns how many failed deliveries begin anew; `None` if the endpoint goes back to an earlier
/// position instead, from which its events follow.
pub async fn replay_endpoint(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
    what: Replay,
) -> Result<Option<u64>> {
    let endpoint = find(gateway, caller.environment, id).await?;
    let replayed = match what {
        Replay::Failed(since) => Some(replay_failed(gateway, &endpoint, since).await?),
        Replay::Since(since) => {
            let environment = endpoint.environment;
            let read = gateway
                .store
                .read(move |c| events::position_before(c, environment, since));
            go_back(gateway, endpoint.number, read.await?).await?;
            None
        }
        Replay::FromChange(change) => {
            let environment = endpoint.environment;
            let read = gateway
                .store
                .read_long(move |c| events::position_before_change(c, environment, change));
            go_back(gateway, endpoint.number, read.await?).await?;
            None
        }
    };
    gateway.delivery_due.send_replace(());
    Ok(replayed)
}

/// Begins failed deliveries anew in batches. If this is interrupted, the rest stay failed and the request can be repeated.
async fn replay_failed(gateway: &Gateway, endpoint: &Endpoint, since: Option<Timestamp>) -> Result<u64> {
    let (mut replayed, now) = (0_u64, gateway.clock.now());
    loop {
        let endpoint = endpoint.clone();
        let batch = gateway.store.write_long(move |c| {
            store::lease::lock(c, endpoint.number)?;
            let batch = deliveries::replay_failed(c, &endpoint, since, BATCH, now)?;
            endpoints::wake(c, endpoint.number, now)?;
            Ok(batch)
        });
        let batch = batch.await?;
        replayed += batch.unsigned_abs();
        if batch < BATCH {
            return Ok(replayed);
        }
    }
}

/// Sets the endpoint back to a position. Up to where it was, events are delivered again.
async fn go_back(gateway: &Gateway, endpoint: RowId<Endpoint>, position: i64) -> Result<()> {
    let now = gateway.clock.now();
    let set = gateway
        .store
        .write(move |c| endpoints::go_back(c, endpoint, position, now));
    Ok(set.await?)
}
