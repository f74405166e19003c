//! The HTTP API: Twilio's routes behind the middleware that adds faults, and the control routes under `/_sim`.

mod account;
mod auth;
mod available;
mod calls;
mod control;
mod control_webhooks;
mod conversations;
mod events;
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
mod setting_fields;
mod usage;
mod verify;
mod webhook_configuration;
mod xml;

use actix_web::web;
use chrono::Duration;

use crate::callbacks;
use crate::calls::CallStatus;
use crate::change::{Mutation, MutationReport, NewMessage, Patch};
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
    let sid = store
        .key(rank)
        .and_then(|key| store.row_at(key, now))
        .map(|row| row.sid())
        .unwrap_or_default();
    let watched = store.next_change().is_some();
    drop(store);
    if watched {
        shared.sender.wake();
    }
    sid
}

/// Changes one message of the main account, and sends its webhooks. Returns `false` if the SID does not exist.
pub(crate) fn patch(shared: &Shared, sid: &str, patch: Patch) -> bool {
    let (mut store, now) = shared.write_main();
    let found = store
        .live_rank(sid, now)
        .map(|rank| store.patch(rank, patch, now))
        .is_some();
    drop(store);
    callbacks::pump(shared);
    found
}

/// Changes a share of the main account's messages, and sends their webhooks.
pub(crate) fn mutate(shared: &Shared, mutation: &Mutation) -> MutationReport {
    let (mut store, now) = shared.write_main();
    let report = store.mutate(mutation, now);
    drop(store);
    callbacks::pump(shared);
    report
}

/// Moves the clock forward, and hands the webhooks that are due by then to the sender.
pub(crate) fn advance(shared: &Shared, by: Duration) {
    shared.clock.advance(by);
    callbacks::pump(shared);
    shared.sender.wake();
}

/// Ends a call of the main account with a final status of the API, and sends its webhook. Returns `false` if there is no such call
/// or status.
pub(crate) fn end_call(shared: &Shared, sid: &str, status: &str) -> bool {
    let account = &shared.credentials.account_sid;
    let Some(status) = CallStatus::final_of(status) else {
        return false;
    };
    let now = shared.clock.seconds();
    let found = shared.calls().stop(account, sid, status, now).is_some();
    callbacks::pump(shared);
    found
}

/// Deletes one message of the main account. Returns `false` if the SID does not exist.
pub(crate) fn delete(shared: &Shared, sid: &str) -> bool {
    let (mut store, now) = shared.write_main();
    store.live_rank(sid, now).map(|rank| store.delete(rank)).is_some()
}
