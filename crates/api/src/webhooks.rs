//! Webhooks to the app: its endpoints, the deliveries to them, and the feed of events.

pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod incoming;
pub(crate) mod receive;
pub(crate) mod subscriptions;
