//! `…/Messages/{Sid}.json`: fetches, redacts, cancels and deletes a message.

use crate::change::Patch;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::message::Status;
use crate::shared::Shared;

/// Returns one message.
pub(crate) fn fetch(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let (store, now) = shared.read_of(account);
    let row = store
        .row(sid, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    Ok(ApiResponse::value(200, &row.to_message()))
}

/// Redacts (`Body=`) or cancels (`Status=canceled`).
pub(crate) fn update(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let (mut store, now) = shared.write_of(account);
    let rank = store
        .live_rank(sid, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    let status = store.row(sid, now).map(|row| row.status);
    let mut patch = Patch::default();
    match request.field("Body") {
        None => {}
        Some("") => patch.body = Some(String::new()),
        Some(_) => return Err(ApiError::bad(20001, "Body can only be set to an empty string")),
    }
    match request.field("Status") {
        None => {}
        Some("canceled") if status == Some(Status::Scheduled) => patch.status = Some(Status::Canceled),
        Some("canceled") => {
            return Err(ApiError::bad(
                30409,
                "Message cannot be canceled: it is not scheduled",
            ));
        }
        Some(other) => return Err(ApiError::bad(20001, format!("Invalid Status '{other}'"))),
    }
    if patch != Patch::default() {
        store.patch(rank, patch, now);
    }
    let row = store
        .row(sid, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    let response = ApiResponse::value(200, &row.to_message());
    drop(store);
    shared.sender.wake();
    Ok(response)
}

/// Deletes the message, which is a 404 afterwards.
pub(crate) fn delete(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    sid: &str,
) -> Result<ApiResponse, ApiError> {
    let (mut store, now) = shared.write_of(account);
    let rank = store
        .live_rank(sid, now)
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    store.delete(rank);
    Ok(ApiResponse::json(204, Vec::new()))
}
