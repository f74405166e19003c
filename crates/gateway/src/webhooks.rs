//! Webhooks to the app: its endpoints, and the deliveries of events to them. And webhooks of providers: their addresses and what arrives.

mod address;
mod body;
mod deliveries;
mod endpoints;
mod example;
mod incoming;
mod nango;
mod receive;
mod secrets;
mod sender;
mod settings;
mod subscriptions;

pub(crate) use self::address::own_url;
pub use self::address::{OwnAddress, address_of, integration_path, own_address};
pub use self::body::{body_of, standard_body};
pub use self::deliveries::{Replay, delivery, list_deliveries, replay_delivery, replay_endpoint};
pub use self::endpoints::{create, delete, endpoint, list, rotate_secret, update};
pub use self::example::send_example;
pub use self::incoming::{Rematch, incoming_event, list_incoming, rematch, replay_incoming};
pub(crate) use self::nango::ensure_override_endpoint;
pub use self::nango::{NangoWebhooks, nango_webhooks, rotate_signing_key, set_nango_webhooks};
pub use self::receive::{MAX_WEBHOOK_BODY, Received, WebhookRequest, receive};
pub(crate) use self::secrets::place;
pub use self::secrets::{EndpointSecrets, EndpointView};
pub use self::sender::{Attempted, Effect, Sender};
pub use self::settings::{DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT_SECONDS, EndpointBody};
pub(crate) use self::subscriptions::end_before_deletion;
pub use self::subscriptions::{
    ConnectionWebhooks, Difference, EndedSubscription, ProviderState, SubscribeBody, SubscriptionView,
    carry_on, connection_webhooks, subscribe, unsubscribe,
};
pub use signature::Headers as RequestHeaders;
pub use store::deliveries::DeliveryFilter;
pub use store::incoming::IncomingFilter;

use domain::{EnvironmentId, EventType};
pub use store::events::EventBatch;

use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::gateway::Gateway;

/// Returns the environment's events after a position, in order; of these types only, unless the list is empty.
pub async fn events_after(
    gateway: &Gateway,
    caller: &Caller,
    position: i64,
    types: Vec<EventType>,
    limit: i64,
) -> Result<EventBatch> {
    let environment = caller.environment;
    let read = gateway
        .store
        .read(move |c| store::events::after(c, environment, position, &types, limit));
    Ok(read.await?)
}

/// Returns the position of the last published event, where a reader of new events begins.
pub async fn last_position(gateway: &Gateway) -> Result<i64> {
    Ok(gateway.store.read(store::events::last_position).await?)
}

/// The environment's name, which every event shows.
async fn environment_name(gateway: &Gateway, environment: EnvironmentId) -> Result<String> {
    let found = gateway
        .store
        .read(move |c| store::environments::by_id(c, environment));
    let unknown = || GatewayError::NotFound("the environment was deleted".to_owned());
    let row = found.await.map_err(GatewayError::or_unknown(unknown))?;
    Ok(row.name.to_string())
}
