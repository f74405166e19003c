//! The HTTP API: Twilio's routes behind the middleware that adds faults, and the control routes under `/_sim`.

mod account;
mod auth;
mod available;
mod calls;
mod control;
mod list;
mod lookups;
mod malformed;
mod messages;
mod middleware;
mod numbers;
mod page;
mod pattern;
mod recipient;
mod request;
mod response;
mod route;
mod send;
mod services;
mod usage;
mod verify;
mod xml;

use actix_web::web;

use crate::change::{NewMessage, Patch};
use crate::shared::Shared;

/// Adds every route.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::scope("/_sim").configure(control::configure));
    config.default_service(web::to(middleware::answer));
}

/// Adds a message to the main account and returns its SID.
pub(crate) fn insert(shared: &Shared, message: NewMessage) -> String {
    let (mut store, now) = shared.write_main();
    let rank = store.insert(message, now);
    store
        .key(rank)
        .and_then(|key| store.row_at(key, now))
        .map(|row| row.sid())
        .unwrap_or_default()
}

/// Changes one message of the main account. Returns `false` if the SID does not exist.
pub(crate) fn patch(shared: &Shared, sid: &str, patch: Patch) -> bool {
    let (mut store, now) = shared.write_main();
    store
        .live_rank(sid, now)
        .map(|rank| store.patch(rank, patch, now))
        .is_some()
}

/// Deletes one message of the main account. Returns `false` if the SID does not exist.
pub(crate) fn delete(shared: &Shared, sid: &str) -> bool {
    let (mut store, now) = shared.write_main();
    store.live_rank(sid, now).map(|rank| store.delete(rank)).is_some()
}
