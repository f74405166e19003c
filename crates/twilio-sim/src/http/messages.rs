//! `…/Messages/{Sid}.json`: fetch, redact, cancel, delete.

use crate::change::Patch;
use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};
use crate::message::Status;
use crate::shared::Shared;

/// Answers one message.
pub(crate) fn fetch(shared: &Shared, call: &Call, account: &str, sid: &str) -> Result<Reply, Refusal> {
    let (world, now) = shared.read_of(account);
    let row = world
        .row(sid, now)
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    Ok(Reply::value(200, &row.to_message()))
}

/// Redacts (`Body=`) or cancels (`Status=canceled`).
pub(crate) fn update(shared: &Shared, call: &Call, account: &str, sid: &str) -> Result<Reply, Refusal> {
    let (mut world, now) = shared.write_of(account);
    let rank = world
        .live_rank(sid, now)
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    let status = world.row(sid, now).map(|row| row.status);
    let mut patch = Patch::default();
    match call.field("Body") {
        None => {}
        Some("") => patch.body = Some(String::new()),
        Some(_) => return Err(Refusal::bad(20001, "Body can only be set to an empty string")),
    }
    match call.field("Status") {
        None => {}
        Some("canceled") if status == Some(Status::Scheduled) => patch.status = Some(Status::Canceled),
        Some("canceled") => {
            return Err(Refusal::bad(
                30409,
                "Message cannot be canceled: it is not scheduled",
            ));
        }
        Some(other) => return Err(Refusal::bad(20001, format!("Invalid Status '{other}'"))),
    }
    if patch != Patch::default() {
        world.patch(rank, patch, now);
    }
    let row = world
        .row(sid, now)
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    Ok(Reply::value(200, &row.to_message()))
}

/// Deletes; afterwards the message is 404.
pub(crate) fn delete(shared: &Shared, call: &Call, account: &str, sid: &str) -> Result<Reply, Refusal> {
    let (mut world, now) = shared.write_of(account);
    let rank = world
        .live_rank(sid, now)
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    world.delete(rank);
    Ok(Reply::json(204, Vec::new()))
}
