//! The HTTP face: Twilio's API behind the gate that adds faults, and the control addresses under `/_sim`.

mod account;
mod auth;
mod available;
mod call;
mod calls;
mod control;
mod gate;
mod list;
mod lookups;
mod messages;
mod numbers;
mod odd;
mod page;
mod pattern;
mod recipient;
mod reply;
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
    config.default_service(web::to(gate::answer));
}

/// Adds a message to the main account and tells its SID.
pub(crate) fn insert(shared: &Shared, message: NewMessage) -> String {
    let (mut world, now) = shared.write_main();
    let rank = world.insert(message, now);
    world
        .key(rank)
        .and_then(|key| world.row_at(key, now))
        .map(|row| row.sid())
        .unwrap_or_default()
}

/// Changes one message of the main account; `false` when there is none of this SID.
pub(crate) fn patch(shared: &Shared, sid: &str, patch: Patch) -> bool {
    let (mut world, now) = shared.write_main();
    world
        .live_rank(sid, now)
        .map(|rank| world.patch(rank, patch, now))
        .is_some()
}

/// Deletes one message of the main account; `false` when there is none of this SID.
pub(crate) fn delete(shared: &Shared, sid: &str) -> bool {
    let (mut world, now) = shared.write_main();
    world.live_rank(sid, now).map(|rank| world.delete(rank)).is_some()
}
